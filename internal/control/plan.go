package control

import (
	"slices"

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
}

// Make turns objects into a Plan. had is what load balancers hold already, which they
// keep; problems are those of reading the objects.
func Make(o *translate.Objects, problems []model.Problem, rules Rules, had lb.State) *Plan {
	cfg, more := translate.Translate(o, rules.Translate)
	p := &Plan{Config: cfg, Endpoints: translate.Endpoints(o, cfg)}
	p.Problems = append(slices.Clone(problems), more...)

	p.Allocations, _, more = lb.Plan(had, cfg.LoadBalancers, rules.Balancers)
	p.Problems = append(p.Problems, more...)

	zones := rules.Zones
	if zones == nil {
		zones = dns.AutoZones(cfg.Names)
	}
	p.Zones, more = dns.Desired(cfg.Names, aliases(p.Allocations), zones)
	p.Problems = model.SortProblems(append(p.Problems, more...))
	return p
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
	p := Make(o, problems, rules, nil)
	_, found := Tables(p)
	p.Problems = model.SortProblems(append(p.Problems, found...))
	return p, nil
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
