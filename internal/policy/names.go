package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// The prefixes of annotations, from the newest to the oldest. The middle one is
// ingress-nginx's and can be set.
const (
	OwnPrefix     = "pierhead.dev"
	DefaultPrefix = "nginx.ingress.kubernetes.io"
	OldPrefix     = "ingress.kubernetes.io" // of ingress-nginx until 2017
)

// candidate is an annotation that gives a key its value, unless one of a newer
// prefix or spelling does.
type candidate struct {
	Written
	decl     *Decl
	age      int // of the prefix: 0 is the newest
	spelling int // 0: the key's name, else one of its aliases
}

// collect takes in the annotations: every one under our prefixes is a value, or a
// Problem.
func (d *Draft) collect() {
	best := map[*Decl]candidate{}
	var names []string
	for full := range d.in.Annotations {
		names = append(names, full)
	}
	slices.Sort(names)
	for _, full := range names {
		prefix, name, _ := strings.Cut(full, "/")
		age := slices.Index([]string{OwnPrefix, d.in.prefix(), OldPrefix}, prefix)
		if age < 0 {
			continue
		}
		c, ok := d.candidate(full, name)
		if !ok {
			continue
		}
		c.age = age
		prev, twice := best[c.decl]
		if twice {
			if cmp.Or(cmp.Compare(prev.age, c.age), cmp.Compare(prev.spelling, c.spelling)) < 0 {
				prev, c = c, prev
			}
			d.tellLoser(prev, c)
		}
		best[c.decl] = c
	}
	d.take(best)
}

// candidate reads one annotation; ok is false when it is no value of a key.
func (d *Draft) candidate(full, name string) (c candidate, ok bool) {
	field := annotationField(full)
	w := Written{Key: name, Value: trimmed(d.in.Annotations[full]), Field: field, Origin: d.origin(field)}
	decl := keys[name]
	if decl == nil || decl.Scope&OnRoute == 0 {
		d.foreign(name, w, decl)
		return c, false
	}
	if w.Value == "" {
		return c, false // as if it was not there
	}
	return candidate{Written: w, decl: decl, spelling: slices.Index(decl.Aliases, name) + 1}, true
}

// tellLoser tells that an annotation is not read, since another gives its key.
func (d *Draft) tellLoser(loser, winner candidate) {
	p := model.Problem{Origin: loser.Origin, Field: loser.Field, Value: loser.Value, Severity: model.Warning,
		Reason: "it is not read: " + strings.TrimSuffix(strings.TrimPrefix(winner.Field, "metadata.annotations["), "]") + " gives the same key",
		Remedy: "remove one of the two"}
	if loser.Value == winner.Value {
		p.Severity = model.Info
	}
	d.tell(p)
}

// take checks the values that count and keeps the good ones.
func (d *Draft) take(best map[*Decl]candidate) {
	var all []candidate
	for _, c := range best {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b candidate) int { return strings.Compare(a.Field, b.Field) })
	for _, c := range all {
		if err := c.decl.check(c.Value); err != nil {
			d.effect(c.decl, c.Written, err.Error(), "")
			continue
		}
		d.own[c.decl] = c.Written
	}
}

// foreign tells about an annotation that no unit reads.
func (d *Draft) foreign(name string, w Written, decl *Decl) {
	p := model.Problem{Origin: w.Origin, Field: w.Field, Value: w.Value, Severity: model.Warning}
	if k, ok := knownAnnotations[name]; ok {
		if w.Value != "" {
			d.tellKnown(k, p)
		}
		return
	}
	if _, ok := knownConfig[name]; ok || decl != nil {
		p.Reason = "it is a key of the ConfigMap and has no meaning on an Ingress"
		p.Remedy = "set it in the controller's ConfigMap"
		d.tell(p)
		return
	}
	p.Reason = "no annotation has this name: it is ignored"
	if near := nearest(name, annotationNames()); near != "" {
		p.Remedy = fmt.Sprintf("did you mean %q?", near)
	}
	d.tell(p)
}

// tellKnown tells about a name that we know and do not serve.
func (d *Draft) tellKnown(k known, p model.Problem) {
	p.Reason, p.Remedy = k.words()
	if k.state == meaningless {
		p.Severity = model.Info
	}
	switch {
	case k.closes != nil && k.closes(p.Value):
		p.Severity = model.Error
		p.Reason += ": every path of the Ingress answers 503, since it may guard them"
		d.close(p.Field + ": " + notYetWords)
	case k.rejects != nil && k.rejects(p.Value):
		p.Reason += ": the Ingress is not served"
		d.res.Reject = true
	}
	d.tell(p)
}

// annotationNames lists every name that an annotation can have.
func annotationNames() (names []string) {
	for name, k := range keys {
		if k.Scope&OnRoute != 0 {
			names = append(names, name)
		}
	}
	for name := range knownAnnotations {
		names = append(names, name)
	}
	return names
}

// configNames lists every name that a key of the ConfigMap can have.
func configNames() (names []string) {
	for name, k := range keys {
		if k.Scope&OnController != 0 {
			names = append(names, name)
		}
	}
	for name := range knownConfig {
		names = append(names, name)
	}
	return names
}

// nearest returns the name that s most likely means, or "".
func nearest(s string, names []string) string {
	slices.Sort(names)
	best, least := "", max(2, len(s)/4)+1
	for _, n := range names {
		if dist := distance(s, n); dist < least {
			best, least = n, dist
		}
	}
	return best
}

// distance counts the letters to add, drop, replace or swap to make b of a.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
