package control

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/dns"
	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/lb"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/routing"
	"github.com/pierhead/pierhead/internal/source/file"
	"github.com/pierhead/pierhead/internal/translate"
	"github.com/pierhead/pierhead/internal/upstream"
)

// Rules are the choices of the command line that a Plan depends on.
type Rules struct {
	Translate translate.Options
	Balancers lb.Rules
	Zones     []dns.Zone // nil: one for each registrable domain that is claimed
}

// Plan is what should stand, as values: made from objects without touching anything.
type Plan struct {
	Config      *model.Config
	Endpoints   []model.EndpointSet
	Allocations lb.State
	Zones       []dns.ZoneRecords
	Problems    []model.Problem

	outside []model.Problem // those of Problems that are about addresses and records
}

// Make turns objects into a Plan. had is what load balancers hold already, which they
// keep; problems are those of reading the objects.
func Make(o *translate.Objects, problems []model.Problem, rules Rules, had lb.State) *Plan {
	return newPlanner(rules).make(o, problems, had)
}

// planner makes one Plan after the other. What has not changed is shared with the last
// one, and lists that are the same are identical.
type planner struct {
	rules Rules
	apart bool // endpoints do not come with the objects
	ends  translate.EndpointMemo
	last  *Plan // nil: none
}

func newPlanner(rules Rules) *planner {
	rules.Translate.Memo = translate.NewMemo()
	return &planner{rules: rules}
}

// make makes the next Plan.
func (k *planner) make(o *translate.Objects, problems []model.Problem, had lb.State) *Plan {
	cfg, found := translate.Translate(o, k.rules.Translate)
	p := &Plan{Config: cfg}
	if !k.apart {
		p.Endpoints = k.ends.Endpoints(o, cfg)
	}
	k.outside(p, had)
	p.Problems = model.MergeProblems(model.MergeProblems(problems, found), p.outside)
	k.last = p
	return p
}

// outside plans addresses and records, unless what they depend on is that of the last
// Plan.
func (k *planner) outside(p *Plan, had lb.State) {
	if l := k.last; l != nil && model.Identical(l.Config.LoadBalancers, p.Config.LoadBalancers) &&
		model.Identical(l.Config.Names, p.Config.Names) && model.Identical(l.Allocations, had) {
		p.Allocations, p.Zones, p.outside = l.Allocations, l.Zones, l.outside
		return
	}
	var more []model.Problem
	p.Allocations, _, p.outside = lb.Plan(had, p.Config.LoadBalancers, k.rules.Balancers)
	zones := k.rules.Zones
	if zones == nil {
		zones = dns.AutoZones(p.Config.Names)
	}
	p.Zones, more = dns.Desired(p.Config.Names, aliases(p.Allocations), zones)
	p.outside = model.MergeProblems(p.outside, more)
}

// endpoints returns those of one upstream.
func (p *Plan) endpoints(upstream string) []netip.AddrPort {
	n, ok := slices.BinarySearchFunc(p.Endpoints, upstream, func(s model.EndpointSet, name string) int { return strings.Compare(s.Upstream, name) })
	if !ok {
		return nil
	}
	return p.Endpoints[n].Endpoints
}

// aliases are what DNS names may stand for.
func aliases(s lb.State) map[string]dns.Alias {
	m := map[string]dns.Alias{}
	for _, a := range s {
		alias := dns.Alias{Hostname: a.Hostname, Internal: a.Internal}
		if a.Address.IsValid() {
			alias.Addresses = append(alias.Addresses, a.Address)
		}
		m[a.Key()] = alias
	}
	return m
}

// Load reads manifests and makes a Plan of them, with what compiling its tables would
// find. It opens no port and asks no network.
func Load(paths []string, rules Rules) (*Plan, error) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	o, problems := file.New(paths...).Load()
	return Check(o, problems, rules), nil
}

// Check makes a Plan of objects that are not served, with what compiling its tables
// would find.
func Check(o *translate.Objects, problems []model.Problem, rules Rules) *Plan {
	p := Make(o, problems, rules, nil)
	_, found := Tables(p)
	p.Problems = model.SortProblems(append(p.Problems, found...))
	return p
}

// Compile returns what compiling a Config that is not served would find.
func Compile(cfg *model.Config) []model.Problem {
	_, found := Tables(&Plan{Config: cfg})
	return found
}

// Tables compiles the tables of a Plan that is not served: for questions about it.
func Tables(p *Plan) (map[string]*routing.Table, []model.Problem) {
	pools := upstream.NewSet(nil)
	defer pools.Close()
	pools.SetEndpoints(p.Endpoints)
	pools.Apply(p.Config.Upstreams, upstream.DefaultKeepAlive)
	env := routing.Env{Pools: pools.Pool, State: exchange.NewState()}
	tables := map[string]*routing.Table{}
	var problems []model.Problem
	for i := range p.Config.Controllers {
		t, found := routing.Compile(&p.Config.Controllers[i], env)
		tables[p.Config.Controllers[i].Name] = t
		problems = append(problems, found...)
	}
	return tables, problems
}
