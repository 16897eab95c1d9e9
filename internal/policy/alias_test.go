package policy

import (
	"testing"

	"github.com/pierhead/pierhead/internal/exchange"
)

func TestAlias(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"X-Real-IP", "x_real_ip", true}, {"X-Real-IP", "X.Real~Ip", true}, {"X-Real-IP", "X-Real-IP", true},
		{"X-Real-IP", "X-RealIP", false}, {"X-Real-IP", "X-Real-I0", false}, {"A1", "A-", false},
	} {
		if got := alias(c.a, c.b); got != c.want {
			t.Errorf("alias(%q, %q) = %v", c.a, c.b, got)
		}
	}
}

// TestNobodyElseSetsOurFields holds that no client sets a field that is ours to set, or
// the authentication service's, under whatever name an upstream could take for it
// (CVE-2026-39858), and also where that service was not asked.
func TestNobodyElseSetsOurFields(t *testing.T) {
	client := []string{
		"X-Auth-User: mallory", "X_Auth_User: mallory", "x.auth-user: mallory",
		"X_Real_IP: 10.0.0.1", "X_Forwarded_For: 10.0.0.1", "X_Original_URL: https://public.example.com/",
		"Authorization: Basic c29tZXVzZXI6c2VjcmV0", "Fine_Name: kept",
	}
	users := func(string, string) (map[string][]byte, error) {
		return map[string][]byte{"auth": []byte("someuser:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=")}, nil
	}
	for _, c := range []struct {
		name, path  string
		annotations map[string]string
	}{
		{"the password was enough", "/", map[string]string{"satisfy": "any", "auth-type": "basic", "auth-secret": "users"}},
		{"the path is exempt", "/.well-known/acme-challenge/x", nil},
		{"the service has no such field", "/", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			full := map[string]string{DefaultPrefix + "/auth-url": "https://auth.example.com/", DefaultPrefix + "/auth-response-headers": "X-Auth-User"}
			for k, v := range c.annotations {
				full[DefaultPrefix+"/"+k] = v
			}
			g, _ := ReadGlobal(map[string]string{"enable-underscores-in-headers": "true", "ignore-invalid-headers": "false"}, app, nil)
			r := Route(Input{Origin: app, Namespace: "default", Annotations: full, Secret: users, Settings: g})
			if len(r.Problems) > 0 {
				t.Fatal(r.Problems)
			}
			chain, _, err := Steps(r.Policies, &Env{Route: &exchange.Route{Path: c.path}, State: exchange.NewState()})
			if err != nil {
				t.Fatal(err)
			}
			x, s := newExchange("GET", "https://app.example.com"+c.path, "192.0.2.1", client)
			s.told = block{line: "200"}
			x.Out.Header.CopyFrom(&x.In.Header)
			if r := pass(&chain, x); r != nil {
				t.Fatalf("answered %d", r.Status)
			}
			for i := range x.Out.Header.Len() {
				switch f := x.Out.Header.At(i); f.Value {
				case "mallory", "10.0.0.1":
					t.Errorf("%s: %s passes", f.Name, f.Value)
				}
			}
			if s.asked != nil {
				for i := range s.asked.Header.Len() {
					if f := s.asked.Header.At(i); isAlias(f) {
						t.Errorf("the service is told %s: %s", f.Name, f.Value)
					}
				}
			}
			if x.Out.Header.Get("Fine_Name") != "kept" {
				t.Error("a field that looks like none of ours is gone")
			}
		})
	}
}
