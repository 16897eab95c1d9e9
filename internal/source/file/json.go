package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sort"

	"go.yaml.in/yaml/v3"
)

// maxDepth is how deeply values may be nested.
const maxDepth = 100

var errTooDeep = errors.New("values are nested too deeply")

// jsonDocuments reads JSON values, one after the other, as YAML nodes: unlike a YAML
// parser it knows JSON's escapes.
func jsonDocuments(text []byte) ([]document, error) {
	r := &jsonReader{dec: json.NewDecoder(bytes.NewReader(text)), ends: lineEnds(text)}
	r.dec.UseNumber()
	var docs []document
	for {
		tok, err := r.dec.Token()
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		n, err := r.value(tok, 0)
		if err != nil {
			return nil, err
		}
		docs = append(docs, document{root: n})
	}
}

type jsonReader struct {
	dec  *json.Decoder
	ends []int
}

// line returns the line of the token read last.
func (r *jsonReader) line() int {
	at := int(r.dec.InputOffset()) - 1
	return sort.Search(len(r.ends), func(i int) bool { return r.ends[i] > at }) + 1
}

func (r *jsonReader) value(tok json.Token, depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line()}
	switch v := tok.(type) {
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case bool:
		n.Tag, n.Value = "!!bool", map[bool]string{true: "true", false: "false"}[v]
	case json.Number:
		n.Tag, n.Value = "!!int", v.String()
		if bytes.ContainsAny([]byte(n.Value), ".eE") {
			n.Tag = "!!float"
		}
	case string:
		n.Tag, n.Value, n.Style = "!!str", v, yaml.DoubleQuotedStyle
	case json.Delim:
		return r.collection(n, v, depth)
	}
	return n, nil
}

// collection reads the rest of an object or array.
func (r *jsonReader) collection(n *yaml.Node, open json.Delim, depth int) (*yaml.Node, error) {
	n.Kind, n.Tag = yaml.MappingNode, "!!map"
	if open == '[' {
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	}
	for {
		tok, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		if d, ok := tok.(json.Delim); ok && (d == '}' || d == ']') {
			return n, nil
		}
		item, err := r.value(tok, depth+1)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, item)
	}
}
