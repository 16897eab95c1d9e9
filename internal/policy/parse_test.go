package policy

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestParsers(t *testing.T) {
	same := func(text string, got any, err error, want any) {
		t.Helper()
		if want == nil {
			if err == nil {
				t.Errorf("%q is read as %v, want an error", text, got)
			}
			return
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %v, %v; want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]any{"0": int64(0), "1024": int64(1024), "8k": int64(8 << 10), "8M": int64(8 << 20), "1g": int64(1 << 30),
		"": nil, "k": nil, "-1": nil, "+1": nil, "1.5m": nil, "1kb": nil, "9999999999g": nil, "1 m": nil} {
		v, err := parseSize(text)
		same(text, v, err, want)
	}
	for text, want := range map[string]any{"10": 10 * time.Second, "10s": 10 * time.Second, "500ms": 500 * time.Millisecond, "1h 30m": 90 * time.Minute,
		"1h30m": 90 * time.Minute, "1M": 720 * time.Hour, "": nil, "s": nil, "1x": nil, "99999999999y": nil, "-1s": nil} {
		v, err := parseTime(text)
		same(text, v, err, want)
	}
	for text, want := range map[string]any{
		"10.0.0.1, 10.1.2.3/8": []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")},
		"2001:db8::/32,":       []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")},
		"::ffff:10.0.0.0/104":  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		"::ffff:10.0.0.1":      []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")},
		"10.0.0.0/33":          nil, ",": nil, "localhost": nil, "10.0.0": nil, "fe80::1%eth0": nil, "::ffff:10.0.0.0/8": nil,
	} {
		v, err := parseCIDRs(text)
		same(text, v, err, want)
	}
	for text, want := range map[string]any{"301": 301, "302": 302, "307": 307, "308": 308, "303": nil, "300": nil, "moved": nil} {
		v, err := parseRedirectCode(text)
		same(text, v, err, want)
	}
	for text, want := range map[string]any{"4 8k": buffers{4, 8192}, "8 16k": buffers{8, 16384}, "8k": nil, "0 8k": nil, "4 1": nil} {
		v, err := parseBuffers(text)
		same(text, v, err, want)
	}
	for text, want := range map[string]any{"ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256": []uint16{0xc02f}, "DHE-RSA-AES128-GCM-SHA256": nil} {
		v, err := parseCiphers(text)
		same(text, v, err, want)
	}
	for text, ok := range map[string]bool{"https://a.example/x?y=z": true, "http://$host:4180/auth": true, "https://${host}/": true, "//a": false,
		"https://": false, "ftp://a": false, "https://a b": false, "https://a/\"": false, "https://$unknown_thing/": false} {
		if err := checkURL(text); (err == nil) != ok {
			t.Errorf("%q as a URL: %v", text, err)
		}
	}
}

func FuzzParsers(f *testing.F) {
	for _, s := range []string{"8m", "1h 30m", "10.0.0.0/8, ::1", "4 8k", "https://$host/oauth2", "~*bot", "$remote_addr", "a,b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, d := range Decls() { // none panics
			d.check(s)
		}
		if v, err := parseSize(s); err == nil && v < 0 {
			t.Errorf("size %q is %d", s, v)
		}
		if v, err := parseTime(s); err == nil && (v < 0 || v > maxSeconds*time.Second) {
			t.Errorf("time %q is %v", s, v)
		}
		list, err := parseCIDRs(s)
		for _, p := range list {
			if err == nil && (!p.IsValid() || p != p.Masked() || p.Addr().Is4In6()) {
				t.Errorf("%q holds %v", s, p)
			}
		}
	})
}

// FuzzRoute holds that no annotations panic, and that guards which were asked for
// are there or the route is closed.
func FuzzRoute(f *testing.F) {
	f.Add("auth-url", "https://a/")
	f.Add("whitelist-source-range", "10.0.0.0/8")
	f.Add("auth-type", "basic")
	f.Fuzz(func(t *testing.T, name, value string) {
		r := read(map[string]string{name: value})
		_, external := has[*ExternalAuth](r)
		_, ranges := has[*SourceRange](r)
		_, basic := has[*BasicAuth](r)
		guarded := external || ranges || basic || r.Closed != "" || r.Reject
		if trimmed(value) == "" || guarded {
			return
		}
		switch name {
		case "auth-url", "auth-type", "whitelist-source-range", "allowlist-source-range", "denylist-source-range":
			t.Errorf("%s: %q leaves the route open", name, value)
		}
	})
}
