package routing

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
)

// hostOf makes a host of rules written as "Type path"; the route's ID is the rule.
func hostOf(name string, rules ...string) model.Host {
	h := model.Host{Name: name}
	for _, rule := range rules {
		kind, path, _ := strings.Cut(rule, " ")
		t, ok := map[string]model.PathType{"Prefix": model.Prefix, "Exact": model.Exact, "Regex": model.Regex}[kind]
		if !ok {
			panic(rule)
		}
		h.Routes = append(h.Routes, model.Route{ID: rule, Path: path, PathType: t,
			Origin: model.Origin{Kind: "Ingress", Namespace: "test", Name: "app"}})
	}
	return h
}

// pointers returns hosts as a controller has them, each a copy of its own.
func pointers(hosts ...model.Host) []*model.Host {
	var list []*model.Host
	for _, h := range hosts {
		list = append(list, &h)
	}
	return list
}

func compile(t testing.TB, hosts ...model.Host) *Table {
	t.Helper()
	table, problems := Compile(&model.Controller{Hosts: pointers(hosts...)}, Env{State: exchange.NewState()})
	for _, p := range problems {
		t.Errorf("problem: %s", p)
	}
	return table
}

// match returns "host ID" of the route that takes a request, with ">" before the ID
// when it is the redirect that adds a slash.
func match(t testing.TB, table *Table, host, path string) string {
	t.Helper()
	x := exchange.Exchange{}
	var err error
	if x.HostName, _, err = ParseHost(host, nil); err != nil {
		t.Fatal(err)
	}
	if x.Path, _, err = Normalize(path, nil); err != nil {
		t.Fatal(err)
	}
	r := table.Match(&x)
	if x.Route != &r.Route {
		t.Errorf("Match(%s%s) did not set the route of the exchange", host, path)
	}
	name := r.ID
	if r.leadsTo != nil {
		name = ">" + name
	}
	return r.Host + " " + name
}

func TestHosts(t *testing.T) {
	aliased := hostOf("main.example.com", "Prefix /")
	aliased.Aliases = []string{"Alias.example.com", "*.wild.example.com", "b.example.com"}
	table := compile(t,
		hostOf("", "Prefix /"),
		hostOf("*.example.com", "Prefix /"),
		hostOf("*.wild.example.com", "Prefix /"),
		hostOf("a.example.com", "Prefix /"),
		hostOf("b.example.com", "Prefix /"),
		aliased,
	)
	for host, want := range map[string]string{
		"a.example.com":             "a.example.com",
		"A.Example.Com":             "a.example.com",
		"a.example.com:8080":        "a.example.com",
		"a.example.com.":            "a.example.com",
		"b.example.com":             "b.example.com", // a rule beats an alias
		"main.example.com":          "main.example.com",
		"alias.example.com":         "main.example.com", // an alias beats the wildcard rule
		"x.wild.example.com":        "main.example.com", // a wildcard alias beats a wildcard rule
		"x.y.wild.example.com":      "main.example.com", // and spans labels
		"wild.example.com":          "*.example.com",
		"other.example.com":         "*.example.com",
		"other_1-x.example.com":     "*.example.com",
		"example.com":               "", // not the bare suffix
		"x.other.example.com":       "", // not two labels
		"a~b.example.com":           "", // not a label of letters, digits, "_", "-"
		"":                          "",
		"192.0.2.1":                 "",
		"192.0.2.1:443":             "",
		"[2001:db8::1]:80":          "",
		"a.example.com.evil.test":   "",
		"evil-a.example.com.":       "*.example.com",
		"xn--bcher-kva.example.com": "*.example.com",
	} {
		if got := match(t, table, host, "/"); got != want+" Prefix /" {
			t.Errorf("host %q is taken by %q, want %q", host, got, want)
		}
	}
}

func TestSharedAlias(t *testing.T) {
	a, b := hostOf("a", "Prefix /"), hostOf("b", "Prefix /")
	a.Aliases, b.Aliases = []string{"c"}, []string{"c", "~^x", "d.*", "e"}
	table, problems := Compile(&model.Controller{Hosts: pointers(a, b)}, Env{})
	if got := match(t, table, "c", "/"); got != "a Prefix /" {
		t.Errorf("the shared alias leads to %q, want the first host", got)
	}
	if got := match(t, table, "e", "/"); got != "b Prefix /" {
		t.Errorf("the alias beside a bad one leads to %q", got)
	}
	var values []string
	for _, p := range problems {
		values = append(values, p.Value)
	}
	if !slices.Equal(values, []string{"c", "~^x", "d.*"}) {
		t.Errorf("problems with aliases %q", values)
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		rules string
		want  map[string]string
	}{
		{"Exact /foo", map[string]string{"/foo": "Exact /foo", "/foo/": "", "/foobar": "", "/foo/bar": "", "/": "", "/FOO": ""}},
		{"Prefix /", map[string]string{"/": "Prefix /", "/any/thing": "Prefix /"}},
		{"Prefix /foo", map[string]string{"/foo": "Prefix /foo", "/foo/": "Prefix /foo", "/foo/bar": "Prefix /foo", "/foobar": "", "/fo": "", "/Foo": ""}},
		{"Prefix /foo/", map[string]string{"/foo": ">Prefix /foo/", "/foo/": "Prefix /foo/", "/foo/x": "Prefix /foo/", "/foobar": ""}},
		{"Prefix /foo/,Exact /foo", map[string]string{"/foo": "Exact /foo", "/foo/": "Prefix /foo/"}},
		{"Prefix /foo/,Prefix /foo", map[string]string{"/foo": "Prefix /foo", "/foo/": "Prefix /foo/", "/foo/x": "Prefix /foo/"}},
		{"Prefix /foo/,Prefix /", map[string]string{"/foo": ">Prefix /foo/", "/fo": "Prefix /"}},
		{"Exact /foo/,Prefix /", map[string]string{"/foo": "Prefix /", "/foo/": "Exact /foo/", "/foo/x": "Prefix /"}},
		{"Prefix /aaa/bbb", map[string]string{"/aaa/bbb": "Prefix /aaa/bbb", "/aaa/bbb/ccc": "Prefix /aaa/bbb", "/aaa/bbbccc": "", "/aaa": ""}},
		{"Exact /foo,Prefix /foo", map[string]string{"/foo": "Exact /foo", "/foo/": "Prefix /foo", "/foo/x": "Prefix /foo"}},
		{"Prefix /a,Prefix /a/b,Prefix /a/b/c,Prefix /", map[string]string{
			"/a": "Prefix /a", "/a/b": "Prefix /a/b", "/a/b/c/d": "Prefix /a/b/c", "/a/bc": "Prefix /a", "/ab": "Prefix /", "/a/b/cc": "Prefix /a/b"}},
		// The path is normal before it is compared; the query is no part of it.
		{"Prefix /foo,Exact /a b", map[string]string{"//foo": "Prefix /foo", "/x/../foo/": "Prefix /foo", "/%66oo?/": "Prefix /foo",
			"/foo%2Fbar": "Prefix /foo", "/a%20b": "Exact /a b", "/x?/foo": "", "/foo/../x": ""}},
		// Characters that sort before "/" do not come between a path and what is below it.
		{"Prefix /foo,Prefix /foo-bar,Prefix /foo.d/x,Prefix /", map[string]string{
			"/foo/x": "Prefix /foo", "/foo-bar/x": "Prefix /foo-bar", "/foo-b": "Prefix /", "/foo.d": "Prefix /", "/foo.d/x/y": "Prefix /foo.d/x"}},
		// An empty path means "/".
		{"Prefix ", map[string]string{"/": "Prefix ", "/x": "Prefix "}},
	} {
		table := compile(t, hostOf("h", strings.Split(c.rules, ",")...))
		for path, want := range c.want {
			if got := match(t, table, "h", path); got != "h "+want {
				t.Errorf("rules %s: %s is taken by %q, want %q", c.rules, path, got, "h "+want)
			}
		}
	}
}

func TestRegexHost(t *testing.T) {
	for _, c := range []struct {
		rules string
		want  map[string]string
	}{
		// One expression makes all paths of the host expressions: without regard to
		// case, anchored at the start only, "/" last.
		{"Regex /foo/.+,Regex /foo/bar/.+,Exact /exact,Prefix /pre,Prefix /", map[string]string{
			"/foo/bar/x": "Regex /foo/bar/.+", "/foo/bar/": "Regex /foo/.+", "/FOO/x": "Regex /foo/.+", "/foo/": "Prefix /",
			"/exact": "Exact /exact", "/EXACTly/x": "Exact /exact", "/prefix": "Prefix /pre", "/x/exact": "Prefix /"}},
		// One length: reverse lexical order.
		{"Regex /(a),Regex /(.)", map[string]string{"/a": "Regex /(a)", "/b": "Regex /(.)"}},
		{"Regex /x(b)?,Regex /x(a)?", map[string]string{"/x": "Regex /x(b)?"}},
		// Special characters of a Prefix path are live.
		{"Prefix /a.c,Regex /()", map[string]string{"/abc": "Prefix /a.c", "/a.c": "Prefix /a.c", "/ac": "Regex /()"}},
		// No final slash is added.
		{"Prefix /foo/,Regex /(x)", map[string]string{"/foo": "", "/foo/": "Prefix /foo/"}},
		{"Regex /foo$,Prefix /", map[string]string{"/foo": "Regex /foo$", "/foo/": "Prefix /"}},
	} {
		table := compile(t, hostOf("h", strings.Split(c.rules, ",")...))
		for path, want := range c.want {
			if got := match(t, table, "h", path); got != "h "+want {
				t.Errorf("rules %s: %s is taken by %q, want %q", c.rules, path, got, "h "+want)
			}
		}
	}
}

func TestBrokenRegexIsClosed(t *testing.T) {
	h := hostOf("h", "Regex /admin/(?!public)", "Prefix /admin", "Prefix /")
	for i := range h.Routes {
		h.Routes[i].Upstream = "app"
	}
	table, problems := Compile(&model.Controller{Hosts: pointers(h)}, testEnv(t, "app"))
	if len(problems) != 1 || problems[0].Value != "/admin/(?!public)" || problems[0].Severity != model.Error {
		t.Errorf("problems: %v", problems)
	}
	for path, closed := range map[string]bool{"/admin/users": true, "/ADMIN/": true, "/admin": false, "/": false} {
		x := newExchange("h", path)
		r := table.Match(x)
		reply := run(r, x)
		if got := reply != nil && reply.Err == exchange.RouteClosed; got != closed {
			t.Errorf("%s is closed: %v, want %v (%s)", path, got, closed, r.ID)
		}
	}
}

func TestLiteralStart(t *testing.T) {
	for pattern, want := range map[string]string{
		"/foo/(?!x)": "/foo/", "/foo*(?!x)": "/fo", "/foo?(?!x)": "/fo", "/foo{2}(?!x)": "/fo", "/foo+(?!x)": "/foo",
		"/foo|/bar(?!x)": "", "/(a|b)(?!x)": "/", "/a[|](?!x)": "", `/a\|b(?!x)`: "/a", "(?!x)": "", "/ä(?!": "/",
	} {
		if got := literalStart(pattern); got != want {
			t.Errorf("literalStart(%q) = %q, want %q", pattern, got, want)
		}
	}
}

func TestHostWithoutMatchingPath(t *testing.T) {
	table := compile(t, hostOf("h", "Exact /foo"))
	for _, host := range []string{"h", "other"} {
		x := newExchange(host, "/bar")
		r := table.Match(x)
		if reply := run(r, x); reply == nil || reply.Status != 404 || reply.Err != exchange.NoRoute {
			t.Errorf("%s/bar: %+v, want 404", host, reply)
		}
	}
}

func TestHealth(t *testing.T) {
	table := compile(t, hostOf("", "Regex /(.*)"), hostOf("h", "Prefix /"))
	x := newExchange("unknown", HealthPath)
	r := table.Match(x)
	if reply := run(r, x); reply == nil || reply.Status != 200 || len(reply.Body) != 0 || !r.NoLog {
		t.Errorf("%s: %+v, NoLog %v; want 200, empty, not logged", HealthPath, reply, r.NoLog)
	}
	if got := match(t, table, "h", HealthPath); got != "h Prefix /" {
		t.Errorf("%s of a named host is taken by %q", HealthPath, got)
	}
	table = compile(t, hostOf("", "Exact /healthz", "Prefix /"))
	if got := match(t, table, "", HealthPath); got != " Exact /healthz" {
		t.Errorf("a rule for %s gives way to %q", HealthPath, got)
	}
}

func TestSamePathTwice(t *testing.T) {
	h := hostOf("h", "Prefix /", "Prefix /a", "Exact /a", "Prefix /a")
	h.Routes[0].Implicit = true
	h.Routes[3].ID = "second"
	explicit := model.Route{ID: "explicit", Path: "/"}
	h.Routes = append(h.Routes, explicit)
	table, problems := Compile(&model.Controller{Hosts: pointers(h, hostOf("h", "Prefix /"))}, Env{})
	if len(problems) != 2 {
		t.Errorf("problems %v, want one for the path and one for the host", problems)
	}
	if got := match(t, table, "h", "/a/b"); got != "h Prefix /a" {
		t.Errorf("/a/b is taken by %q, want the first of its kind", got)
	}
	if got := match(t, table, "h", "/"); got != "h explicit" {
		t.Errorf("/ is taken by %q, want the written one before the implied one", got)
	}
}

func TestSlashRedirect(t *testing.T) {
	table := compile(t, hostOf("h", "Prefix /a b/"))
	for _, c := range []struct {
		tls  bool
		host string
		path string
		want string
	}{
		{false, "h", "/a b", "http://h/a%20b/"},
		{true, "h", "/a b", "https://h/a%20b/"},
	} {
		x := newExchange(c.host, c.path)
		x.Query = "q=1&r"
		x.Conn = &exchange.Conn{ListenerTLS: c.tls}
		reply := run(table.Match(x), x)
		if reply == nil || reply.Status != 301 || len(reply.Fields) != 1 || reply.Fields[0].Name != "Location" || reply.Fields[0].Value != c.want+"?q=1&r" {
			t.Errorf("%s%s: %+v, want 301 to %s", c.host, c.path, reply, c.want)
		}
	}
}

func TestExplain(t *testing.T) {
	table := compile(t, hostOf("h", "Prefix /", "Prefix /foo", "Exact /foo", "Prefix /foo/bar", "Prefix /dir/"), hostOf("*.w", "Regex /a(.)", "Prefix /"))
	text := func(cs []Considered) string {
		var b strings.Builder
		for _, c := range cs {
			id := "host"
			if c.Route != nil {
				id = c.Route.ID
			}
			fmt.Fprintf(&b, "%v %s: %s\n", c.Taken, id, c.Why)
		}
		return b.String()
	}
	for _, c := range []struct{ host, path, want string }{
		{"H:80", "/foo/x", `true host: the host is named by a rule or an alias
false Prefix /foo/bar: "/foo/x" does not begin with "/foo/bar"
false Prefix /dir/: "/foo/x" does not begin with "/dir/"
false Exact /foo: the path is "/foo/x", not "/foo"
true Prefix /foo: "/foo" is the longest prefix of "/foo/x"
false Prefix /: comes after the route that takes the request
`},
		{"h", "/dir", `true host: the host is named by a rule or an alias
false Prefix /foo/bar: "/dir" does not begin with "/foo/bar"
true Prefix /dir/: only the final slash of "/dir/" is missing: 301 adds it
false Exact /foo: comes after the route that takes the request
false Prefix /foo: comes after the route that takes the request
false Prefix /: comes after the route that takes the request
`},
		{"h", "/foobar", `true host: the host is named by a rule or an alias
false Prefix /foo/bar: "/foobar" does not begin with "/foo/bar"
false Prefix /dir/: "/foobar" does not begin with "/dir/"
false Exact /foo: the path is "/foobar", not "/foo"
false Prefix /foo: "/foobar" begins with "/foo", but only with a part of a path element
true Prefix /: "/" is the longest prefix of "/foobar"
`},
		{"x.w", "/b", `true host: the host is one label below a wildcard rule
false Regex /a(.): the expression "/a(.)" does not match "/b" from its start
true Prefix /: the expression "/" matches "/b" from its start
`},
		{"nobody", "/b", `true host: no rule names the host: the catch-all takes it
true : the controller answers it itself
`},
		{"a b", "/", `false host: the request is answered 400: host is not a name or an address with an optional port, such as "example.com:8080" or "[::1]"
`},
	} {
		if got := text(table.Explain(c.host, c.path)); got != c.want {
			t.Errorf("Explain(%s, %s):\n%swant:\n%s", c.host, c.path, got, c.want)
		}
	}
}
