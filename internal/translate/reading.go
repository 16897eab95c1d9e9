package translate

import (
	"github.com/pierhead/pierhead/internal/model"
)

// reading is what is known of one Ingress: which controllers take it, and what each of
// them makes of it.
type reading struct {
	mark
	entry *entry[ingress]
	taken []bool    // by controller
	by    []*source // by controller; nil: not read yet, or not taken
	told  *told
	reads []read
}

// classify gives each controller its Ingresses, oldest first, and tells the owners
// of those that nobody takes.
func (m *Memo) classify(o *Objects, cs []*controller, opt Options) {
	noting := o.noting()
	for _, e := range o.ingresses {
		rd := m.readings[e.value]
		if rd == nil || !m.hold(rd.reads) {
			next := &reading{entry: e, by: make([]*source, len(cs))}
			next.judge(noting, cs, opt)
			for i := range cs {
				if rd != nil && next.taken[i] {
					next.by[i] = rd.by[i] // only who may have it has changed
				}
			}
			rd = next
			m.readings[e.value] = rd
		}
		m.order.call(rd)
		m.telling.tell(rd.told)
	}
	byAge, _ := m.order.end()
	for i, c := range cs {
		c.accepted = make([]*reading, 0, len(byAge))
		for _, rd := range byAge {
			if rd.taken[i] {
				c.accepted = append(c.accepted, rd)
			}
		}
	}
}

// judge finds out who takes the Ingress, and tells its owner when nobody does.
func (rd *reading) judge(o *Objects, cs []*controller, opt Options) {
	r, e := &report{}, rd.entry
	defer func() { rd.told, rd.reads = r.told(), o.noted() }()
	outdated(r, e.origin, e.lines.At("apiVersion"), e.version)
	var why *verdict
	taken := false
	for _, c := range cs {
		v := c.judge(o, e, opt)
		rd.taken = append(rd.taken, v.taken)
		if v.taken {
			taken = true
		} else if why == nil || v.severity > why.severity {
			why = &v
		}
	}
	if why != nil && !opt.Standalone {
		why.severity = model.Info // another program may serve it
	}
	switch {
	case taken:
	case why == nil:
		r.add(model.Warning, e.origin, "", "", "no controller is running, so the Ingress is not served", "")
	default:
		r.add(why.severity, e.at(why.field), why.field, why.value, why.reason, why.remedy)
	}
}
