package deploy

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the golden files and the manifests")

const chartDir = "../chart/pierhead"

// values are those of a chart; keys of with may be paths with dots.
type values = map[string]any

// release is what Helm would install.
type release struct {
	name, namespace string
	values          values
	upgrade         bool
	quiet           bool   // without the notes, which take longest
	chart           string // "": ours
	client          engine.ClientProvider
}

// rendered is what became of a release: its objects in a fixed order, and the notes.
type rendered struct {
	objects []object
	notes   string
}

// object is one object: its text and what names it.
type object struct {
	text                       string
	apiVersion, kind, ns, name string
}

func (o object) String() string { return o.kind + " " + o.ns + "/" + o.name }

// render is Helm's work. A value that is told to be unknown by Helm itself is an error.
func render(r release) (rendered, error) {
	c, err := loadChart(cmp.Or(r.chart, chartDir))
	if err != nil {
		return rendered{}, err
	}
	if r.quiet {
		quiet := *c
		quiet.Templates = slices.DeleteFunc(slices.Clone(c.Templates), func(f *common.File) bool { return filepath.Base(f.Name) == "NOTES.txt" })
		c = &quiet
	}
	if r.name == "" {
		r.name = "pierhead"
	}
	if r.namespace == "" {
		r.namespace = "pierhead"
	}
	options := common.ReleaseOptions{Name: r.name, Namespace: r.namespace, Revision: 1, IsInstall: !r.upgrade, IsUpgrade: r.upgrade}
	all, err := util.ToRenderValues(c, r.values, options, common.DefaultCapabilities)
	if err != nil {
		return rendered{}, err
	}
	var files map[string]string
	if r.client != nil {
		files, err = engine.RenderWithClientProvider(c, all, r.client)
	} else {
		files, err = engine.Render(c, all)
	}
	if err != nil {
		return rendered{}, err
	}
	return split(files)
}

var charts = map[string]*chart.Chart{}

// loadChart reads a chart once.
func loadChart(dir string) (*chart.Chart, error) {
	if c := charts[dir]; c != nil {
		return c, nil
	}
	c, err := loader.Load(dir)
	if err == nil {
		charts[dir] = c
	}
	return c, err
}

var separator = regexp.MustCompile(`(?m)^---\s*$`)

// split takes the files of a chart apart into objects, ordered by kind, namespace, name.
func split(files map[string]string) (out rendered, err error) {
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if filepath.Base(file) == "NOTES.txt" {
			out.notes = files[file]
			continue
		}
		for _, text := range separator.Split(files[file], -1) {
			o, err := parse(text)
			if err != nil {
				return out, fmt.Errorf("%s: %w\n%s", file, err, text)
			}
			if o != nil {
				out.objects = append(out.objects, *o)
			}
		}
	}
	slices.SortStableFunc(out.objects, func(a, b object) int { return strings.Compare(a.String(), b.String()) })
	return out, nil
}

// parse reads one document; nil: it is empty. The text becomes canonical YAML.
func parse(text string) (*object, error) {
	var m values
	if err := yaml.UnmarshalStrict([]byte(text), &m); err != nil || len(m) == 0 {
		return nil, err
	}
	canonical, err := yaml.Marshal(m)
	if err != nil {
		return nil, err
	}
	meta, _ := m["metadata"].(values)
	word := func(m values, key string) string { s, _ := m[key].(string); return s }
	return &object{string(canonical), word(m, "apiVersion"), word(m, "kind"), word(meta, "namespace"), word(meta, "name")}, nil
}

// mustRender renders or ends the test.
func mustRender(t *testing.T, r release) rendered {
	t.Helper()
	out, err := render(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// manifest joins the objects to one YAML file.
func (r rendered) manifest() string {
	texts := make([]string, len(r.objects))
	for i, o := range r.objects {
		texts[i] = o.text
	}
	return strings.Join(texts, "---\n")
}

// find returns the object of a kind and name, as typed by into; it ends the test when
// there is none.
func find[T any](t *testing.T, r rendered, kind, name string) *T {
	t.Helper()
	for _, o := range r.objects {
		if o.kind == kind && o.name == name {
			into := new(T)
			if err := yaml.UnmarshalStrict([]byte(o.text), into); err != nil {
				t.Fatalf("%s: %v", o, err)
			}
			return into
		}
	}
	t.Fatalf("there is no %s %s among %v", kind, name, r.objects)
	return nil
}

// has tells whether there is an object of a kind.
func (r rendered) has(kind string) bool {
	return slices.ContainsFunc(r.objects, func(o object) bool { return o.kind == kind })
}

// with makes values from paths with dots.
func with(pairs ...any) values {
	v := values{}
	for i := 0; i < len(pairs); i += 2 {
		put(v, pairs[i].(string), pairs[i+1])
	}
	return v
}

// put sets the value at a path.
func put(v values, path string, value any) {
	for {
		key, rest, ok := strings.Cut(path, ".")
		if !ok {
			v[key] = value
			return
		}
		next, _ := v[key].(values)
		if next == nil {
			next = values{}
			v[key] = next
		}
		v, path = next, rest
	}
}

// at returns the value at a path.
func at(v values, path string) (any, bool) {
	for {
		key, rest, more := strings.Cut(path, ".")
		value, ok := v[key]
		if !more || !ok {
			return value, ok
		}
		if v, ok = value.(values); !ok {
			return nil, false
		}
		path = rest
	}
}

// readValues reads a file of values.
func readValues(t *testing.T, file string) values {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v values
	if err := yaml.UnmarshalStrict(text, &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

// compare holds that a file has this content; with -update it gets it.
func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s is not what is rendered (make update rewrites it): %s", file, firstDifference(want, got))
	}
}

// firstDifference shows the first line that differs.
func firstDifference(want, got []byte) string {
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d is\n\t%s\nand not\n\t%s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, not %d", len(g), len(w))
}
