package policy

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/model"
)

func TestSteadyResult(t *testing.T) {
	in := Input{Origin: app, Namespace: "default", Annotations: map[string]string{}}
	for _, d := range Decls() {
		if d.Scope&OnRoute != 0 {
			in.Annotations[DefaultPrefix+"/"+d.Name] = "1"
			in.Annotations[OldPrefix+"/"+d.Name] = "2"
		}
	}
	first := Route(in)
	for range 5 {
		if next := Route(in); !reflect.DeepEqual(first, next) {
			t.Fatal("the same annotations give two results")
		}
	}
}

func TestUpstreamAndHost(t *testing.T) {
	r := Route(Input{Origin: app, Namespace: "default", Annotations: map[string]string{
		"ingress.kubernetes.io/secure-backends":               "true",
		"ingress.kubernetes.io/rewrite-target":                "/",
		"nginx.ingress.kubernetes.io/service-upstream":        "true",
		"nginx.ingress.kubernetes.io/load-balance":            "ewma",
		"nginx.ingress.kubernetes.io/default-backend":         "sorry",
		"nginx.ingress.kubernetes.io/server-alias":            "A.example.com, *.b.example.com,a.example.com",
		"nginx.ingress.kubernetes.io/use-regex":               "true",
		"nginx.ingress.kubernetes.io/from-to-www-redirect":    "true",
		"nginx.ingress.kubernetes.io/app-root":                "/app",
		"nginx.ingress.kubernetes.io/affinity":                "cookie",
		"nginx.ingress.kubernetes.io/affinity-mode":           "persistent",
		"nginx.ingress.kubernetes.io/enable-access-log":       "false",
		"nginx.ingress.kubernetes.io/upstream-hash-by":        "$request_uri",
		"nginx.ingress.kubernetes.io/proxy-next-upstream":     "off",
		"nginx.ingress.kubernetes.io/temporal-redirect-code":  "999",
		"nginx.ingress.kubernetes.io/temporal-redirect":       "https://b.example/",
		"nginx.ingress.kubernetes.io/proxy-buffering":         "on",
		"nginx.ingress.kubernetes.io/session-cookie-samesite": "lax",
	}})
	if u := r.Upstream; u.Protocol != "HTTPS" || !u.ServiceIP || u.Balancing != (model.Balancing{Balance: "hash", HashBy: "$request_uri"}) || *u.Sticky != (model.Sticky{Cookie: "INGRESSCOOKIE", Mode: "persistent"}) {
		t.Errorf("upstream %+v", u)
	}
	h := r.Host
	if strings.Join(h.Aliases, " ") != "*.b.example.com a.example.com" || !h.Regex || !h.FromToWWW || h.RewriteTarget != "/" || len(h.Policies) != 1 {
		t.Errorf("host %+v", h)
	}
	if r.DefaultBackend != "sorry" {
		t.Errorf("default backend %q", r.DefaultBackend)
	}
	if p, _ := has[*Redirect](r); p == nil || p.Code != 302 {
		t.Errorf("redirect %+v", p)
	}
	if p, _ := has[*Sticky](r); p == nil || p.SameSite != "Lax" {
		t.Errorf("sticky %+v", p)
	}
	route := &exchange.Route{Path: "/a"}
	_, f, err := Steps(r.Policies, &Env{Route: route, State: exchange.NewState()})
	if err != nil || !route.NoLog || f.RetryOn != 0 {
		t.Errorf("no log %v, retries %v, %v", route.NoLog, f.RetryOn, err)
	}
	if len(r.Problems) != 4 {
		t.Errorf("problems\n%s", reasons(r))
	}
}

func TestStepThatCannotBeBuilt(t *testing.T) {
	r := read(map[string]string{"rewrite-target": "/$1"})
	if _, _, err := Steps(r.Policies, &Env{Route: &exchange.Route{Path: "/a(?!b)"}, State: exchange.NewState()}); err == nil || !strings.Contains(err.Error(), "regular expression") {
		t.Errorf("a path that Go cannot match is built: %v", err)
	}
}

// ask runs one request through a route with the annotations, whose service answers
// as told.
func ask(t *testing.T, annotations map[string]string, path, url string, told block) (*exchange.Exchange, *exchange.Reply, *exchange.Chain) {
	t.Helper()
	r := read(annotations)
	if len(r.Problems) > 0 {
		t.Fatal(reasons(r))
	}
	c, _, err := Steps(r.Policies, &Env{Route: &exchange.Route{Path: path}, State: exchange.NewState()})
	if err != nil {
		t.Fatal(err)
	}
	x, s := newExchange("GET", url, "192.0.2.1", nil)
	s.told = told
	return x, pass(&c, x), &c
}

func TestExternalAuthAnswers(t *testing.T) {
	auth := map[string]string{"auth-url": "http://auth.internal/check"}
	x, r, c := ask(t, auth, "/", "https://a/", block{line: "401", fields: []string{"WWW-Authenticate: Bearer", "WWW-Authenticate: Basic", "Set-Cookie: a=1", "X-Secret: s"}})
	respond(c, x, r)
	var asks []string
	for i := range x.Resp.Header.Len() {
		if f := x.Resp.Header.At(i); f.Known() == message.WWWAuthenticate {
			asks = append(asks, f.Value)
		}
	}
	if r.Status != 401 || strings.Join(asks, " ") != "Bearer Basic" || x.Resp.Header.Get("Set-Cookie") != "" || x.Resp.Header.Get("X-Secret") != "" {
		t.Errorf("reply %+v, fields %+v", r, x.Resp.Header)
	}
	for _, status := range []string{"500", "302", "404", "100", "nothing"} {
		if _, r, _ := ask(t, auth, "/", "https://a/", block{line: status}); r == nil || r.Status != 500 || r.Err != exchange.AuthUnavailable {
			t.Errorf("%s of the service gives %+v, want 500", status, r)
		}
	}
	if _, r, _ := ask(t, auth, "/.well-known/acme-challenge/x", "http://a/", block{line: "401"}); r != nil {
		t.Errorf("a path of no-auth-locations is answered %+v", r)
	}
	always := map[string]string{"auth-url": "http://auth.internal/check", "auth-always-set-cookie": "true"}
	x, r, c = ask(t, always, "/", "https://a/", block{line: "401", fields: []string{"Set-Cookie: a=1"}})
	respond(c, x, r)
	if x.Resp.Header.Get("Set-Cookie") != "a=1" {
		t.Error("auth-always-set-cookie does not pass the cookie of a 401 on")
	}
}

func TestSigninURL(t *testing.T) {
	for signin, want := range map[string]string{
		"https://s/":                         "https://s/?rd=https://a%2Fb%3Fc",
		"https://s/?x=1":                     "https://s/?x=1&rd=https://a%2Fb%3Fc",
		"https://s/?rd=$escaped_request_uri": "https://s/?rd=%2Fb%3Fc",
	} {
		_, r, _ := ask(t, map[string]string{"auth-url": "http://auth/", "auth-signin": signin}, "/", "https://a/b?c", block{line: "401"})
		if r.Status != 302 || r.Fields[0].Value != want {
			t.Errorf("%s: %+v, want %s", signin, r, want)
		}
	}
}

// TestVariablesCannotBreakFields holds that a decoded path with a line break makes
// no second field, and no other server is asked.
func TestVariablesCannotBreakFields(t *testing.T) {
	r := read(map[string]string{"auth-url": "http://auth/$uri", "auth-request-redirect": "$uri", "upstream-vhost": "$arg_h"})
	c, _, err := Steps(r.Policies, &Env{Route: &exchange.Route{Path: "/"}, State: exchange.NewState()})
	if err != nil {
		t.Fatal(err)
	}
	x, s := newExchange("GET", "https://a/?h=b", "192.0.2.1", nil)
	x.Path, s.told = "/x\r\nX-Evil: y", block{line: "200"}
	if reply := pass(&c, x); reply == nil || reply.Status != 500 || s.asked != nil {
		t.Errorf("a URL with a line break is asked: %+v", s.asked)
	}
	p := read(map[string]string{"permanent-redirect": "https://b.example$uri"})
	c, _, _ = Steps(p.Policies, &Env{Route: &exchange.Route{Path: "/"}, State: exchange.NewState()})
	if reply := pass(&c, x); reply == nil || strings.ContainsAny(reply.Fields[0].Value, "\r\n") {
		t.Errorf("Location holds a line break: %+v", reply)
	}
}

func TestMisreadsNone(t *testing.T) {
	for agent, want := range map[string]bool{
		"Mozilla/5.0 (X11) AppleWebKit/537.36 Chrome/60.0.1 Safari/537.36":                          true,
		"Mozilla/5.0 (X11) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36":                       false,
		"Mozilla/5.0 (iPhone; CPU iPhone OS 12_4 like Mac OS X) Safari/604.1":                       true,
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/605.1.15 Version/12 Safari/60": true,
		"curl/8": false,
	} {
		if got := misreadsNone(agent); got != want {
			t.Errorf("%s: %v", agent, got)
		}
	}
}
