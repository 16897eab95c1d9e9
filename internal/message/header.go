package message

import "strings"

// Header is the ordered list of the fields of one head or trailer section.
//
// Names keep the case in which they arrived; look-ups ignore case (RFC 9110,
// section 5.1). Field strings of a message that was read from a connection point
// into that connection's buffer: they are valid until the exchange ends. Whoever
// keeps one longer clones it.
type Header struct {
	fields []Field
}

// Field is one line of a header. Two lines with one name are two fields.
type Field struct {
	Name, Value string

	known Known // of Name; kept beside it so that hot look-ups compare one byte
}

// Known returns which of the names of known.go the field has, or Other.
func (f *Field) Known() Known { return f.known }

// Is reports whether the field has the given name.
func (f *Field) Is(name string) bool {
	return len(f.Name) == len(name) && strings.EqualFold(f.Name, name)
}

// Reset empties the header and keeps its memory.
func (h *Header) Reset() {
	clear(h.fields)
	h.fields = h.fields[:0]
}

// Len returns the number of fields.
func (h *Header) Len() int { return len(h.fields) }

// At returns field i, which the caller may change in value but not in name.
func (h *Header) At(i int) *Field { return &h.fields[i] }

// Add appends a field.
func (h *Header) Add(name, value string) {
	h.fields = append(h.fields, Field{Name: name, Value: value, known: LookupKnown(name)})
}

// AddKnown appends a field by its known name.
func (h *Header) AddKnown(k Known, value string) {
	h.fields = append(h.fields, Field{Name: k.String(), Value: value, known: k})
}

// Append appends a field whose name was looked up before: k is LookupKnown(name).
func (h *Header) Append(k Known, name, value string) {
	h.fields = append(h.fields, Field{Name: name, Value: value, known: k})
}

// Get returns the value of the first field of that name, or "".
func (h *Header) Get(name string) string {
	v, _ := h.Lookup(name)
	return v
}

// Lookup returns the value of the first field of that name and whether there is one.
func (h *Header) Lookup(name string) (string, bool) {
	if k := LookupKnown(name); k != Other {
		return h.LookupKnown(k)
	}
	for i := range h.fields {
		if f := &h.fields[i]; f.known == Other && f.Is(name) {
			return f.Value, true
		}
	}
	return "", false
}

// GetKnown is Get for a known name: it compares one byte per field.
func (h *Header) GetKnown(k Known) string {
	v, _ := h.LookupKnown(k)
	return v
}

// LookupKnown is Lookup for a known name.
func (h *Header) LookupKnown(k Known) (string, bool) {
	for i := range h.fields {
		if h.fields[i].known == k {
			return h.fields[i].Value, true
		}
	}
	return "", false
}

// Set gives the first field of that name the value and removes the others; it
// appends the field when there is none.
func (h *Header) Set(name, value string) {
	h.set(name, LookupKnown(name), value)
}

// SetKnown is Set for a known name.
func (h *Header) SetKnown(k Known, value string) {
	h.set(k.String(), k, value)
}

func (h *Header) set(name string, k Known, value string) {
	done, w := false, 0
	for i := range h.fields {
		f := h.fields[i]
		if f.known == k && (k != Other || f.Is(name)) {
			if done {
				continue
			}
			done, f.Value = true, value
		}
		h.fields[w] = f
		w++
	}
	clear(h.fields[w:])
	h.fields = h.fields[:w]
	if !done {
		h.fields = append(h.fields, Field{Name: name, Value: value, known: k})
	}
}

// Del removes every field of that name.
func (h *Header) Del(name string) {
	h.del(name, LookupKnown(name))
}

// DelKnown is Del for a known name.
func (h *Header) DelKnown(k Known) {
	h.del(k.String(), k)
}

func (h *Header) del(name string, k Known) {
	h.DeleteFunc(func(f *Field) bool { return f.known == k && (k != Other || f.Is(name)) })
}

// DeleteFunc removes the fields for which drop returns true.
func (h *Header) DeleteFunc(drop func(*Field) bool) {
	w := 0
	for i := range h.fields {
		if drop(&h.fields[i]) {
			continue
		}
		if w != i {
			h.fields[w] = h.fields[i]
		}
		w++
	}
	clear(h.fields[w:])
	h.fields = h.fields[:w]
}

// CopyFrom makes h a copy of o; the strings are shared.
func (h *Header) CopyFrom(o *Header) {
	h.fields = append(h.fields[:0], o.fields...)
}
