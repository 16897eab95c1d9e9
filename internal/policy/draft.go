package policy

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// Draft is what units work on: the values of one Ingress over those of its
// controller, and what has come of them so far.
type Draft struct {
	in     *Input
	global *Global
	own    map[*Decl]Written // of the Ingress, checked
	res    Result

	unit    *Unit           // whose Apply runs
	begun   int             // policies there were before it
	reads   []Written       // values it has read
	dropped map[string]bool // units left out by a bad value
}

// written returns the value that counts for a key.
func (d *Draft) written(k *Decl) (Written, bool) {
	if w, ok := d.own[k]; ok {
		return w, true
	}
	if k.Scope&OnController != 0 {
		w, ok := d.global.values[k]
		return w, ok
	}
	return Written{}, false
}

// note remembers that the running unit has read a value.
func (d *Draft) note(w Written) {
	if !slices.Contains(d.reads, w) {
		d.reads = append(d.reads, w)
	}
}

// Use adds a policy to the route.
func (d *Draft) Use(p model.Policy) { d.res.Policies = append(d.res.Policies, p) }

// OnHost adds a policy to every route of the host.
func (d *Draft) OnHost(p model.Policy) { d.res.Host.Policies = append(d.res.Host.Policies, p) }

// apply runs one unit.
func (d *Draft) apply(u *Unit) {
	if u.Apply == nil || d.dropped[u.Name] {
		return
	}
	d.unit, d.begun, d.reads = u, len(d.res.Policies), nil
	hostBegun := len(d.res.Host.Policies)
	u.Apply(d)
	if d.dropped[u.Name] {
		d.res.Policies = d.res.Policies[:d.begun]
		d.res.Host.Policies = d.res.Host.Policies[:hostBegun]
		return
	}
	for _, p := range append(slices.Clone(d.res.Policies[d.begun:]), d.res.Host.Policies[hostBegun:]...) {
		if w, ok := p.(interface{ setWritten([]Written) }); ok {
			w.setWritten(d.reads)
		}
	}
}

// Fail tells that the value of a key is wrong for a reason that reading it alone
// does not show, with the effect that the key declares.
func (d *Draft) Fail(k Key, reason, remedy string) {
	w, ok := d.written(k.decl())
	if !ok {
		w = Written{Key: k.decl().Name, Field: d.field(k.decl().Name), Origin: d.in.Origin}
	}
	d.effect(k.decl(), w, reason, remedy)
}

// effect reports a bad value and does what its key declares.
func (d *Draft) effect(k *Decl, w Written, reason, remedy string) {
	p := model.Problem{Origin: w.Origin, Field: w.Field, Value: w.Value, Remedy: remedy, Severity: model.Warning}
	switch k.OnBad {
	case Default:
		p.Reason = reason + ": the default is used"
	case Drop:
		p.Reason = reason + ": it is left out"
		d.dropped[k.unit] = true
	case Close:
		p.Reason, p.Severity = reason+": every path of the Ingress answers 503", model.Error
		d.close(w.Key + ": " + reason)
	case Reject:
		p.Reason, p.Severity = reason+": the Ingress is not served", model.Error
		d.res.Reject = true
		d.res.Refused = append(d.res.Refused, p)
	}
	d.tell(p)
}

// close makes every path of the Ingress answer 503; the first reason is kept.
func (d *Draft) close(reason string) {
	if d.res.Closed == "" {
		d.res.Closed = withoutUser(reason)
	}
}

// Warn tells that a value of a key is not what its writer may think, without
// effect.
func (d *Draft) Warn(k Key, reason, remedy string) {
	if w, ok := d.written(k.decl()); ok {
		d.tell(model.Problem{Origin: w.Origin, Field: w.Field, Value: w.Value, Reason: reason, Remedy: remedy, Severity: model.Warning})
	}
}

// tell adds a problem; a password in a URL is not shown.
func (d *Draft) tell(p model.Problem) {
	p.Value, p.Reason = withoutUser(p.Value), withoutUser(p.Reason)
	d.res.Problems = append(d.res.Problems, p)
}

var userOfURL = regexp.MustCompile(`://[^/?#\s"]*@`)

// withoutUser replaces the user and password of URLs in a text.
func withoutUser(s string) string {
	if !strings.Contains(s, "@") {
		return s
	}
	return userOfURL.ReplaceAllString(s, "://…@")
}

// field returns the path of an annotation of the main prefix.
func (d *Draft) field(name string) string { return annotationField(d.in.prefix() + "/" + name) }

func annotationField(full string) string { return "metadata.annotations[" + full + "]" }

// origin returns the Ingress, at the line of a field.
func (d *Draft) origin(field string) model.Origin {
	o := d.in.Origin
	if d.in.Line != nil {
		if n := d.in.Line(field); n > 0 {
			o.Line = n
		}
	}
	return o
}

// trimmed returns a value as it counts: space around each line is not part of it.
func trimmed(s string) string {
	if !strings.Contains(s, "\n") {
		return strings.TrimSpace(s)
	}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(l)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
