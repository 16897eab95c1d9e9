package translate_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

func archive(t *testing.T, name string) []txtar.File {
	t.Helper()
	a, err := txtar.ParseFile("../../testdata/manifests/" + name + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	return a.Files
}

// withoutOrigins prints a Config with every Origin left out.
func withoutOrigins(t *testing.T, cfg *model.Config) string {
	t.Helper()
	raw, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	raw, err = json.MarshalIndent(dropOrigins(v), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func dropOrigins(v any) any {
	switch v := v.(type) {
	case map[string]any:
		_, kind := v["kind"]
		_, line := v["line"]
		if kind && line {
			delete(v, "file")
			delete(v, "line")
		}
		for k := range v {
			v[k] = dropOrigins(v[k])
		}
	case []any:
		for i := range v {
			v[i] = dropOrigins(v[i])
		}
	}
	return v
}

// TestToday: the 2017 workflow in the versions of today is the same model, all of it
// but the places where it is written, and the same endpoints.
func TestToday(t *testing.T) {
	var texts [2]string
	var ends [2][]model.EndpointSet
	for i, name := range []string{"workflow-2017", "workflow-today"} {
		files := archive(t, name)
		t.Run(name, func(t *testing.T) {
			objects, _ := load(t, files)
			cfg, _ := translate.Translate(objects, options())
			texts[i], ends[i] = withoutOrigins(t, cfg), translate.Endpoints(objects, cfg)
		})
	}
	if diff := cmp.Diff(texts[0], texts[1]); diff != "" {
		t.Errorf("the models differ (-2017 +today):\n%s", diff)
	}
	if endpointText(ends[0]) != endpointText(ends[1]) {
		t.Errorf("the endpoints differ: %v, %v", ends[0], ends[1])
	}
}

// TestTwice: translating changes nothing in the objects.
func TestTwice(t *testing.T) {
	objects, _ := load(t, archive(t, "workflow-2017"))
	a, _ := translate.Translate(objects, options())
	b, _ := translate.Translate(objects, options())
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if string(x) != string(y) {
		t.Error("a second translation differs from the first")
	}
}
