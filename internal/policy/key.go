package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// Scope says where a key may be written.
type Scope uint8

// The scopes.
const (
	// OnRoute: an annotation of an Ingress.
	OnRoute Scope = 1 << iota
	// OnController: a key of the ConfigMap. A key of both scopes takes its default
	// from there.
	OnController
)

// OnBad says what a value does that cannot be read. It is declared per key, never
// coded.
type OnBad uint8

// The effects of a bad value.
const (
	Default OnBad = iota // the next layer's value, or the default
	Drop                 // the unit is left out
	Close                // every path of the Ingress answers 503
	Reject               // the Ingress is left out
)

// String returns the effect's name as docs/annotations.md has it.
func (o OnBad) String() string { return [...]string{"default", "drop", "close", "reject"}[o] }

// Decl is the declaration of one key, for look-up and manual.
type Decl struct {
	Name    string
	Aliases []string // other spellings, read when Name is absent
	Type    string   // "bool", "seconds", …
	Default string   // as the manual shows it
	Scope   Scope
	OnBad   OnBad
	Doc     string

	emptyCounts bool // an empty value of the ConfigMap is a value
	unit        string
	check       func(string) error
}

// Key is any Value.
type Key interface{ decl() *Decl }

// Value is a key with the type of its value: a misspelt key does not compile.
type Value[T any] struct {
	d     *Decl
	def   T
	parse func(string) (T, error)
}

func (k *Value[T]) decl() *Decl { return k.d }

// Get returns the value for the route: of the Ingress, else of the ConfigMap, else
// the default. A value that cannot be read has been told already and is not here.
func (k *Value[T]) Get(d *Draft) T {
	v, _ := k.Lookup(d)
	return v
}

// Lookup is Get and whether somebody wrote a value.
func (k *Value[T]) Lookup(d *Draft) (T, bool) {
	w, ok := d.written(k.d)
	if !ok {
		if reason := d.global.closed[k.d]; reason != "" {
			d.close(reason)
		}
		return k.def, false
	}
	v, err := k.parse(w.Value)
	if err != nil { // checked when it was taken in
		return k.def, false
	}
	d.note(w)
	return v, true
}

// Own reports whether the Ingress itself gives the key a value.
func (k *Value[T]) Own(d *Draft) bool {
	_, ok := d.own[k.d]
	return ok
}

// Written is a value as somebody wrote it, for explain: where a policy's
// behaviour comes from.
type Written struct {
	Key    string       `json:"key"`
	Value  string       `json:"value"`
	Field  string       `json:"field"`
	Origin model.Origin `json:"origin"`
}

// Used is what a policy was made from. Every policy has it.
type Used struct {
	From []Written `json:"from,omitempty"` // values that somebody wrote; the others are defaults
}

// Written returns the values that the policy was made from, defaults left out.
func (u *Used) Written() []Written { return u.From }

func (u *Used) setWritten(w []Written) { u.From = w }

// option changes a declaration.
type option func(*Decl)

// also declares other spellings.
func also(names ...string) option { return func(d *Decl) { d.Aliases = names } }

// bad declares the effect of a value that cannot be read.
func bad(o OnBad) option { return func(d *Decl) { d.OnBad = o } }

// shown is the default as the manual shows it.
func shown(s string) option { return func(d *Decl) { d.Default = s } }

// global declares that the ConfigMap may hold the key too.
func global(d *Decl) { d.Scope |= OnController }

// only declares that only the ConfigMap may hold the key.
func only(d *Decl) { d.Scope = OnController }

// emptyCounts declares that an empty value of the ConfigMap is a value.
func emptyCounts(d *Decl) { d.emptyCounts = true }

// key makes a Value. The text def shows the default in the manual.
func key[T any](name, typ string, def T, show, doc string, parse func(string) (T, error), opts []option) *Value[T] {
	d := &Decl{Name: name, Type: typ, Default: show, Scope: OnRoute, Doc: doc}
	for _, o := range opts {
		o(d)
	}
	d.check = func(s string) error { _, err := parse(s); return err }
	return &Value[T]{d: d, def: def, parse: parse}
}

var keys = map[string]*Decl{}

// declare enters the names of a key of unit u.
func declare(u string, k Key) {
	d := k.decl()
	for _, name := range append([]string{d.Name}, d.Aliases...) {
		if prev := keys[name]; prev != nil && prev != d {
			panic(fmt.Sprintf("policy: key %s is declared twice", name))
		}
		keys[name] = d
	}
	if d.unit == "" {
		d.unit = u
	}
}

// Decls lists all keys by name.
func Decls() []*Decl {
	var ds []*Decl
	for name, d := range keys {
		if name == d.Name {
			ds = append(ds, d)
		}
	}
	slices.SortFunc(ds, func(a, b *Decl) int { return strings.Compare(a.Name, b.Name) })
	return ds
}
