package translate

import (
	"github.com/pierhead/pierhead/internal/model"
)

// reading is what is known of one Ingress: which controllers take it, and what each of
// them makes of it.
type reading struct {
	entry *entry[ingress]
	taken []bool    // by controller
	by    []*source // by controller; nil: not read yet, or not taken
	told  *told
	reads []read
}

// exchange is one reading that came in the place of another one; either may be nil.
type exchange struct{ had, has *reading }

// classify finds out which controllers take each Ingress, and tells the owners of those
// that nobody takes. It looks at those that changed, or at all where anything may have.
func (m *Memo) classify(o *Objects, cs []*controller) {
	m.exchanged = m.exchanged[:0]
	noting := o.noting()
	if m.same(ofClass, ofNamespace) {
		for _, i := range m.changed[ofIngress] {
			m.reread(noting, cs, i)
		}
		return
	}
	for i := range m.readings {
		if o.ingresses[i] == nil {
			m.reread(noting, cs, i)
		}
	}
	for i := range o.ingresses {
		m.reread(noting, cs, i)
	}
}

// reread brings the reading of one Ingress up to date.
func (m *Memo) reread(o *Objects, cs []*controller, i id) {
	e, had := o.ingresses[i], m.readings[i]
	same := e != nil && had != nil && e.value == had.entry.value
	switch {
	case same && m.hold(had.reads), e == nil && had == nil:
		return
	case e == nil:
		m.telling.tell(had.told, nil)
		delete(m.readings, i)
		m.exchanged = append(m.exchanged, exchange{had, nil})
		return
	}
	has := &reading{entry: e, by: make([]*source, len(cs))}
	has.judge(o, cs, m.opt)
	if same {
		copy(has.by, had.by) // only who may have it has changed
	}
	var before *told
	if had != nil {
		before = had.told
	}
	has.told = m.telling.tell(before, has.told)
	m.readings[i] = has
	m.exchanged = append(m.exchanged, exchange{had, has})
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
