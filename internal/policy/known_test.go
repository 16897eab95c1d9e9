package policy

import (
	"os"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/model"
)

func names(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// TestEveryAnnotationIsKnown holds that no annotation of ingress-nginx, of today or
// of any time, is passed over: it is a key, or a Problem that says what it is.
func TestEveryAnnotationIsKnown(t *testing.T) {
	all := names(t, "annotations.txt")
	if len(all) < 138+42 {
		t.Fatalf("only %d names in the list", len(all))
	}
	for _, name := range all {
		k := keys[name]
		isKey := k != nil && k.Scope&OnRoute != 0
		e, isKnown := knownAnnotations[name]
		if isKey == isKnown {
			t.Errorf("%s: is a key: %v, is in the table: %v; want one of them", name, isKey, isKnown)
			continue
		}
		if !isKnown {
			continue
		}
		r := Route(Input{Origin: model.Origin{Kind: "Ingress", Name: "a"}, Namespace: "default", Annotations: map[string]string{DefaultPrefix + "/" + name: "x"}})
		if len(r.Problems) != 1 || strings.Contains(r.Problems[0].Reason, "no annotation has this name") {
			t.Errorf("%s: problems %v, want one", name, r.Problems)
		}
		if e.state == removed && r.Problems[0].Remedy == "" {
			t.Errorf("%s was removed and nothing says what to do", name)
		}
	}
}

func TestEveryConfigMapKeyIsKnown(t *testing.T) {
	all := names(t, "configmap.txt")
	if len(all) < 208 {
		t.Fatalf("only %d names in the list", len(all))
	}
	for _, name := range all {
		k := keys[name]
		isKey := k != nil && k.Scope&OnController != 0
		_, isKnown := knownConfig[name]
		if isKey == isKnown {
			t.Errorf("%s: is a key: %v, is in the table: %v; want one of them", name, isKey, isKnown)
		}
		if !isKnown {
			continue
		}
		if _, ps := ReadGlobal(map[string]string{name: "x"}, model.Origin{Kind: "ConfigMap", Name: "c"}, nil); len(ps) != 1 {
			t.Errorf("%s: problems %v, want one", name, ps)
		}
	}
}
