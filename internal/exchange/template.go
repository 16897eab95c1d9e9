package exchange

import (
	"fmt"
	"slices"
	"strings"
)

// Template is a text with nginx variables in it, such as
// "https://$host/oauth2/auth": parsed once, expanded for each exchange.
type Template struct {
	text  string
	parts []part
}

// part is literal text, or a variable when value is set.
type part struct {
	text  string
	value valueFunc
	arg   string
}

// ParseTemplate reads a text with variables written as $name or ${name}. A
// variable that is not known is an error that names it.
func ParseTemplate(text string) (*Template, error) {
	t := &Template{text: text}
	rest := text
	for rest != "" {
		lit, after, found := strings.Cut(rest, "$")
		if lit != "" {
			t.parts = append(t.parts, part{text: lit})
		}
		if !found {
			break
		}
		name, tail, err := variableName(after)
		if err != nil {
			return nil, fmt.Errorf("template %q: %w", text, err)
		}
		value, arg, ok := lookupVariable(name)
		if !ok {
			return nil, fmt.Errorf("template %q: unknown variable %q", text, "$"+name)
		}
		t.parts = append(t.parts, part{text: name, value: value, arg: arg})
		rest = tail
	}
	return t, nil
}

// variableName splits the name off what follows a "$".
func variableName(s string) (name, rest string, err error) {
	if inner, braced := strings.CutPrefix(s, "{"); braced {
		name, rest, closed := strings.Cut(inner, "}")
		if !closed || name == "" || nameLength(name) != len(name) {
			return "", "", fmt.Errorf("%q is not a variable: it is written ${name}", "$"+s)
		}
		return name, rest, nil
	}
	n := nameLength(s)
	if n == 0 {
		return "", "", fmt.Errorf("a %q must be followed by the name of a variable", "$")
	}
	return s[:n], s[n:], nil
}

func nameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return i
		}
	}
	return len(s)
}

// String returns the text that was parsed.
func (t *Template) String() string { return t.text }

// Static reports whether the text has no variable.
func (t *Template) Static() bool {
	return !slices.ContainsFunc(t.parts, func(p part) bool { return p.value != nil })
}

// Append appends the text with the values of x. A variable without a value is
// empty.
func (t *Template) Append(dst []byte, x *Exchange) []byte {
	for i := range t.parts {
		p := &t.parts[i]
		if p.value == nil {
			dst = append(dst, p.text...)
			continue
		}
		dst = p.value(dst, x, p.arg)
	}
	return dst
}

// Text expands the template into a text that is valid until the exchange ends.
func (t *Template) Text(x *Exchange) string {
	if len(t.parts) == 1 && t.parts[0].value == nil {
		return t.text
	}
	return x.Text(t.Append(x.Bytes(), x))
}
