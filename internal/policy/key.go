package policy

// Scope says where a key may be written.
type Scope uint8

// The scopes.
const (
	// OnRoute: an annotation of an Ingress; its default may come from the ConfigMap
	// key of the same name.
	OnRoute Scope = 1 << iota
	// OnController: a key of the ConfigMap.
	OnController
)

// OnBad says what a value does that cannot be read. It is declared per key, never
// coded.
type OnBad uint8

// The effects of a bad value.
const (
	Default OnBad = iota // the default is used
	Drop                 // the unit is left out
	Close                // every path of the Ingress answers 503
	Reject               // the Ingress is left out
)

// String returns the effect's name as docs/annotations.md has it.
func (o OnBad) String() string { return [...]string{"default", "drop", "close", "reject"}[o] }

// Decl is the declaration of one key, for look-up and manual.
type Decl struct {
	Name    string
	Aliases []string // older spellings, read when Name is absent
	Type    string   // "bool", "seconds", …
	Default string   // as the manual shows it
	Scope   Scope
	OnBad   OnBad
	Doc     string

	unit string
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

var keys = map[string]*Decl{}
