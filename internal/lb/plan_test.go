package lb_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pierhead/pierhead/internal/lb"
	"github.com/pierhead/pierhead/internal/model"
)

var compare = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
}

// service returns a LoadBalancer Service with ports 80 and 443, or with the given ones.
func service(name string, ports ...uint16) model.LoadBalancer {
	if len(ports) == 0 {
		ports = []uint16{80, 443}
	}
	d := model.LoadBalancer{Namespace: "default", Name: name, Origin: model.Origin{Kind: "Service", Namespace: "default", Name: name}}
	for _, p := range ports {
		d.Ports = append(d.Ports, model.LoadBalancerPort{Name: fmt.Sprint("p", p), Protocol: "TCP", Port: p})
	}
	return d
}

func internal(d model.LoadBalancer) model.LoadBalancer {
	d.Internal = true
	return d
}

// services returns n Services, every third of them internal.
func services(n int) []model.LoadBalancer {
	var out []model.LoadBalancer
	for i := range n {
		d := service(fmt.Sprintf("app-%d", i))
		d.Internal = i%3 == 0
		out = append(out, d)
	}
	return out
}

func rules(external, internal string) lb.Rules {
	return lb.Rules{External: netip.MustParsePrefix(external), Internal: netip.MustParsePrefix(internal)}
}

func plan(t *testing.T, current lb.State, desired []model.LoadBalancer, r lb.Rules) lb.State {
	t.Helper()
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	state, _, problems := lb.Plan(current, desired, r)
	for _, p := range problems {
		t.Error(p)
	}
	return state
}

func TestEachServiceHasAnAddressOfItsOwnRange(t *testing.T) {
	state := plan(t, nil, services(2000), lb.DefaultRules())
	if len(state) != 2000 {
		t.Fatalf("%d Services have an address, want 2000", len(state))
	}
	seen := map[netip.Addr]string{}
	names := map[string]string{}
	for _, a := range state {
		want := lb.DefaultExternal
		if a.Internal {
			want = lb.DefaultInternal
		}
		if !want.Contains(a.Address) {
			t.Errorf("%s has %s, which is not in %s", a.Key(), a.Address, want)
		}
		if last := a.Address.As4()[3]; last == 0 || last == 255 {
			t.Errorf("%s has %s, which looks like a network or broadcast address", a.Key(), a.Address)
		}
		if other := seen[a.Address]; other != "" {
			t.Errorf("%s and %s share %s", other, a.Key(), a.Address)
		}
		if other := names[a.Hostname]; other != "" {
			t.Errorf("%s and %s share %s", other, a.Key(), a.Hostname)
		}
		seen[a.Address], names[a.Hostname] = a.Key(), a.Key()
	}
}

func TestAddressesDoNotDependOnOrderAndStayOverRestarts(t *testing.T) {
	desired := services(300)
	want := plan(t, nil, desired, lb.DefaultRules())
	for range 5 {
		rand.Shuffle(len(desired), func(i, j int) { desired[i], desired[j] = desired[j], desired[i] })
		if diff := cmp.Diff(want, plan(t, nil, desired, lb.DefaultRules()), compare); diff != "" {
			t.Fatal(diff)
		}
	}
}

// A range of 14 addresses makes nearly every Service meet another.
func TestWhatAServiceHasItKeeps(t *testing.T) {
	r := rules("127.80.0.0/28", "127.81.0.0/28")
	all := []model.LoadBalancer{}
	for i := range 14 {
		all = append(all, service(fmt.Sprint("s", i)))
	}
	state := plan(t, nil, all[7:], r)
	before := state
	state = plan(t, state, all, r)
	for _, a := range before {
		now, ok := state.Find(a.Key())
		if !ok || now.Address != a.Address {
			t.Errorf("%s had %s and has %s", a.Key(), a.Address, now.Address)
		}
	}
	kept := plan(t, state, all[:3], r)
	for _, a := range kept {
		if was, _ := state.Find(a.Key()); was.Address != a.Address {
			t.Errorf("%s moved from %s to %s when others went", a.Key(), was.Address, a.Address)
		}
	}
	if len(kept) != 3 {
		t.Errorf("%d Services left, want 3", len(kept))
	}
}

func TestAFullRangeIsAProblemOfTheServiceWithoutAddress(t *testing.T) {
	r := rules("127.80.0.0/30", "127.81.0.0/16") // .1, .2 and .3
	desired := []model.LoadBalancer{service("a"), service("b"), service("c"), service("d"), internal(service("e"))}
	state, _, problems := lb.Plan(nil, desired, r)
	if len(state) != 4 {
		t.Errorf("%d Services have an address, want 4", len(state))
	}
	if len(problems) != 1 || problems[0].Origin.Name != "d" || problems[0].Severity != model.Error || !strings.Contains(problems[0].Reason, "127.80.0.0/30") {
		t.Errorf("problems: %v", problems)
	}
	if _, ok := state.Find("default/e"); !ok {
		t.Error("the internal Service lost its address to a full external range")
	}
	state, _, problems = lb.Plan(state, append(desired[1:3], desired[3]), r)
	if len(problems) != 0 || len(state) != 3 {
		t.Errorf("a freed address was not given out: %v %v", state, problems)
	}
}

func TestAServiceThatBecomesInternalGetsAnInternalAddress(t *testing.T) {
	old := plan(t, nil, []model.LoadBalancer{service("a"), service("b")}, lb.DefaultRules())
	now, changes, _ := lb.Plan(old, []model.LoadBalancer{internal(service("a")), service("b")}, lb.DefaultRules())
	a, _ := now.Find("default/a")
	if !lb.DefaultInternal.Contains(a.Address) || !strings.HasPrefix(a.Hostname, "internal-a") {
		t.Errorf("internal Service has %s %s", a.Address, a.Hostname)
	}
	if len(changes.Update) != 1 || len(changes.Create)+len(changes.Delete) != 0 || changes.Update[0].Old.Address != old[0].Address {
		t.Errorf("changes %+v", changes)
	}
}

func TestChanges(t *testing.T) {
	old, changes, _ := lb.Plan(nil, []model.LoadBalancer{service("a"), service("b")}, lb.DefaultRules())
	if len(changes.Create) != 2 || changes.Create[0].Name != "a" {
		t.Errorf("first plan: %+v", changes)
	}
	same, changes, _ := lb.Plan(old, []model.LoadBalancer{service("b"), service("a")}, lb.DefaultRules())
	if !changes.Empty() {
		t.Errorf("nothing changed, but %+v", changes)
	}
	_, changes, _ = lb.Plan(same, []model.LoadBalancer{service("b", 80)}, lb.DefaultRules())
	if len(changes.Delete) != 1 || changes.Delete[0].Name != "a" || len(changes.Update) != 1 || changes.Update[0].New.Name != "b" {
		t.Errorf("last plan: %+v", changes)
	}
}

func TestHostnameLooksLikeTheClouds(t *testing.T) {
	form := regexp.MustCompile(`^(internal-)?a[0-9a-f]{32}-[0-9]{10}\.local\.elb\.internal$`)
	for _, inside := range []bool{false, true} {
		name := lb.Hostname("default", "ingress-nginx", inside)
		if !form.MatchString(name) || strings.HasPrefix(name, "internal-") != inside {
			t.Errorf("internal %v: %q", inside, name)
		}
		if first, _, _ := strings.Cut(name, "."); len(first) > 63 {
			t.Errorf("label %q is longer than 63 bytes", first)
		}
	}
	if lb.Hostname("a", "b-c", false) == lb.Hostname("a-b", "c", false) {
		t.Error("two Services have one hostname")
	}
}

func TestPortOffset(t *testing.T) {
	r := lb.DefaultRules()
	r.PortOffset = 8000
	state := plan(t, nil, []model.LoadBalancer{service("a", 80, 443, 1024, 5432)}, r)
	var got []uint16
	for _, p := range state[0].Ports {
		if p.Listen.Addr() != state[0].Address {
			t.Errorf("port %d listens on %s", p.Port, p.Listen)
		}
		got = append(got, p.Listen.Port())
	}
	if diff := cmp.Diff([]uint16{8080, 8443, 1024, 5432}, got); diff != "" {
		t.Error(diff)
	}
	state, _, problems := lb.Plan(nil, []model.LoadBalancer{service("a", 80, 8080)}, r)
	if len(problems) != 1 || problems[0].Field != "spec.ports[0]" || len(state[0].Ports) != 1 || state[0].Ports[0].Port != 8080 {
		t.Errorf("80 beside 8080: %v %v", state, problems)
	}
}

func TestPortsThatAreNotServedAreTold(t *testing.T) {
	d := service("a", 53, 80, 80)
	d.Ports[0].Protocol = "UDP"
	state, _, problems := lb.Plan(nil, []model.LoadBalancer{d}, lb.DefaultRules())
	if len(problems) != 2 || problems[0].Field != "spec.ports[0]" || problems[0].Value != "UDP" || problems[1].Field != "spec.ports[2]" {
		t.Errorf("problems %v", problems)
	}
	if len(state[0].Ports) != 1 || state[0].Ports[0].Port != 80 {
		t.Errorf("ports %v", state[0].Ports)
	}
}

func TestPortMap(t *testing.T) {
	r := lb.Rules{PortMap: true}
	all := services(200)
	state := plan(t, nil, all, r)
	seen := map[netip.AddrPort]string{}
	for _, a := range state {
		for _, p := range a.Ports {
			if p.Listen.Addr().String() != "127.0.0.1" || p.Listen.Port() < 30000 || p.Listen.Port() > 32767 {
				t.Errorf("%s port %d listens on %s", a.Key(), p.Port, p.Listen)
			}
			if other := seen[p.Listen]; other != "" {
				t.Errorf("%s and %s share %s", other, a.Key(), p.Listen)
			}
			seen[p.Listen] = a.Key()
		}
	}
	now := plan(t, state, append(services(100), service("new", 80, 443, 22)), r)
	for _, a := range now {
		if was, ok := state.Find(a.Key()); ok {
			if diff := cmp.Diff(was, a, compare); diff != "" {
				t.Errorf("%s moved: %s", a.Key(), diff)
			}
		}
	}
	if diff := cmp.Diff(state, plan(t, nil, all, r), compare); diff != "" {
		t.Errorf("another start gives other ports: %s", diff)
	}
}

func TestAFullPortMapIsAProblem(t *testing.T) {
	ports := make([]uint16, 2769)
	for i := range ports {
		ports[i] = uint16(i + 1)
	}
	state, _, problems := lb.Plan(nil, []model.LoadBalancer{service("a", ports...)}, lb.Rules{PortMap: true})
	if len(problems) != 1 || len(state[0].Ports) != 2768 {
		t.Errorf("%d ports, %d problems", len(state[0].Ports), len(problems))
	}
}

func TestRulesCheck(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules lb.Rules
		want  string
	}{
		{"default", lb.DefaultRules(), ""},
		{"port map", lb.Rules{PortMap: true}, ""},
		{"one address", rules("127.0.0.1/32", "127.81.0.0/16"), ""},
		{"IPv6", rules("fd00::/64", "fd01::/64"), ""},
		{"overlap", rules("127.80.0.0/15", "127.81.0.0/16"), `external address range "127.80.0.0/15" overlaps`},
		{"unset", lb.Rules{External: lb.DefaultExternal}, "internal address range is not set"},
		{"no usable address", rules("127.80.0.0/32", "127.81.0.0/16"), `external address range "127.80.0.0/32" has no address`},
		{"offset", lb.Rules{PortMap: true, PortOffset: 65000}, "port offset 65000"},
	} {
		err := c.rules.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestIPv6Range(t *testing.T) {
	state := plan(t, nil, services(100), rules("fd00::/64", "fd01::/64"))
	seen := map[netip.Addr]bool{}
	for _, a := range state {
		if !a.Address.Is6() || seen[a.Address] {
			t.Errorf("%s has %s", a.Key(), a.Address)
		}
		seen[a.Address] = true
	}
}
