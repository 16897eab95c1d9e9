package file

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/pierhead/pierhead/internal/model"
)

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// pair is one key of a mapping with its value.
type pair struct {
	key   string
	line  int // of the key, in the document
	value *yaml.Node
}

// pairs lists the keys of a mapping in the order written, merged ones last. Of a key
// written twice the last one counts, as in Kubernetes without validation, and the
// owner is told.
func (d *decoder) pairs(n *yaml.Node, at position) []pair {
	var ps []pair
	index := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			continue
		}
		if key.Kind != yaml.ScalarNode {
			d.refuse(key, at, "error converting YAML to JSON: yaml: invalid map key")
			continue
		}
		p := pair{key: key.Value, line: n.Content[i].Line, value: value}
		j, twice := index[p.key]
		if !twice {
			index[p.key] = len(ps)
			ps = append(ps, p)
			continue
		}
		d.tellAt(model.Error, p.line, strings.TrimPrefix(at.field+"."+p.key, "."), "",
			fmt.Sprintf("the key is written twice and the first one, in line %d, is ignored; Kubernetes would answer: key %q already set in map",
				ps[j].line+d.base, p.key), "remove one of the two")
		ps[j] = p
	}
	return d.merged(n, ps, index, at.depth)
}

// merged adds the pairs of the mappings that "<<" names, where they have no own one.
func (d *decoder) merged(n *yaml.Node, ps []pair, index map[string]int, depth int) []pair {
	if depth > maxDepth {
		return ps
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; key.Kind != yaml.ScalarNode || key.ShortTag() != "!!merge" {
			continue
		}
		sources := []*yaml.Node{resolve(n.Content[i+1])}
		if sources[0].Kind == yaml.SequenceNode {
			sources = sources[0].Content
		}
		for _, src := range sources {
			src = resolve(src)
			*d.aliased += len(src.Content)
			if src.Kind != yaml.MappingNode || *d.aliased > maxAliased {
				continue
			}
			for j := 0; j+1 < len(src.Content); j += 2 {
				key := resolve(src.Content[j])
				if _, have := index[key.Value]; have || key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
					continue
				}
				index[key.Value] = len(ps)
				ps = append(ps, pair{key: key.Value, line: n.Content[i].Line, value: src.Content[j+1]})
			}
			ps = d.merged(src, ps, index, depth+1)
		}
	}
	return ps
}

// resolve follows aliases.
func resolve(n *yaml.Node) *yaml.Node {
	for i := 0; n.Kind == yaml.AliasNode && n.Alias != nil && i < maxDepth; i++ {
		n = n.Alias
	}
	return n
}

// get returns the value of a key of a mapping, or nil.
func get(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolve(n.Content[i+1])
		}
	}
	return nil
}

// getText returns the text of a key of a mapping, or "".
func getText(n *yaml.Node, key string) string {
	if v := get(n, key); v != nil && v.Kind == yaml.ScalarNode && scalarKind(v) != "null" {
		return v.Value
	}
	return ""
}

// oldBools are the words that YAML 1.1, which Kubernetes reads, has for bools besides
// true and false.
var oldBools = map[string]string{
	"y": "true", "Y": "true", "yes": "true", "Yes": "true", "YES": "true", "on": "true", "On": "true", "ON": "true",
	"n": "false", "N": "false", "no": "false", "No": "false", "NO": "false", "off": "false", "Off": "false", "OFF": "false",
}

const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle | yaml.TaggedStyle

// scalarKind returns "string", "number", "bool" or "null", as Kubernetes reads the
// scalar.
func scalarKind(n *yaml.Node) string {
	switch n.ShortTag() {
	case "!!int", "!!float":
		if number(n) != "" {
			return "number"
		}
	case "!!bool":
		return "bool"
	case "!!null":
		return "null"
	case "!!str":
		if n.Style&quoted == 0 && oldBools[n.Value] != "" {
			return "bool"
		}
	}
	return "string"
}

// boolean returns the JSON of a bool.
func boolean(n *yaml.Node) string {
	if b := oldBools[n.Value]; b != "" {
		return b
	}
	return strings.ToLower(n.Value)
}

// number returns the JSON of a number, or "" for what has none, such as infinity.
func number(n *yaml.Node) string {
	text := strings.ReplaceAll(n.Value, "_", "")
	if i, err := strconv.ParseInt(text, 0, 64); err == nil {
		return strconv.FormatInt(i, 10)
	}
	if u, err := strconv.ParseUint(text, 0, 64); err == nil {
		return strconv.FormatUint(u, 10)
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return ""
}

var fieldCache sync.Map // reflect.Type → map[string]reflect.Type

// fieldsOf returns the fields of a struct by their names in JSON, embedded ones
// included.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if m, ok := fieldCache.Load(t); ok {
		return m.(map[string]reflect.Type)
	}
	m := map[string]reflect.Type{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name == "" && f.Anonymous:
			for k, v := range fieldsOf(f.Type) {
				m[k] = v
			}
		case name == "":
			m[f.Name] = f.Type
		default:
			m[name] = f.Type
		}
	}
	fieldCache.Store(t, m)
	return m
}
