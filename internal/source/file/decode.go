package file

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

// What one file may hold, so that aliases cannot blow it up.
const (
	maxAliased = 1 << 17  // values reached by aliases, counted each time
	maxText    = 64 << 20 // bytes of JSON of one object
)

// decoder writes the nodes of one object as the JSON of a Go type, and notes every
// place where they differ from the type and the line of every field.
type decoder struct {
	out      bytes.Buffer
	origin   model.Origin
	base     int // lines of the file before the document
	lines    translate.Lines
	secret   bool // values must not be shown
	aliased  *int // values reached by aliases so far in the file
	problems []model.Problem
	refused  bool
}

// position is where in the object the decoder stands.
type position struct {
	field string // as told to the user: spec.ports[0].port
	json  string // as encoding/json tells it: spec.ports.port
	owner string // Go name of the struct around it
	text  bool   // a value of a map of texts, where numbers are taken as text
	alias bool   // reached by an alias
	depth int
}

func (p position) child(field, json string) position {
	p.field, p.text = field, false
	if json != "" {
		p.json = strings.TrimPrefix(p.json+"."+json, ".")
	}
	p.depth++
	return p
}

// value writes one node as a value of type t.
func (d *decoder) value(n *yaml.Node, t reflect.Type, at position) {
	for depth := 0; n.Kind == yaml.AliasNode; depth++ {
		if n.Alias == nil || depth > maxDepth {
			d.tooLarge(n, at)
			return
		}
		n, at.alias = n.Alias, true
	}
	if at.alias {
		*d.aliased++
	}
	if *d.aliased > maxAliased || d.out.Len() > maxText || at.depth > maxDepth {
		d.tooLarge(n, at)
		return
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case n.Kind == yaml.ScalarNode && scalarKind(n) == "null":
		d.out.WriteString("null")
	case t == nil || t.Kind() == reflect.Interface:
		d.anything(n, at)
	case reflect.PointerTo(t).Implements(unmarshaler):
		d.special(n, t, at)
	case t.Kind() == reflect.Struct:
		d.object(n, t, at)
	case t.Kind() == reflect.Map:
		d.mapping(n, t.Elem(), at)
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		d.base64(n, t, at)
	case t.Kind() == reflect.Slice:
		d.list(n, t.Elem(), at)
	default:
		d.scalar(n, t, at)
	}
}

// tooLarge refuses an object that is nested too deeply or grows by its aliases.
func (d *decoder) tooLarge(n *yaml.Node, at position) {
	d.out.WriteString("null")
	if !d.refused {
		d.tell(model.Error, n, at.field, "", "the object is nested too deeply or too large once its aliases are followed, so it is not read",
			"write it without aliases")
	}
	d.refused = true
}

// object writes a struct. Fields that the type does not have are told and left out.
func (d *decoder) object(n *yaml.Node, t reflect.Type, at position) {
	if n.Kind != yaml.MappingNode {
		d.mismatch(n, t, at)
		return
	}
	fields := fieldsOf(t)
	at.owner = t.Name()
	d.out.WriteByte('{')
	first := true
	for _, p := range d.pairs(n, at) {
		next := at.child(strings.TrimPrefix(at.field+"."+p.key, "."), p.key)
		f, ok := fields[p.key]
		if !ok {
			d.unknown(p, fields, next)
			continue
		}
		d.key(&first, p, next)
		d.value(p.value, f, next)
	}
	d.out.WriteByte('}')
}

// mapping writes a map.
func (d *decoder) mapping(n *yaml.Node, elem reflect.Type, at position) {
	if n.Kind != yaml.MappingNode {
		d.mismatch(n, reflect.MapOf(reflect.TypeFor[string](), orAny(elem)), at)
		return
	}
	d.out.WriteByte('{')
	first := true
	for _, p := range d.pairs(n, at) {
		next := at.child(at.field+"["+p.key+"]", "")
		next.text = elem != nil && elem.Kind() == reflect.String
		d.key(&first, p, next)
		d.value(p.value, elem, next)
	}
	d.out.WriteByte('}')
}

func orAny(t reflect.Type) reflect.Type {
	if t == nil {
		return reflect.TypeFor[any]()
	}
	return t
}

// key writes the key of a pair and notes its line.
func (d *decoder) key(first *bool, p pair, at position) {
	if !*first {
		d.out.WriteByte(',')
	}
	*first = false
	d.text(p.key)
	d.out.WriteByte(':')
	d.lines[at.field] = p.line + d.base
}

// list writes a slice.
func (d *decoder) list(n *yaml.Node, elem reflect.Type, at position) {
	if n.Kind != yaml.SequenceNode {
		d.mismatch(n, reflect.SliceOf(orAny(elem)), at)
		return
	}
	d.out.WriteByte('[')
	for i, item := range n.Content {
		if i > 0 {
			d.out.WriteByte(',')
		}
		next := at.child(fmt.Sprintf("%s[%d]", at.field, i), "")
		d.lines[next.field] = item.Line + d.base
		d.value(item, elem, next)
	}
	d.out.WriteByte(']')
}

// anything writes a node without a type to hold it against.
func (d *decoder) anything(n *yaml.Node, at position) {
	switch n.Kind {
	case yaml.MappingNode:
		d.mapping(n, nil, at)
	case yaml.SequenceNode:
		d.list(n, nil, at)
	default:
		switch scalarKind(n) {
		case "number":
			d.out.WriteString(number(n))
		case "bool":
			d.out.WriteString(boolean(n))
		default:
			d.text(n.Value)
		}
	}
}

// scalar writes a text, number or bool.
func (d *decoder) scalar(n *yaml.Node, t reflect.Type, at position) {
	kind := ""
	if n.Kind == yaml.ScalarNode {
		kind = scalarKind(n)
	}
	switch {
	case t.Kind() == reflect.String && kind == "string":
		d.text(n.Value)
	case t.Kind() == reflect.String && kind != "" && at.text:
		d.text(n.Value)
		d.tell(model.Warning, n, at.field, n.Value,
			"a "+kind+" where a text is asked for, read as its text; Kubernetes would answer: "+d.answer(kind, t, at), "write it in quotes")
	case t.Kind() == reflect.Bool && kind == "bool":
		d.out.WriteString(boolean(n))
	case kind == "number" && fits(number(n), t):
		d.out.WriteString(number(n))
	default:
		d.mismatch(n, t, at)
	}
}

// fits tells whether a number is in range for a type.
func fits(num string, t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		_, err := strconv.ParseInt(num, 10, t.Bits())
		return err == nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		_, err := strconv.ParseUint(num, 10, t.Bits())
		return err == nil
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(num, t.Bits())
		return err == nil && !math.IsInf(f, 0)
	}
	return false
}

// special writes a value whose type reads its JSON by itself, such as a quantity.
func (d *decoder) special(n *yaml.Node, t reflect.Type, at position) {
	before := d.out.Len()
	d.anything(n, at)
	if err := json.Unmarshal(d.out.Bytes()[before:], reflect.New(t).Interface()); err != nil {
		d.out.Truncate(before)
		d.out.WriteString("null")
		d.refuse(n, at, err.Error())
	}
}

// base64 writes bytes.
func (d *decoder) base64(n *yaml.Node, t reflect.Type, at position) {
	if n.Kind != yaml.ScalarNode || scalarKind(n) != "string" {
		d.mismatch(n, t, at)
		return
	}
	if _, err := base64.StdEncoding.DecodeString(n.Value); err != nil {
		d.out.WriteString("null")
		d.refuse(n, at, err.Error())
		return
	}
	d.text(n.Value)
}

// mismatch refuses the object because a value has another type.
func (d *decoder) mismatch(n *yaml.Node, t reflect.Type, at position) {
	kind := map[yaml.Kind]string{yaml.MappingNode: "object", yaml.SequenceNode: "array"}[n.Kind]
	if kind == "" {
		kind = scalarKind(n)
		if kind == "number" && t.Kind() != reflect.String {
			kind += " " + number(n)
		}
	}
	d.out.WriteString("null")
	d.refuse(n, at, d.answer(kind, t, at))
}

// answer is encoding/json's sentence for a value of the wrong type, which is what
// the API server sends back.
func (d *decoder) answer(kind string, t reflect.Type, at position) string {
	return fmt.Sprintf("json: cannot unmarshal %s into Go struct field %s.%s of type %s", kind, at.owner, at.json, t)
}

// refuse tells why the object is not read.
func (d *decoder) refuse(n *yaml.Node, at position, answer string) {
	value := ""
	if n.Kind == yaml.ScalarNode {
		value = n.Value
	}
	d.tell(model.Error, n, at.field, value, "the object is not read; Kubernetes would answer: "+answer, "correct the field")
	d.refused = true
}

// unknown tells of a field that the type does not have.
func (d *decoder) unknown(p pair, fields map[string]reflect.Type, at position) {
	remedy := "remove the field"
	for name := range fields {
		if strings.EqualFold(name, p.key) {
			remedy = fmt.Sprintf("write %q", name)
		}
	}
	d.lines[at.field] = p.line + d.base
	d.tellAt(model.Warning, p.line, at.field, "",
		fmt.Sprintf("the field is not known and ignored; Kubernetes would answer: strict decoding error: unknown field %q", at.field), remedy)
}

// tell adds a problem at a node.
func (d *decoder) tell(s model.Severity, n *yaml.Node, field, value, reason, remedy string) {
	line := d.lines.At(field) - d.base
	if line <= 0 {
		line = n.Line
	}
	d.tellAt(s, line, field, value, reason, remedy)
}

func (d *decoder) tellAt(s model.Severity, line int, field, value, reason, remedy string) {
	if len(d.problems) >= maxProblems {
		return
	}
	o := d.origin
	o.Line = line + d.base
	if d.secret {
		value = ""
	}
	d.problems = append(d.problems, model.Problem{
		Origin: o, Field: field, Value: short(value), Reason: reason, Remedy: remedy, Severity: s,
	})
}

// maxProblems is how many problems are told of one object.
const maxProblems = 100

// short cuts a value that is too long to be shown.
func short(value string) string {
	if len(value) > 200 {
		return strings.ToValidUTF8(value[:200], "") + "…"
	}
	return value
}

// text writes a JSON string.
func (d *decoder) text(s string) {
	b, _ := json.Marshal(s) // a string always has a JSON form
	d.out.Write(b)
}
