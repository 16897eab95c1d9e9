package policy

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
)

var app = model.Origin{Kind: "Ingress", Namespace: "default", Name: "app", File: "app.yaml", Line: 1}

// read is Route for annotations of the main prefix.
func read(annotations map[string]string) Result {
	full := map[string]string{}
	for k, v := range annotations {
		full[DefaultPrefix+"/"+k] = v
	}
	return Route(Input{Origin: app, Namespace: "default", Annotations: full})
}

func has[T model.Policy](r Result) (p T, ok bool) {
	for _, q := range r.Policies {
		if p, ok := q.(T); ok {
			return p, true
		}
	}
	return p, false
}

func reasons(r Result) string {
	var b strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}

// TestBadValues holds what each kind of bad value does, as declared.
func TestBadValues(t *testing.T) {
	for _, c := range []struct {
		key, value string
		closed     bool
		reject     bool
	}{
		{"ssl-redirect", "maybe", false, false},
		{"proxy-read-timeout", "10s", false, false},
		{"limit-rps", "many", false, true},
		{"limit-connections", "-1", false, true},
		{"whitelist-source-range", "10.0.0.0/8, home", true, false},
		{"denylist-source-range", "10.0.0.0/99", true, false},
		{"auth-type", "kerberos", false, true},
		{"auth-realm", "a\"b", false, true},
		{"auth-secret", "a/b/c", true, false},
		{"auth-url", "/oauth2/auth", true, false},
		{"auth-url", "http://", true, false},
		{"auth-url", "https://$nohost/auth", true, false},
		{"auth-url", "https://a..b/auth", true, false},
		{"auth-url", "https://user:secret@auth.example.com/", true, false},
		{"auth-method", "FETCH", true, false},
		{"auth-response-headers", "X-User, X User", true, false},
		{"auth-always-set-cookie", "maybe", true, false},
		{"auth-request-redirect", "$nothing", true, false},
		{"auth-signin", "nowhere", false, false},
		{"auth-signin", "https://auth.example.com/", false, false},
		{"auth-secret", "users", false, false},
		{"temporal-redirect", "ftp://example.com", false, false},
		{"permanent-redirect-code", "moved", false, true},
		{"auth-tls-secret", "default/ca", true, false},
		{"configuration-snippet", "deny all;", true, false},
		{"configuration-snippet", "more_set_headers \"X-A: b\";", false, false},
		{"canary", "true", false, true},
		{"canary", "false", false, false},
		{"proxy-ssl-verify", "on", true, false},
		{"proxy-ssl-verify", "off", false, false},
	} {
		r := read(map[string]string{c.key: c.value})
		if (r.Closed != "") != c.closed || r.Reject != c.reject {
			t.Errorf("%s: %q: closed %q, reject %v; want %v, %v", c.key, c.value, r.Closed, r.Reject, c.closed, c.reject)
		}
		if len(r.Problems) != 1 {
			t.Errorf("%s: %q: problems\n%swant one", c.key, c.value, reasons(r))
			continue
		}
		p := r.Problems[0]
		if !strings.Contains(p.Field, c.key) || p.Origin.Name != "app" || p.Reason == "" {
			t.Errorf("%s: the problem does not name it: %s", c.key, p)
		}
		if (p.Severity == model.Error) != (c.closed || c.reject && !isKnownName(c.key)) {
			t.Errorf("%s: severity of %s", c.key, p)
		}
		if _, closed := has[*Closed](r); closed != c.closed {
			t.Errorf("%s: has a step that answers 503: %v", c.key, closed)
		}
	}
}

func isKnownName(name string) bool { _, ok := knownAnnotations[name]; return ok }

// TestGuardsNeverOpen holds that no key of a guard is dropped or replaced by a
// default when that would let in whom it should not.
func TestGuardsNeverOpen(t *testing.T) {
	for _, unit := range []string{"source-range", "block-cidrs", "block", "basic-auth", "external-auth", "limit-requests", "limit-connections"} {
		for _, k := range units[unit].Keys {
			if d := k.decl(); d.OnBad == Drop {
				t.Errorf("%s of guard %s is dropped when it is bad", d.Name, unit)
			}
		}
	}
}

func TestBasicAuthSecret(t *testing.T) {
	for _, c := range []struct {
		name        string
		annotations map[string]string
		data        map[string][]byte
		says        string
	}{
		{"no annotation", map[string]string{"auth-type": "basic"}, nil, "auth-secret is not"},
		{"no Secret", map[string]string{"auth-type": "basic", "auth-secret": "users"}, nil, "cannot be read"},
		{"other namespace", map[string]string{"auth-type": "basic", "auth-secret": "other/users"}, map[string][]byte{"auth": []byte("a:{PLAIN}b")}, "another namespace"},
		{"no key", map[string]string{"auth-type": "basic", "auth-secret": "users"}, map[string][]byte{"users": []byte("a:{PLAIN}b")}, `no key "auth"`},
		{"no users", map[string]string{"auth-type": "basic", "auth-secret": "users"}, map[string][]byte{"auth": []byte("# none\n")}, "no users"},
		{"bad hash", map[string]string{"auth-type": "basic", "auth-secret": "users"}, map[string][]byte{"auth": []byte("a:s3cr3t")}, "no known format"},
		{"empty map", map[string]string{"auth-type": "basic", "auth-secret": "users", "auth-secret-type": "auth-map"}, map[string][]byte{}, "no users"},
		{"digest", map[string]string{"auth-type": "digest", "auth-secret": "users"}, nil, "not yet supported"},
	} {
		full := map[string]string{}
		for k, v := range c.annotations {
			full["ingress.kubernetes.io/"+k] = v
		}
		r := Route(Input{Origin: app, Namespace: "default", Annotations: full, Secret: func(string, string) (map[string][]byte, error) {
			if c.data == nil {
				return nil, errors.New("there is no such Secret")
			}
			return c.data, nil
		}})
		if r.Closed == "" || !strings.Contains(reasons(r), c.says) {
			t.Errorf("%s: closed %q, problems\n%s", c.name, r.Closed, reasons(r))
		}
		if strings.Contains(reasons(r), "s3cr3t") {
			t.Errorf("%s: a problem tells a hash:\n%s", c.name, reasons(r))
		}
		if _, ok := has[*BasicAuth](r); ok {
			t.Errorf("%s: has a basic-auth policy", c.name)
		}
	}
}

func TestPrefixesAndAliases(t *testing.T) {
	r := Route(Input{Origin: app, Annotations: map[string]string{
		"ingress.kubernetes.io/limit-rps":                           "1",
		"nginx.ingress.kubernetes.io/limit-rps":                     "2",
		"pierhead.dev/limit-rps":                                    " 3 ",
		"nginx.ingress.kubernetes.io/whitelist-source-range":        "10.0.0.0/8",
		"nginx.ingress.kubernetes.io/allowlist-source-range":        "10.0.0.1",
		"nginx.ingress.kubernetes.io/limit-rpm":                     "",
		"cert-manager.io/cluster-issuer":                            "x",
		"kubernetes.io/ingress.class":                               "nginx",
		"nginx.ingress.kubernetes.io/proxy-reed-timeout":            "5",
		"nginx.ingress.kubernetes.io/server-tokens":                 "true",
		"nginx.ingress.kubernetes.io/force-ssl-redirect":            "true\n",
		"other.ingress.kubernetes.io/limit-connections":             "5",
		"ingress.kubernetes.io/ssl-redirect":                        "false",
		"nginx.ingress.kubernetes.io/nonsense-that-looks-like-none": "1",
	}})
	l, ok := has[*LimitRequests](r)
	if !ok || l.PerSecond != 3 || l.PerMinute != 0 {
		t.Errorf("the newest prefix does not win: %+v", l)
	}
	if len(l.From) != 1 || l.From[0].Field != "metadata.annotations[pierhead.dev/limit-rps]" || l.From[0].Value != "3" {
		t.Errorf("the policy does not know where it came from: %+v", l.From)
	}
	if s, _ := has[*SourceRange](r); s == nil || s.Allow[0].String() != "10.0.0.1/32" {
		t.Errorf("the alias wins: %+v", s)
	}
	if _, ok := has[*LimitConnections](r); ok {
		t.Error("an annotation of another prefix counts")
	}
	if p, _ := has[*SSLRedirect](r); p == nil || !p.Force {
		t.Error("a value with space around it is not read")
	}
	text := reasons(r)
	for _, want := range []string{`did you mean "proxy-read-timeout"`, "key of the ConfigMap", "gives the same key"} {
		if !strings.Contains(text, want) {
			t.Errorf("no problem says %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "cert-manager") || len(r.Problems) != 6 {
		t.Errorf("%d problems, want 6:\n%s", len(r.Problems), text)
	}
	again := Route(Input{Origin: app, Prefix: "my.corp", Annotations: map[string]string{"my.corp/limit-rps": "7", "nginx.ingress.kubernetes.io/limit-rps": "8"}})
	if l, _ := has[*LimitRequests](again); l == nil || l.PerSecond != 7 {
		t.Errorf("the prefix cannot be set: %+v", l)
	}
}

func TestLayers(t *testing.T) {
	g, ps := ReadGlobal(map[string]string{
		"ssl-redirect": "false", "proxy-read-timeout": "5", "whitelist-source-range": "10.0.0.0/8", "hsts": "false",
		"enable-sticky-sessions": "true", "keep-alive": "10", "client-header-timeout": "1m", "use-proxy-protocol": "true",
		"limit-rps": "5", "hstss": "true", "gzip-types": "text/plain", "log-format-upstream": "$remote_addr $nothing",
	}, model.Origin{Kind: "ConfigMap", Namespace: "default", Name: "c"}, func(string) int { return 7 })
	if len(ps) != 5 {
		t.Errorf("problems %v, want 5", ps)
	}
	for _, p := range ps {
		if p.Origin.Line != 7 || p.Origin.Kind != "ConfigMap" {
			t.Errorf("a problem without its place: %s", p)
		}
	}
	if s := g.Settings; s.KeepAlive != 10*time.Second || s.HeaderTimeout != time.Minute || s.AccessLogFormat != exchange.DefaultLogFormat || !g.ProxyProtocol {
		t.Errorf("settings %+v", s)
	}
	r := Route(Input{Origin: app, Settings: g, Annotations: map[string]string{"nginx.ingress.kubernetes.io/proxy-read-timeout": "7s"}})
	p, _ := has[*Timeouts](r)
	if p == nil || p.Read != 5*time.Second {
		t.Errorf("a bad annotation does not fall back to the ConfigMap: %+v", p)
	} else if p.From[0].Origin.Kind != "ConfigMap" {
		t.Errorf("the value's origin is %+v", p.From[0])
	}
	if _, ok := has[*SSLRedirect](r); ok {
		t.Error("ssl-redirect of the ConfigMap does not count")
	}
	if _, ok := has[*HSTS](r); ok {
		t.Error("hsts of the ConfigMap does not count")
	}
	if s, _ := has[*Sticky](r); s == nil || s.Cookie != "route" || r.Upstream.Sticky == nil {
		t.Errorf("enable-sticky-sessions: %+v", s)
	}
	r = Route(Input{Origin: app, Settings: g, Annotations: map[string]string{"nginx.ingress.kubernetes.io/whitelist-source-range": "192.0.2.0/24"}})
	if s, _ := has[*SourceRange](r); s == nil || len(s.Allow) != 1 || s.Allow[0].String() != "192.0.2.0/24" {
		t.Errorf("the annotation does not replace the ConfigMap's list: %+v", s)
	}
}

// TestBadGuardInConfigMap holds that a list which cannot be read closes the routes
// that need it, and no others.
func TestBadGuardInConfigMap(t *testing.T) {
	g, ps := ReadGlobal(map[string]string{"whitelist-source-range": "10.0.0.0/8,home"}, model.Origin{Kind: "ConfigMap", Name: "c"}, nil)
	if len(ps) != 1 || ps[0].Severity != model.Error {
		t.Errorf("problems %v", ps)
	}
	if r := Route(Input{Origin: app, Settings: g}); r.Closed == "" {
		t.Error("a route is open that the list should guard")
	}
	if r := Route(Input{Origin: app, Settings: g, Annotations: map[string]string{DefaultPrefix + "/whitelist-source-range": "10.0.0.0/8"}}); r.Closed != "" {
		t.Errorf("a route with a list of its own is closed: %s", r.Closed)
	}
	g, _ = ReadGlobal(map[string]string{"global-auth-url": "nowhere"}, model.Origin{Kind: "ConfigMap", Name: "c"}, nil)
	if r := Route(Input{Origin: app, Settings: g}); r.Closed == "" {
		t.Error("a route is open that global-auth-url should guard")
	}
	if r := Route(Input{Origin: app, Settings: g, Annotations: map[string]string{DefaultPrefix + "/enable-global-auth": "false"}}); r.Closed != "" {
		t.Errorf("a route that needs no global-auth-url is closed: %s", r.Closed)
	}
}

func TestDefaults(t *testing.T) {
	g, ps := ReadGlobal(nil, model.Origin{}, nil)
	if len(ps) > 0 {
		t.Fatal(ps)
	}
	s := g.Settings
	if s.KeepAlive != 75*time.Second || s.KeepAliveRequests != 1000 || s.MaxLine != 8192 || s.MaxHead != 32768 || !s.HTTP2 || s.MaxStreams != 128 ||
		s.TLSMin != 0x303 || s.TLSMax != 0x304 || s.Underscores || s.InvalidHeaders || len(s.TrustedProxies) != 2 || !s.GenerateRequestID ||
		s.KeepUpstream != 320 || s.UpstreamLife != time.Hour || !s.AccessLog || s.DrainTimeout != 240*time.Second {
		t.Errorf("defaults %+v", s)
	}
	r := Route(Input{Origin: app})
	var got []string
	for _, p := range r.Policies {
		got = append(got, p.PolicyName())
	}
	want := []string{"client", "ssl-redirect", "forwarded-headers", "hsts"}
	if !slices.Equal(got, want) {
		t.Errorf("a plain route has %v, want %v", got, want)
	}
	_, f, err := Steps(r.Policies, &Env{Route: &exchange.Route{}, State: exchange.NewState()})
	if err != nil || f != exchange.DefaultForward {
		t.Errorf("a plain route is sent on by %+v, %v", f, err)
	}
}

// TestOrder holds that every policy has one place, and that phases ascend.
func TestOrder(t *testing.T) {
	seen := map[reflect.Type]bool{}
	last := exchange.PostRead
	for _, p := range order {
		ty := reflect.TypeOf(p)
		if seen[ty] {
			t.Errorf("%s is in the order twice", p.PolicyName())
		}
		seen[ty] = true
		if b, ok := p.(Builder); ok {
			if b.Phase() < last {
				t.Errorf("%s runs in phase %s, after %s", p.PolicyName(), b.Phase(), last)
			}
			last = b.Phase()
		}
		if _, ok := p.(interface{ Written() []Written }); !ok {
			t.Errorf("%s does not know where it came from", p.PolicyName())
		}
	}
	if _, _, err := Steps([]model.Policy{unordered{}}, &Env{Route: &exchange.Route{}}); err == nil {
		t.Error("a policy without a place is built")
	}
}

type unordered struct{}

func (unordered) PolicyName() string { return "unordered" }

// TestAvailableStandsInItsPhase holds that a route without endpoint answers before
// limits and access.
func TestAvailableStandsInItsPhase(t *testing.T) {
	r := read(map[string]string{"limit-rps": "1", "whitelist-source-range": "10.0.0.0/8", "force-ssl-redirect": "true"})
	mark := &available{}
	c, _, err := Steps(r.Policies, &Env{Route: &exchange.Route{}, State: exchange.NewState(), Available: mark})
	if err != nil {
		t.Fatal(err)
	}
	at := func(match func(any) bool) int {
		return slices.IndexFunc(c.Request, func(s exchange.Step) bool { return match(s) })
	}
	redirect := at(func(s any) bool { _, ok := s.(*SSLRedirect); return ok })
	here := at(func(s any) bool { return s == mark })
	limits := at(func(s any) bool { _, ok := s.(*limitRequestsStep); return ok })
	if redirect < 0 || !(redirect < here && here < limits) {
		t.Errorf("redirect %d, available %d, limits %d", redirect, here, limits)
	}
}

type available struct{ n int }

func (*available) Request(*exchange.Exchange) *exchange.Reply { return nil }

func TestLimitsOutliveTables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := exchange.NewState()
		r := read(map[string]string{"limit-rps": "2", "limit-burst-multiplier": "1", "limit-connections": "2"})
		build := func() exchange.Chain {
			c, _, err := Steps(r.Policies, &Env{Route: &exchange.Route{Namespace: "default", Ingress: "app"}, State: state})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first, second := build(), build()
		x, s := newExchange("GET", "https://a/", "192.0.2.1", nil)
		s.clock = time.Now()
		var got []int
		for i, c := range []exchange.Chain{first, second, first, second, second} {
			if i == 4 {
				time.Sleep(time.Second)
				s.clock = time.Now()
			}
			r := pass(&c, x)
			if r == nil {
				got = append(got, 0)
				c.Log[0].Log(x)
				continue
			}
			got = append(got, r.Status)
		}
		if want := []int{0, 0, 0, 503, 0}; !slices.Equal(got, want) {
			t.Errorf("replies %v, want %v", got, want)
		}
	})
}

func TestDeclaredTwicePanics(t *testing.T) {
	for name, f := range map[string]func(){
		"unit": func() { Register(Unit{Name: "hsts"}) },
		"key":  func() { declare("x", Bool("limit-rps", false, "")) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a %s declared twice does not panic", name)
				}
			}()
			f()
		}()
	}
}
