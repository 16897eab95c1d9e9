package file

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

// TestOrder: whatever order the objects come in, the model, the endpoints and the
// problems are the same, byte for byte.
func TestOrder(t *testing.T) {
	archives, err := filepath.Glob("../../../testdata/manifests/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	marks := regexp.MustCompile(`@(cert|key|text):[^@]*@`)
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, path := range archives {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var items []item
		var refused []model.Origin
		for _, f := range a.Files {
			if filepath.Ext(f.Name) == ".yaml" {
				p := parse(f.Name, marks.ReplaceAll(f.Data, []byte("bm8ga2V5")))
				items, refused = append(items, p.items...), append(refused, p.refused...)
				for _, twice := range p.items { // the same objects in a file of their own
					if rnd.IntN(4) == 0 {
						twice.place.File = "z" + f.Name
						items = append(items, twice)
					}
				}
			}
		}
		var first string
		for range 8 {
			rnd.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
			got := answer(t, items, refused)
			if first == "" {
				first = got
			}
			if got != first {
				t.Fatalf("%s: another order gives another answer:\n%s", path, cmp.Diff(first, got))
			}
		}
	}
}

// answer prints all that is made of objects.
func answer(t *testing.T, items []item, refused []model.Origin) string {
	t.Helper()
	objects := translate.NewObjects()
	for _, it := range items {
		if err := objects.Add(it.object, it.place); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range refused {
		objects.Refuse(o)
	}
	cfg, problems := translate.Translate(objects, translate.Options{Standalone: true, Default: &translate.Default{Flags: translate.DefaultFlags()}})
	raw, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%v\n", raw, translate.Endpoints(objects, cfg))
	for _, p := range problems {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}
