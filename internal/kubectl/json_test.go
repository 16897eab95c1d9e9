package kubectl

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/admin"
)

// TestJSONIsTold holds that docs/json.md names every field of what programs are
// answered.
func TestJSONIsTold(t *testing.T) {
	text, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{admin.State{}, admin.Explanation{}, admin.Info{}, admin.Page[int]{}, admin.Config{}, admin.ServedCertificate{}, admin.Refusal{}, Rule{}, Installation{}, Lint{}} {
		for _, name := range jsonNames(reflect.TypeOf(v)) {
			if !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("docs/json.md does not tell of field %q of %T", name, v)
			}
		}
	}
}

// jsonNames lists the names of a struct's fields in JSON, and of what it holds.
func jsonNames(t reflect.Type) (names []string) {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
		names = append(names, jsonNames(f.Type)...)
	}
	return names
}
