package file

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

// item is one object of a file that was read.
type item struct {
	origin model.Origin
	object runtime.Object
	place  translate.Place
}

// parsed is what one version of a file holds.
type parsed struct {
	items    []item
	refused  []model.Origin // objects that are there and could not be read
	broken   bool           // a document could not be parsed: nothing is known of what it holds
	problems []model.Problem
}

// parser reads the documents of one file.
type parser struct {
	file    string
	aliased int
	ignored map[string]bool // kinds told to be ignored
	parsed
}

// parse reads a file's text.
func parse(name string, text []byte) parsed {
	p := &parser{file: name, ignored: map[string]bool{}}
	docs, broken := documents(text)
	for _, doc := range docs {
		p.object(resolve(doc.root), doc.line, listing{})
	}
	for _, b := range broken {
		p.broken = true
		p.problems = append(p.problems, model.Problem{
			Origin: fileOrigin(name, b.line),
			Reason: "the document cannot be parsed: " + b.msg,
			Remedy: "correct the YAML", Severity: model.Error,
		})
	}
	return p.parsed
}

// fileOrigin stands for a file, or a line of it that belongs to no object.
func fileOrigin(name string, line int) model.Origin {
	return model.Origin{Kind: "File", Name: name, File: name, Line: line}
}

// listing is what a list says of its items.
type listing struct {
	implied string // version and kind
	depth   int
	alias   bool // reached by an alias
}

// object reads one object, or each item of a list. base is how many lines stand
// before the document.
func (p *parser) object(n *yaml.Node, base int, in listing) {
	if n.Kind == yaml.ScalarNode && scalarKind(n) == "null" {
		return // an empty document
	}
	if n.Kind != yaml.MappingNode {
		p.notAnObject(n.Line+base, "", "this is no Kubernetes object: a mapping with apiVersion and kind is asked for")
		return
	}
	version, kind := getText(n, "apiVersion"), getText(n, "kind")
	if version == "" && kind == "" && in.implied != "" {
		version, kind, _ = strings.Cut(in.implied, " ")
	}
	if items := get(n, "items"); strings.HasSuffix(kind, "List") && items != nil && items.Kind == yaml.SequenceNode && in.depth < 8 {
		implied := ""
		if kind != "List" {
			implied = version + " " + strings.TrimSuffix(kind, "List")
		}
		for _, it := range items.Content {
			alias := in.alias || it.Kind == yaml.AliasNode
			if alias {
				p.aliased++
			}
			if p.aliased > maxAliased {
				p.broken = true
				p.notAnObject(it.Line+base, "items", "the list is too large once its aliases are followed; the rest is not read")
				return
			}
			p.object(resolve(it), base, listing{implied, in.depth + 1, alias})
		}
		return
	}
	switch {
	case kind == "":
		p.notAnObject(n.Line+base, "kind", "this is no Kubernetes object; Kubernetes would answer: Object 'Kind' is missing")
	case version == "":
		p.notAnObject(n.Line+base, "apiVersion", "this is no Kubernetes object; Kubernetes would answer: apiVersion not set")
	default:
		p.known(n, base, version, kind, in.alias)
	}
}

func (p *parser) notAnObject(line int, field, reason string) {
	p.problems = append(p.problems, model.Problem{
		Origin: fileOrigin(p.file, line), Field: field, Reason: reason,
		Remedy: "write a whole object", Severity: model.Error,
	})
}

// known reads an object that has a version and a kind.
func (p *parser) known(n *yaml.Node, base int, version, kind string, alias bool) {
	meta := get(n, "metadata")
	origin := model.Origin{
		Kind: kind, Namespace: getText(meta, "namespace"), Name: getText(meta, "name"), File: p.file, Line: n.Line + base,
	}
	obj := translate.New(version, kind)
	if obj == nil {
		p.unread(origin, version, kind)
		return
	}
	if !translate.Namespaced(kind) {
		origin.Namespace = ""
	} else if origin.Namespace == "" {
		origin.Namespace = "default"
	}
	d := &decoder{origin: origin, base: base, lines: translate.Lines{}, secret: kind == "Secret", aliased: &p.aliased}
	d.value(n, reflect.TypeOf(obj), position{owner: kind, alias: alias})
	d.checkNames()
	if !d.refused {
		if err := json.Unmarshal(d.out.Bytes(), obj); err != nil {
			d.refuse(n, position{}, err.Error())
		}
	}
	p.problems = append(p.problems, d.problems...)
	if d.refused {
		p.refused = append(p.refused, origin)
		return
	}
	setNamespace(obj, origin.Namespace)
	p.items = append(p.items, item{
		origin: origin, object: translate.Current(obj),
		place: translate.Place{File: p.file, Line: origin.Line, Lines: d.lines, Version: version},
	})
}

// setNamespace writes down the namespace that an object has by default.
func setNamespace(obj runtime.Object, namespace string) {
	if m, ok := obj.(interface{ SetNamespace(string) }); ok {
		m.SetNamespace(namespace)
	}
}

// checkNames refuses objects whose name Kubernetes would not take: names become part
// of other names here.
func (d *decoder) checkNames() {
	o := d.origin
	if msgs := validation.IsDNS1123Subdomain(o.Name); len(msgs) > 0 {
		reason := fmt.Sprintf("the object is not read; Kubernetes would answer: metadata.name: Invalid value: %s", msgs[0])
		if o.Name == "" {
			reason = "the object is not read; Kubernetes would answer: resource name may not be empty"
		}
		d.tellAt(model.Error, d.lineOf("metadata.name"), "metadata.name", o.Name, reason, "give it a name of lower case letters, digits, '-' and '.'")
		d.refused = true
	}
	if o.Namespace == "" {
		return
	}
	if msgs := validation.IsDNS1123Label(o.Namespace); len(msgs) > 0 {
		d.tellAt(model.Error, d.lineOf("metadata.namespace"), "metadata.namespace", o.Namespace,
			"the object is not read; Kubernetes would answer: metadata.namespace: Invalid value: "+msgs[0],
			"give it a namespace of lower case letters, digits and '-'")
		d.refused = true
	}
}

// lineOf returns the line of a field in the document.
func (d *decoder) lineOf(field string) int {
	if n := d.lines.At(field); n > 0 {
		return n - d.base
	}
	return d.origin.Line - d.base
}

// ourGroups are the API groups whose kinds are read. A kind of theirs in a version
// that never was is a mistake; one of another group is another thing.
var ourGroups = map[string]bool{"": true, "apps": true, "extensions": true, "networking.k8s.io": true, "discovery.k8s.io": true}

// unread tells of an object that is not read, once per kind and file.
func (p *parser) unread(origin model.Origin, version, kind string) {
	group, _, found := strings.Cut(version, "/")
	if !found {
		group = ""
	}
	if vs := translate.Versions(kind); len(vs) > 0 && ourGroups[group] {
		p.problems = append(p.problems, model.Problem{
			Origin: origin, Field: "apiVersion", Value: version,
			Reason: fmt.Sprintf("the object is not read; Kubernetes would answer: no matches for kind %q in version %q", kind, version),
			Remedy: "write " + vs[0], Severity: model.Error,
		})
		p.refused = append(p.refused, origin)
		return
	}
	if key := version + " " + kind; !p.ignored[key] {
		p.ignored[key] = true
		p.problems = append(p.problems, model.Problem{
			Origin: origin, Field: "kind", Value: kind, Severity: model.Info,
			Reason: fmt.Sprintf("objects of kind %s (%s) have no effect here", kind, version),
		})
	}
}
