package exchange

import (
	"crypto/tls"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/message"
)

// sample is an exchange that is over: two tries, TLS, all fields.
func sample() *Exchange {
	start := time.Date(2017, 4, 27, 6, 50, 25, 0, time.FixedZone("", 2*3600))
	x := &Exchange{
		In:   &message.Request{Version: message.HTTP2, Method: "GET", Host: "App.example.com:8443", Target: "/a%20b?x=1&y=%22", Size: 321},
		Resp: &message.Response{Status: 200, Length: 5},
		Conn: &Conn{
			Peer: netip.MustParseAddrPort("10.0.0.1:50000"), Client: netip.MustParseAddrPort("192.0.2.7:40000"), UseProxy: true,
			Local: netip.MustParseAddrPort("10.0.0.2:8443"), ServerPort: "443", Serial: 12, Requests: 3,
			TLS: &tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, ServerName: "app.example.com"},
		},
		ClientIP: netip.MustParseAddr("::ffff:192.0.2.7"), Scheme: "https", Host: "App.example.com:8443", HostName: "app.example.com", Port: "443",
		Path: "/a b", Query: "x=1&y=%22", User: "alice", RequestID: "0123456789abcdef0123456789abcdef",
		Route: &Route{Namespace: "default", Ingress: "app", Service: "app-svc", Port: "80", Path: "/", Host: "app.example.com", Upstream: "default-app-svc-80"},
		Start: start, End: start.Add(1234 * time.Millisecond), Received: 10, Status: 200, Sent: 555, BodySent: 5, Complete: true,
	}
	x.In.Header.Add("User-Agent", "curl/8 \"x\"\\\x01é")
	x.In.Header.Add("Referer", "https://r.example/")
	x.In.Header.Add("X-Forwarded-For", "10.1.1.1")
	x.In.Header.Add("X-Forwarded-For", "10.2.2.2")
	x.In.Header.Add("Cookie", "a=1; session=s e; b")
	x.In.Header.Add("Cookie", "c=3")
	x.Resp.Header.Add("Content-Type", "text/plain")
	x.Resp.Header.Add("Set-Cookie", "a=1")
	x.Resp.Header.Add("Set-Cookie", "b=2")
	x.Upstream.Tries = []Try{
		{Addr: netip.MustParseAddrPort("10.4.0.1:8080"), Err: ConnectFailed, Total: 2 * time.Millisecond},
		{Addr: netip.MustParseAddrPort("10.4.0.2:8080"), Status: 200, Connect: time.Millisecond, Header: 20 * time.Millisecond, Total: 1200 * time.Millisecond, Length: 5},
	}
	return x
}

func TestVariables(t *testing.T) {
	x := sample()
	want := map[string]string{
		"remote_addr": "192.0.2.7", "binary_remote_addr": "\xc0\x00\x02\x07", "remote_port": "40000", "remote_user": "alice",
		"realip_remote_addr": "10.0.0.1", "realip_remote_port": "50000", "proxy_protocol_addr": "192.0.2.7", "server_addr": "10.0.0.2",
		"server_port": "443", "server_name": "app.example.com", "server_protocol": "HTTP/2.0", "connection": "12", "connection_requests": "3",
		"hostname": hostname, "pid": pid, "pipe": ".", "scheme": "https", "https": "on", "host": "app.example.com",
		"http_host": "App.example.com:8443", "best_http_host": "App.example.com:8443", "pass_access_scheme": "https", "pass_port": "443", "pass_server_port": "443",
		"request": "GET /a%20b?x=1&y=%22 HTTP/2.0", "request_method": "GET", "request_uri": "/a%20b?x=1&y=%22",
		"escaped_request_uri": "%2Fa%2520b%3Fx%3D1%26y%3D%2522", "uri": "/a b", "document_uri": "/a b", "args": "x=1&y=%22", "query_string": "x=1&y=%22", "is_args": "?",
		"content_length": "", "content_type": "", "request_id": x.RequestID, "req_id": x.RequestID, "request_length": "331", "request_time": "1.234",
		"request_completion": "OK", "time_local": "27/Apr/2017:06:50:26 +0200", "time_iso8601": "2017-04-27T06:50:26+02:00", "msec": "1493268626.234",
		"status": "200", "bytes_sent": "555", "body_bytes_sent": "5", "ssl_protocol": "TLSv1.2", "ssl_cipher": "ECDHE-RSA-AES128-GCM-SHA256",
		"ssl_server_name": "app.example.com", "ssl_session_reused": ".", "proxy_add_x_forwarded_for": "10.1.1.1, 10.2.2.2, 192.0.2.7",
		"proxy_host": "default-app-svc-80", "proxy_upstream_name": "default-app-svc-80", "namespace": "default", "ingress_name": "app",
		"service_name": "app-svc", "service_port": "80", "location_path": "/", "upstream_addr": "10.4.0.1:8080, 10.4.0.2:8080", "upstream_status": "502, 200",
		"upstream_response_time": "0.002, 1.200", "upstream_connect_time": "-, 0.001", "upstream_header_time": "-, 0.020", "upstream_response_length": "0, 5",
		"upstream_bytes_received": "0, 5", "upstream_cache_status": "", "proxy_alternative_upstream_name": "", "ssl_client_s_dn": "", "ssl_client_i_dn": "",
		"ssl_client_verify": "", "opentelemetry_trace_id": "", "opentelemetry_span_id": "",
		"http_x_forwarded_for": "10.1.1.1, 10.2.2.2", "http_referer": "https://r.example/", "http_nothing": "", "http_cookie": "a=1; session=s e; b; c=3",
		"sent_http_content_type": "text/plain", "sent_http_set_cookie": "a=1, b=2", "sent_http_content_length": "5", "upstream_http_content_type": "text/plain",
		"cookie_session": "s e", "cookie_c": "3", "cookie_b": "", "arg_x": "1", "arg_Y": "%22", "arg_z": "", "geoip2_city": "",
	}
	for name := range variables {
		if _, ok := want[name]; !ok {
			t.Errorf("$%s has no case", name)
		}
	}
	for name, v := range want {
		for _, text := range []string{"<$" + name + ">", "<${" + name + "}>"} {
			tm, err := ParseTemplate(text)
			if err != nil {
				t.Error(err)
				continue
			}
			if got := string(tm.Append(nil, x)); got != "<"+v+">" {
				t.Errorf("%s is %q, want %q", text, got, v)
			}
		}
	}
}

// TestVariablesOfLittle holds that an exchange of which hardly anything is known
// has values too.
func TestVariablesOfLittle(t *testing.T) {
	x := &Exchange{In: &message.Request{}, Resp: &message.Response{}, Conn: &Conn{}}
	for name, f := range variables {
		f(nil, x, "")
		if name == "status" && string(f(nil, x, "")) != "000" {
			t.Error("a request without answer has a status")
		}
	}
	x.In.Header.Add("Authorization", "Basic Ym9iOnB3")
	if got := string(remoteUser(nil, x, "")); got != "bob" {
		t.Errorf("$remote_user is %q, want who the client says it is", got)
	}
	x.In.Header.Set("Authorization", "Basic %%%")
	if got := string(remoteUser([]byte("a"), x, "")); got != "a" {
		t.Errorf("$remote_user of nonsense is %q", got)
	}
}

func TestTemplateErrors(t *testing.T) {
	for text, says := range map[string]string{
		"https://$nohost/": `"$nohost"`, "a$": "followed by the name", "$ b": "followed by", "${host": "${name}", "${}": "${name}", "${a-b}": "${name}", "$http_": `"$http_"`, "$1": `"$1"`,
	} {
		if _, err := ParseTemplate(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want one that says %s", text, err, says)
		}
	}
	tm, err := ParseTemplate("plain text")
	if err != nil || !tm.Static() || tm.Text(nil) != "plain text" || tm.String() != "plain text" {
		t.Errorf("a text without variables: %v %v", tm, err)
	}
}

func TestLogFormats(t *testing.T) {
	x := sample()
	line := func(text, escape string) string {
		t.Helper()
		f, err := ParseLogFormat(text, escape)
		if err != nil {
			t.Fatal(err)
		}
		return string(f.Append(nil, x))
	}
	const want = `192.0.2.7 - alice [27/Apr/2017:06:50:26 +0200] "GET /a%20b?x=1&y=%22 HTTP/2.0" 200 5 "https://r.example/" "curl/8 \x22x\x22\x5C\x01\xC3\xA9" 331 1.234 ` +
		`[default-app-svc-80] [-] 10.4.0.1:8080, 10.4.0.2:8080 0, 5 0.002, 1.200 502, 200 0123456789abcdef0123456789abcdef`
	if got := line(DefaultLogFormat, "default"); got != want {
		t.Errorf("default line\n%s\nwant\n%s", got, want)
	}
	text := line(`{"agent":"$http_user_agent","none":"$http_nothing","status":$status}`, "json")
	var v struct {
		Agent, None string
		Status      int
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil || v.Agent != "curl/8 \"x\"\\\x01é" || v.None != "" || v.Status != 200 {
		t.Errorf("%s is read as %+v, %v", text, v, err)
	}
	if got := line("$http_user_agent|$http_nothing|", "none"); got != "curl/8 \"x\"\\\x01é||" {
		t.Errorf("without escapes: %q", got)
	}
	if _, err := ParseLogFormat("a", "xml"); err == nil {
		t.Error("an unknown escape is taken")
	}
}

func TestLogAllocatesNothing(t *testing.T) {
	x := sample()
	f, err := ParseLogFormat(DefaultLogFormat+` $http_x_forwarded_for $cookie_session $arg_x $ssl_cipher $msec $sent_http_set_cookie`, "json")
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = f.Append(buf[:0], x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{DefaultLogFormat, "https://$host/oauth2/auth", "${arg_x}$http_a-b", "$", "${"} {
		f.Add(s)
	}
	x := sample()
	f.Fuzz(func(t *testing.T, text string) {
		tm, err := ParseTemplate(text)
		if err != nil {
			return
		}
		out := string(tm.Append(nil, x))
		if !strings.Contains(text, "$") && out != text {
			t.Errorf("%q becomes %q", text, out)
		}
		l, err := ParseLogFormat(text, "default")
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range l.Append(nil, x) {
			if (c < ' ' || c >= 0x7f) && !strings.ContainsRune(text, rune(c)) && !slices.Contains([]byte(text), c) {
				t.Errorf("byte %d of the line of %q is %q", i, text, c)
			}
		}
	})
}
