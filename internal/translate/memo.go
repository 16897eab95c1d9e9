package translate

import (
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// Memo remembers what the last translation made of each object, so that the next one
// makes only what has changed. It changes no answer: a translation without one begins
// with an empty Memo, and everything else is the same code.
//
// A result is remembered with what it was made from: the identity of the objects that
// were looked up (reads.go) and of the results it is built on. What a translation did
// not use is forgotten at its end. A Memo is for one caller at a time; the values it
// hands out are shared by many Configs and must not be changed.
type Memo struct {
	view
	opt  Options
	turn uint64 // counts translations

	class       string        // the default IngressClass
	controllers []*controller // of the last translation
	ledgers     map[string]*ledger
	readings    map[*ingress]*reading
	order       roll[*reading] // by age
	pairs       map[id]*pair
	checked     int         // pairs, in this turn
	served      roll[*pair] // certificates in use
	upstreams   map[string]*upstream
	made        int             // upstreams, in this turn
	used        roll[*upstream] // that something leads to
	telling     telling
	rest        *told // what is found out anew in every translation
	addresses   *told // of endpoints
	balanced    []*entry[corev1.Service]
	names       []model.NameClaim
	namesTold   *told

	config *model.Config
}

// ledger is what is remembered for one controller.
type ledger struct {
	mark
	global *policy.Global // the ConfigMap
	plain  *policy.Result
	reads  []read
	told   *told

	streams   *streams // nil: not read yet
	leads     map[spoken]*lead
	decided   int              // leads, in this turn
	hosts     map[string]*host // that rules name, and ""
	named     int              // hosts, in this turn
	twins     map[string]*host // that from-to-www-redirect adds
	roll      roll[*host]      // both, by name
	list      []*model.Host
	ingresses []model.Origin
	taken     []*source // whose origins these are
}

// NewMemo returns a Memo that remembers nothing.
func NewMemo() *Memo {
	m := &Memo{turn: 1}
	m.clear()
	return m
}

// clear forgets everything.
func (m *Memo) clear() {
	*m = Memo{
		turn:     m.turn,
		ledgers:  map[string]*ledger{},
		readings: map[*ingress]*reading{},
		pairs:    map[id]*pair{}, upstreams: map[string]*upstream{},
		order:  newRoll(func(a, b *reading) int { return byAge(a.entry, b.entry) }),
		served: newRoll(func(a, b *pair) int { return strings.Compare(a.Name, b.Name) }),
		used:   newRoll(func(a, b *upstream) int { return strings.Compare(a.Name, b.Name) }),
		rest:   &told{}, addresses: &told{}, namesTold: &told{},
	}
}

// begin starts a translation.
func (m *Memo) begin(o *Objects, opt Options) {
	if m.opt.Standalone != opt.Standalone || m.opt.ForeignBalancers != opt.ForeignBalancers {
		m.clear()
	}
	m.opt = opt
	m.turn++
	m.checked, m.made = 0, 0
	m.look(o)
	m.order.begin(m.turn)
	m.served.begin(m.turn)
	m.used.begin(m.turn)
	m.telling.begin(m.turn)
}

// know compares the controllers with those of the last translation: what Ingresses
// come to depends on all that is said of them.
func (m *Memo) know(cs []*controller, class string) {
	same := len(cs) == len(m.controllers) && class == m.class
	for i := 0; same && i < len(cs); i++ {
		a, b := cs[i], m.controllers[i]
		same = a.name == b.name && a.ns == b.ns && a.origin == b.origin && reflect.DeepEqual(a.Flags, b.Flags)
	}
	if !same {
		clear(m.readings)
		clear(m.ledgers)
		m.order.list = nil
	}
	m.controllers, m.class = cs, class
}

// ledger returns what is remembered for a controller.
func (m *Memo) ledger(c *controller) *ledger {
	k := m.ledgers[c.name]
	if k == nil {
		k = &ledger{leads: map[spoken]*lead{}, hosts: map[string]*host{}, twins: map[string]*host{}}
		k.roll = newRoll(func(a, b *host) int { return strings.Compare(a.out.Name, b.out.Name) })
		m.ledgers[c.name] = k
	}
	k.roll.begin(m.turn)
	k.decided, k.named = 0, 0
	return k
}

// end forgets what the translation did not use.
func (m *Memo) end() {
	sweep(m.readings, len(m.order.list), func(r *reading) bool { return r.called == m.turn })
	sweep(m.pairs, m.checked, func(p *pair) bool { return p.checked == m.turn })
	sweep(m.upstreams, m.made, func(u *upstream) bool { return u.made == m.turn })
	for _, k := range m.ledgers {
		sweep(k.leads, k.decided, func(l *lead) bool { return l.decided == m.turn })
		sweep(k.hosts, k.named, func(h *host) bool { return h.called == m.turn })
		sweep(k.twins, len(k.roll.list)-k.named, func(h *host) bool { return h.called == m.turn })
	}
	for _, c := range m.controllers {
		c.accepted = nil
	}
}

// sweep drops what was not used; n is how many were.
func sweep[K comparable, V any](all map[K]V, n int, used func(V) bool) {
	if len(all) == n {
		return
	}
	for key, v := range all {
		if !used(v) {
			delete(all, key)
		}
	}
}

// settle returns a value of the last translation where it is equal to that of this
// one, so that who compares them sees it at once.
func settle[T any](had, has T) T {
	if reflect.DeepEqual(had, has) {
		return had
	}
	return has
}
