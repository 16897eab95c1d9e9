package translate

import (
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// Memo remembers what the last translation made of each object, so that the next one
// makes only what has changed. It changes no answer: a translation without one begins
// with an empty Memo, to which every object is a change, and everything else is the same
// code.
//
// A result is remembered with what it was made from: the identity of the objects that
// were looked up (reads.go) and of the results it is built on. A change goes from an
// Ingress to those who take it (reading.go, source.go), from there to where its backends
// lead (group.go) and to its hosts (hosts.go), and nobody else is looked at. What nothing
// is built on any more is forgotten at the end of a translation. A Memo is for one caller
// at a time; the values it hands out are shared by many Configs and must not be changed.
type Memo struct {
	view
	opt  Options
	turn uint64 // counts translations

	class       string        // the default IngressClass
	controllers []*controller // of the last translation
	ledgers     map[string]*ledger
	readings    map[id]*reading
	exchanged   []exchange // of readings, in this turn

	pairs     map[id]*pair
	kept      []*pair     // by somebody for this turn alone
	idle      []*pair     // perhaps nobody's
	renewed   bool        // some were read again in this turn
	served    roll[*pair] // certificates in use
	groups    map[string]*group
	stirred   []*group // to be decided in this turn
	upstreams map[string]*upstream
	unled     []*upstream     // perhaps nobody's
	altered   bool            // some are not what they were in the turn before
	used      roll[*upstream] // that something leads to

	telling
	rest      *told // what is found out anew in every translation
	addresses *told // of endpoints
	balanced  []*entry[corev1.Service]
	names     []model.NameClaim
	namesTold *told

	config *model.Config
}

// ledger is what is remembered for one controller.
type ledger struct {
	global *policy.Global // the ConfigMap
	plain  *policy.Result
	reads  []read
	told   *told

	streams   *streams // nil: not read yet
	sources   roll[*source]
	own       *source // what --default-backend-service comes to
	fallback  target  // likewise
	leads     map[spoken]*lead
	hosts     map[string]*host // that rules name, and ""
	stirred   []*host          // whose rules changed, in this turn
	twins     map[string]*host // that from-to-www-redirect adds
	roll      roll[*host]      // both, by name
	list      []*model.Host
	ingresses []model.Origin
	moved     bool // ingresses are others

	aliased   map[*host]bool // hosts that ask for aliases
	twinned   map[*host]bool // hosts that another name redirects to
	aliasTold *told
	handing   map[*host]bool // hosts whose TLS connections are handed on
}

// NewMemo returns a Memo that remembers nothing.
func NewMemo() *Memo {
	m := &Memo{}
	m.clear()
	return m
}

// clear forgets everything.
func (m *Memo) clear() {
	*m = Memo{
		turn:     m.turn,
		ledgers:  map[string]*ledger{},
		readings: map[id]*reading{},
		pairs:    map[id]*pair{}, groups: map[string]*group{}, upstreams: map[string]*upstream{},
		served: newRoll(func(a, b *pair) int { return strings.Compare(a.key, b.key) }),
		used:   newRoll(func(a, b *upstream) int { return strings.Compare(a.Name, b.Name) }),
	}
}

// begin starts a translation. What Ingresses come to depends on all that is said of the
// controllers, so nothing is remembered when that has changed.
func (m *Memo) begin(o *Objects, cs []*controller, opt Options) {
	class := ""
	if opt.Standalone {
		class = defaultClass(o)
	}
	if m.opt.Standalone != opt.Standalone || m.opt.ForeignBalancers != opt.ForeignBalancers || m.class != class || !sameControllers(m.controllers, cs) {
		m.clear()
	}
	m.opt, m.class, m.controllers = opt, class, cs
	m.turn++
	m.look(o)
	m.served.begin()
	m.used.begin()
	m.stirred = m.stirred[:0]
	m.altered = false
	m.beginPairs()
}

func sameControllers(as, bs []*controller) bool {
	if len(as) != len(bs) {
		return false
	}
	for i, a := range as {
		if b := bs[i]; a.name != b.name || a.ns != b.ns || a.origin != b.origin || !reflect.DeepEqual(a.Flags, b.Flags) {
			return false
		}
	}
	return true
}

// ledger returns what is remembered for a controller.
func (m *Memo) ledger(c *controller) *ledger {
	k := m.ledgers[c.name]
	if k == nil {
		k = &ledger{leads: map[spoken]*lead{}, hosts: map[string]*host{}, twins: map[string]*host{}, aliased: map[*host]bool{}, twinned: map[*host]bool{}, handing: map[*host]bool{}, moved: true}
		k.sources = newRoll(func(a, b *source) int { return byAge(a.entry, b.entry) })
		k.roll = newRoll(func(a, b *host) int { return strings.Compare(a.out.Name, b.out.Name) })
		m.ledgers[c.name] = k
	}
	k.sources.begin()
	k.roll.begin()
	k.stirred = k.stirred[:0]
	return k
}

// end forgets what nothing is built on.
func (m *Memo) end() {
	for _, p := range m.idle {
		if p.users == 0 && m.pairs[p.id] == p {
			m.telling.tell(p.told, nil)
			delete(m.pairs, p.id)
		}
	}
	m.idle = nil
	m.unled = slices.DeleteFunc(m.unled, func(u *upstream) bool {
		if u.leads == 0 && u.made == m.turn {
			return false // perhaps not in the next turn
		}
		if u.unled = false; u.leads == 0 {
			delete(m.upstreams, u.Name)
		}
		return true
	})
	clear(m.exchanged)
}

// settle returns a value of the last translation where it is equal to that of this
// one, so that who compares them sees it at once.
func settle[T any](had, has T) T {
	if reflect.DeepEqual(had, has) {
		return had
	}
	return has
}
