package routing

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
	"github.com/pierhead/pierhead/internal/upstream"
)

// testEnv has a pool with one endpoint for each name.
func testEnv(t testing.TB, names ...string) Env {
	set := upstream.NewSet(nil)
	t.Cleanup(set.Close)
	var ups []model.Upstream
	var eps []model.EndpointSet
	for _, n := range names {
		ups = append(ups, model.Upstream{Name: n})
		eps = append(eps, model.EndpointSet{Upstream: n, Endpoints: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:80")}})
	}
	set.Apply(ups, upstream.DefaultKeepAlive)
	set.SetEndpoints(eps)
	return Env{Pools: set.Pool, State: exchange.NewState()}
}

func newExchange(host, path string) *exchange.Exchange {
	return &exchange.Exchange{HostName: host, Path: path, Conn: &exchange.Conn{}, Run: stillness{}}
}

// stillness is a Runtime without a loop.
type stillness struct{}

func (stillness) Do(*exchange.Exchange, *exchange.URL, *message.Request, *message.Response) (func(), error) {
	return nil, errors.New("nobody to ask")
}
func (stillness) Await(f func()) { f() }
func (stillness) Now() time.Time { return time.Time{} }

// run runs the request half of a chain.
func run(r *Route, x *exchange.Exchange) *exchange.Reply {
	for _, s := range r.Chain.Request {
		if reply := s.Request(x); reply != nil {
			return reply
		}
	}
	return nil
}

// fakePolicy becomes a step that notes its name, or replies with it.
type fakePolicy struct {
	name  string
	phase exchange.Phase
	err   error
	steps *[]string
}

func (p *fakePolicy) PolicyName() string             { return p.name }
func (p *fakePolicy) Phase() exchange.Phase          { return p.phase }
func (p *fakePolicy) Build(*policy.Env) (any, error) { return p, p.err }
func (p *fakePolicy) Configure(f *exchange.Forward)  { f.VHost += p.name }
func (p *fakePolicy) Response(*exchange.Exchange)    { *p.steps = append(*p.steps, "~"+p.name) }
func (p *fakePolicy) Request(*exchange.Exchange) *exchange.Reply {
	*p.steps = append(*p.steps, p.name)
	return nil
}

// byPhase puts fake policies, which policy.Steps has no place for, in the order of
// their phases.
func byPhase(ps []model.Policy, env *policy.Env) (exchange.Chain, exchange.Forward, error) {
	var c exchange.Chain
	var f exchange.Forward
	for phase := exchange.PostRead; phase <= exchange.Respond; phase++ {
		if phase == exchange.Available && env.Available != nil {
			c.Append(env.Available)
		}
		for _, p := range ps {
			if b := p.(policy.Builder); b.Phase() == phase {
				step, err := b.Build(env)
				if err != nil {
					return c, f, err
				}
				c.Append(step)
			}
			if g, ok := p.(policy.Configurer); ok && phase == exchange.PostRead {
				g.Configure(&f)
			}
		}
	}
	return c, f, nil
}

func TestChain(t *testing.T) {
	var steps []string
	all := func() []model.Policy {
		var ps []model.Policy
		for phase := exchange.Respond; ; phase-- {
			if phase != exchange.Available {
				ps = append(ps, &fakePolicy{name: phase.String(), phase: phase, steps: &steps})
			}
			if phase == exchange.PostRead {
				return ps
			}
		}
	}
	for _, c := range []struct {
		name   string
		route  model.Route
		err    bool // the access policy cannot be built
		status int
		steps  []string
		closed bool
	}{
		{"an endpoint", model.Route{Upstream: "full"}, false, 0,
			[]string{"post-read", "preflight", "redirect", "pre-access", "access", "rewrite", "respond"}, false},
		{"no endpoint", model.Route{Upstream: "none"}, false, 503,
			[]string{"post-read", "preflight", "redirect"}, false},
		{"the controller answers", model.Route{}, false, 404,
			[]string{"post-read", "preflight", "redirect", "pre-access", "access", "rewrite", "respond"}, false},
		{"closed by translation", model.Route{Upstream: "full", Closed: "no secret"}, false, 503, []string{"post-read", "preflight", "redirect"}, true},
		{"a policy that cannot be built", model.Route{Upstream: "full"}, true, 503, []string{"post-read", "preflight", "redirect"}, true},
		{"no such upstream", model.Route{Upstream: "missing"}, false, 503, []string{"post-read", "preflight", "redirect"}, true},
	} {
		env := testEnv(t, "full")
		env.Steps = byPhase
		set := upstream.NewSet(nil)
		set.Apply([]model.Upstream{{Name: "none"}}, upstream.DefaultKeepAlive)
		full := env.Pools
		env.Pools = func(name string) *upstream.Pool {
			if name == "none" {
				return set.Pool(name)
			}
			return full(name)
		}
		steps = nil
		c.route.Path, c.route.Policies = "/", all()
		if c.err {
			c.route.Policies[2].(*fakePolicy).err = errors.New("the secret is gone")
		}
		other := model.Route{Path: "/other", Upstream: "full"}
		table, problems := Compile(&model.Controller{Hosts: pointers(model.Host{Name: "h", Routes: []model.Route{c.route, other}})}, env)
		x := newExchange("h", "/")
		r := table.Match(x)
		status := 0
		if reply := run(r, x); reply != nil {
			if status = reply.Status; c.closed != (reply.Err == exchange.RouteClosed) {
				t.Errorf("%s: the reply stands for %s", c.name, reply.Err)
			}
		}
		if status != c.status || !slices.Equal(steps, c.steps) {
			t.Errorf("%s: status %d after steps %q, want %d after %q", c.name, status, steps, c.status, c.steps)
		}
		if c.closed != (r.Closed != "") {
			t.Errorf("%s: closed because of %q", c.name, r.Closed)
		}
		if told := len(problems) == 1; told != (c.closed && c.route.Closed == "") {
			t.Errorf("%s: problems %v", c.name, problems)
		}
		if want := len(c.route.Policies); (len(r.Chain.Response) != want && !c.err) || (len(r.Chain.Response) != want-1 && c.err) || r.Forward.VHost == "" {
			t.Errorf("%s: %d response steps, want %d; forward %+v", c.name, len(r.Chain.Response), want, r.Forward)
		}
		x = newExchange("h", "/other")
		if reply := run(table.Match(x), x); reply != nil {
			t.Errorf("%s: the route beside it answers %+v", c.name, reply)
		}
	}
}

// TestRedirectKeepsResponseHalf: the answer that adds a slash carries what every answer
// of its route carries, and nothing is counted or asked for before it.
func TestRedirectKeepsResponseHalf(t *testing.T) {
	var steps []string
	h := hostOf("h", "Prefix /foo/")
	h.Routes[0].Policies = []model.Policy{&fakePolicy{name: "p", phase: exchange.Access, steps: &steps}}
	table, _ := Compile(&model.Controller{Hosts: pointers(h)}, Env{Steps: byPhase})
	x := newExchange("h", "/foo")
	r := table.Match(x)
	if reply := run(r, x); reply == nil || reply.Status != 301 || steps != nil {
		t.Errorf("reply %+v after steps %q", reply, steps)
	}
	if len(r.Chain.Response) != 1 {
		t.Errorf("%d response steps, want 1", len(r.Chain.Response))
	}
}

func TestLive(t *testing.T) {
	var live Live
	if live.Load() != nil {
		t.Error("a table before the first Swap")
	}
	a, b := compile(t), compile(t)
	if live.Swap(a) != nil || live.Swap(b) != a || live.Load() != b {
		t.Error("Swap does not return the table before")
	}
}

func TestRoutes(t *testing.T) {
	table := compile(t, hostOf("a", "Prefix /", "Exact /x"), hostOf("b", "Prefix /"))
	var got []string
	for r := range table.Routes() {
		got = append(got, r.Host+" "+r.ID)
		if len(got) == 3 {
			break
		}
	}
	if want := []string{"a Prefix /", "a Exact /x", "b Prefix /"}; !slices.Equal(got, want) {
		t.Errorf("routes %q, want %q", got, want)
	}
}

func manyHosts(n int) []model.Host {
	hosts := make([]model.Host, n)
	for i := range hosts {
		hosts[i] = hostOf(fmt.Sprintf("host-%d.example.com", i), "Prefix /", "Prefix /api", "Prefix /api/v1/users", "Exact /login")
	}
	return hosts
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			table := compile(b, manyHosts(n)...)
			x := newExchange(fmt.Sprintf("host-%d.example.com", n/2), "")
			b.ReportAllocs()
			for b.Loop() {
				x.Path, x.Query, _ = Normalize("/api/v1/users/7?x=y", nil)
				table.Match(x)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	hosts := pointers(manyHosts(10000)...)
	for b.Loop() {
		Compile(&model.Controller{Hosts: hosts}, Env{})
	}
}
