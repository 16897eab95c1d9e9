//go:build !race

// The race detector has sync.Pool, which regular expressions are kept in, forget things on
// purpose: allocations are counted without it.

package policy

import (
	"testing"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
)

// TestHotPathAllocatesNothing runs whole exchanges of one chain again and again, as
// the proxy does: after the first few, none allocates.
func TestHotPathAllocatesNothing(t *testing.T) {
	basic := func(string, string) (map[string][]byte, error) {
		return map[string][]byte{"auth": []byte("someuser:$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0")}, nil
	}
	for _, c := range []struct {
		name, url   string
		annotations map[string]string
		fields      []string
		status      int // of our own reply; 0: the request goes on
	}{
		{"plain", "https://app.example.com/a?b=c", nil, []string{"User-Agent: x", "X-Forwarded-For: 10.1.1.1", "X-Forwarded-Proto: http", "Accept: */*"}, 0},
		{"own request id", "https://app.example.com/", nil, []string{"X-Request-ID: 0123"}, 0},
		{"redirect", "http://app.example.com/a/", map[string]string{"force-ssl-redirect": "true"}, nil, 308},
		{"no redirect", "https://app.example.com/a/", map[string]string{"force-ssl-redirect": "true"}, nil, 0},
		{"limits", "https://app.example.com/", map[string]string{"limit-rps": "1000000", "limit-burst-multiplier": "1000", "limit-connections": "5", "limit-rpm": "1000000"}, nil, 0},
		{"over the limit", "https://app.example.com/", map[string]string{"limit-rps": "1", "limit-burst-multiplier": "1"}, nil, 503},
		{"source range", "https://app.example.com/", map[string]string{"whitelist-source-range": "10.0.0.0/8,192.0.2.0/24", "denylist-source-range": "192.0.2.9"}, nil, 0},
		{"password", "https://app.example.com/", map[string]string{"auth-type": "basic", "auth-secret": "users"}, []string{"Authorization: Basic c29tZXVzZXI6c2VjcmV0"}, 0},
		{"no password", "https://app.example.com/", map[string]string{"auth-type": "basic", "auth-secret": "users"}, nil, 401},
		{"sticky", "https://app.example.com/", map[string]string{"affinity": "cookie"}, []string{"Cookie: a=b; INGRESSCOOKIE=k3|x"}, 0},
		{"cors", "https://app.example.com/", map[string]string{"enable-cors": "true"}, []string{"Origin: https://a.example"}, 0},
	} {
		full := map[string]string{}
		for k, v := range c.annotations {
			full[DefaultPrefix+"/"+k] = v
		}
		r := Route(Input{Origin: app, Namespace: "default", Annotations: full, Secret: basic})
		if len(r.Problems) > 0 {
			t.Fatalf("%s: %v", c.name, r.Problems)
		}
		route := &exchange.Route{Namespace: "default", Ingress: "app", Path: "/", Host: "app.example.com", Upstream: "default-app-80"}
		chain, _, err := Steps(r.Policies, &Env{Route: route, State: exchange.NewState()})
		if err != nil {
			t.Fatal(err)
		}
		x, s := newExchange("GET", c.url, "192.0.2.1", c.fields)
		in, conn, path := x.In, x.Conn, x.Path
		status := 0
		one := func() {
			x.Reset()
			x.In, x.Conn, x.Run, x.Route, x.Path, x.HostName = in, conn, s, route, path, "app.example.com"
			x.Out.Method, x.Out.Host, x.Out.Target = in.Method, in.Host, in.Target
			x.Out.Header.CopyFrom(&in.Header)
			r := pass(&chain, x)
			status = 0
			if r != nil {
				status = r.Status
			}
			x.Affinity.Picked, x.Affinity.Fresh = "k4", true
			x.Resp.Status = 200
			respond(&chain, x, r)
			for _, l := range chain.Log {
				l.Log(x)
			}
		}
		for range 10 {
			one()
		}
		if n := testing.AllocsPerRun(200, one); n != 0 {
			t.Errorf("%s: %v allocations per request", c.name, n)
		}
		if status != c.status {
			t.Errorf("%s: status %d, want %d", c.name, status, c.status)
		}
	}
}

func BenchmarkPlainChain(b *testing.B) {
	r := Route(Input{Origin: app})
	chain, _, _ := Steps(r.Policies, &Env{Route: &exchange.Route{}, State: exchange.NewState()})
	x, s := newExchange("GET", "https://app.example.com/a?b=c", "192.0.2.1", []string{"User-Agent: x", "Accept: */*", "Accept-Encoding: gzip"})
	in, conn := x.In, x.Conn
	for b.Loop() {
		x.Reset()
		x.In, x.Conn, x.Run = in, conn, s
		x.Out.Header.CopyFrom(&in.Header)
		pass(&chain, x)
		respond(&chain, x, nil)
	}
}

func BenchmarkRoute(b *testing.B) {
	in := Input{Origin: model.Origin{Kind: "Ingress", Name: "a"}, Annotations: map[string]string{
		DefaultPrefix + "/limit-rps": "5", DefaultPrefix + "/proxy-body-size": "8m"}}
	for b.Loop() {
		Route(in)
	}
}
