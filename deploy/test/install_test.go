package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

var (
	taken = regexp.MustCompile(`(?s)<!-- (values|kustomization): taken by a test -->\n(.*?)<!-- end -->`)
	setOf = regexp.MustCompile("`?(controller(?:\\.[A-Za-z]+)+|rbac\\.scope|nameOverride|fullnameOverride)\\b")
)

// examples returns the texts of docs/install.md of one kind, in their order.
func examples(t *testing.T, kind string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, m := range taken.FindAllStringSubmatch(string(page), -1) {
		if m[1] == kind {
			texts = append(texts, m[2])
		}
	}
	return texts
}

// exampleValues reads the examples of values.
func exampleValues(t *testing.T) []values {
	t.Helper()
	var all []values
	for _, text := range examples(t, "values") {
		var v values
		if err := yaml.UnmarshalStrict([]byte(text), &v); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		all = append(all, v)
	}
	if len(all) != 4 {
		t.Fatalf("docs/install.md has %d examples of values: takeOver, onlyTheImage, beside and surging are", len(all))
	}
	return all
}

// The examples of docs/install.md in their order.
func takeOver(t *testing.T) values     { return exampleValues(t)[0] }
func onlyTheImage(t *testing.T) values { return exampleValues(t)[1] }
func beside(t *testing.T) values       { return exampleValues(t)[2] }

// TestBeside holds that a release beside ingress-nginx's shares no object with it.
func TestBeside(t *testing.T) {
	ours := mustRender(t, release{name: "pierhead", namespace: "pierhead", values: beside(t)})
	there := map[string]bool{}
	for _, o := range theirs(t, "ingress-nginx", nil).objects {
		there[o.String()] = true
	}
	for _, o := range ours.objects {
		if there[o.String()] {
			t.Errorf("%s is there already", o)
		}
	}
	if c := find[networkingv1.IngressClass](t, ours, "IngressClass", "pierhead"); c.Spec.Controller != "k8s.io/pierhead" {
		t.Errorf("the class is of %s", c.Spec.Controller)
	}
}

// TestOverlay builds the overlay of docs/install.md: everything that names the namespace
// moves to another.
func TestOverlay(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "base"), os.DirFS(manifestsDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "edge"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^    `).ReplaceAllString(examples(t, "kustomization")[0], "")
	if err := os.WriteFile(filepath.Join(dir, "edge", "kustomization.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out := build(t, filepath.Join(dir, "edge"))
	strict(t, out)
	made := out.manifest()
	if strings.Contains(made, "namespace: pierhead\n") || !strings.Contains(made, "image: mirror.example.com/pierhead:0.1.0\n") || !strings.Contains(made, "replicas: 3\n") {
		t.Errorf("the overlay makes\n%s", made)
	}
}

// TestPageNamesValues holds that every value that docs/install.md names exists.
func TestPageNamesValues(t *testing.T) {
	page, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	tree := readValues(t, chartDir+"/known.yaml")
	all := known(t)
	for _, m := range setOf.FindAllStringSubmatch(string(page), -1) {
		if _, inner := at(tree, m[1]); !inner {
			if _, ok := knows(all, m[1]); !ok {
				t.Errorf("docs/install.md names %s, which is no value", m[1])
			}
		}
	}
}
