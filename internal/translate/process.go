package translate

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/model"
)

// ProcessFlags are the flags of the ingress controller that this process is.
type ProcessFlags struct {
	Flags
	own map[string]string
}

// ReadProcessFlags reads the command line of a controller. What is wrong with a flag
// is told, where tell is not nil; ingress-nginx would not start where the severity is
// Error.
func ReadProcessFlags(words []string, tell func(s model.Severity, flag, reason, remedy string)) *ProcessFlags {
	r := newFlagReader(func(s model.Severity, _, value, reason, remedy string) {
		if tell != nil {
			tell(s, value, reason, remedy)
		}
	})
	r.own = map[string]string{}
	args := make([]arg, len(words))
	for i, w := range words {
		args[i].text = w
	}
	r.read(args)
	return &ProcessFlags{Flags: r.Flags, own: r.own}
}

// Text returns a flag of the process as it was written, or its default. It panics on
// a name that no flag has.
func (p *ProcessFlags) Text(name string) string {
	f, ok := knownFlags[name]
	if !ok || !f.honoured {
		panic("translate: no flag of the process is called " + name)
	}
	if v, ok := p.own[name]; ok {
		return v
	}
	return f.off
}

// Bool returns a flag that is true or false.
func (p *ProcessFlags) Bool(name string) bool { return truth(p.Text(name)) }

// Int returns a flag that is a whole number.
func (p *ProcessFlags) Int(name string) int { n, _ := strconv.Atoi(p.Text(name)); return n } // checked when it was read

// Duration returns a flag that is a duration.
func (p *ProcessFlags) Duration(name string) time.Duration {
	d, _ := parseDuration(p.Text(name)) // checked when it was read
	return d
}

// Float returns a flag that is a number.
func (p *ProcessFlags) Float(name string) float64 {
	f, _ := strconv.ParseFloat(p.Text(name), 64) // checked when it was read
	return f
}

// Floats returns a flag that is a list of numbers.
func (p *ProcessFlags) Floats(name string) (list []float64) {
	for _, w := range p.List(name) {
		f, _ := strconv.ParseFloat(w, 64) // checked when it was read
		list = append(list, f)
	}
	return list
}

// List returns a flag that is a list of words.
func (p *ProcessFlags) List(name string) (list []string) {
	for w := range strings.SplitSeq(p.Text(name), ",") {
		if w = strings.TrimSpace(w); w != "" {
			list = append(list, w)
		}
	}
	return list
}

// FlagRow is a flag for the manual.
type FlagRow struct {
	Name, Default, Doc string
	State              string // "served", "ours", "no effect", "not yet", "removed"
}

// FlagRows lists all flags that have a meaning of their own, by name; those of
// ingress-nginx's log library, which have none here, are left out.
func FlagRows() []FlagRow {
	var rows []FlagRow
	for _, name := range slices.Sorted(maps.Keys(knownFlags)) {
		f := knownFlags[name]
		row := FlagRow{Name: name, Default: f.off, Doc: f.doc}
		switch {
		case f.effect == removedFlag:
			row.State = "removed"
		case f.doc == "":
			continue
		case f.ours:
			row.State = "ours"
		case f.missing:
			row.State = "not yet"
		case f.effect == served, f.honoured:
			row.State = "served"
		default:
			row.State = "no effect"
		}
		rows = append(rows, row)
	}
	return rows
}
