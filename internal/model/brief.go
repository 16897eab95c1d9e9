package model

import (
	"fmt"
	"slices"
)

// Brief returns the warnings and errors of sorted problems, of one object so many at
// most, errors first: who tells them one by one must not be kept from those of other
// objects. The last one of an object counts what is left out.
func Brief(ps []Problem, most int) []Problem {
	var out []Problem
	for len(ps) > 0 {
		n := 1
		for n < len(ps) && ps[n].Origin.isObject(&ps[0].Origin) {
			n++
		}
		out = appendBrief(out, ps[:n], most)
		ps = ps[n:]
	}
	return out
}

func appendBrief(out, ps []Problem, most int) []Problem {
	had := len(out)
	for _, p := range ps {
		if p.Severity >= Warning {
			out = append(out, p)
		}
	}
	of := out[had:]
	if len(of) <= most {
		return out
	}
	slices.SortStableFunc(of, func(a, b Problem) int { return int(b.Severity) - int(a.Severity) })
	last := &of[most-1]
	*last = Problem{Origin: last.Origin, Severity: last.Severity, Reason: fmt.Sprintf("and %d more problems of this object", len(of)-most+1), Remedy: "correct those that are told first, or let pierhead check show all"}
	return out[:had+most]
}

// isObject tells whether two origins are in the same object.
func (o *Origin) isObject(p *Origin) bool {
	return o.Kind == p.Kind && o.Namespace == p.Namespace && o.Name == p.Name && o.File == p.File
}
