package arch

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents are the hand-written pages whose backticked paths and identifiers must
// exist.
var documents = []string{"ARCHITECTURE.md", "CONTRIBUTING.md", "THREAT-MODEL.md", "CONTEXT.md"}

var (
	backticked = regexp.MustCompile("`([^`\n]+)`")
	pathLike   = regexp.MustCompile(`^(\.ci|cmd|internal|docs|testdata|examples|bench|deploy|web|e2e)(/[A-Za-z0-9_.*-]+)*/?$`)
	identLike  = regexp.MustCompile(`^([a-z][a-z0-9]*)\.([A-Z][A-Za-z0-9]*)(\.([A-Z][A-Za-z0-9]*))?(\(\))?$`)
	markdown   = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
)

func TestDocumentsNameWhatExists(t *testing.T) {
	idents := identifiers(t)
	for _, doc := range documents {
		text, err := os.ReadFile(filepath.Join(root, doc))
		if err != nil {
			t.Errorf("%s: %v", doc, err)
			continue
		}
		for _, m := range backticked.FindAllSubmatch(text, -1) {
			word := string(m[1])
			if pathLike.MatchString(word) {
				if found, _ := filepath.Glob(filepath.Join(root, word)); len(found) == 0 {
					t.Errorf("%s names `%s`, which is not there", doc, word)
				}
			}
			if id := identLike.FindStringSubmatch(word); id != nil && idents[id[1]] != nil {
				if !idents[id[1]][id[2]] {
					t.Errorf("%s names `%s`, which package %s does not have", doc, word, id[1])
				}
				if id[4] != "" && !idents[id[1]][id[2]+"."+id[4]] {
					t.Errorf("%s names `%s`, which %s.%s does not have", doc, word, id[1], id[2])
				}
			}
		}
	}
}

// TestLinks holds that every relative link of every Markdown page leads somewhere.
func TestLinks(t *testing.T) {
	pages, _ := filepath.Glob(filepath.Join(root, "*.md"))
	more, _ := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	for _, page := range append(pages, more...) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range markdown.FindAllSubmatch(text, -1) {
			to := filepath.Join(filepath.Dir(page), string(bytes.TrimSpace(m[1])))
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s, which is not there", filepath.Base(page), m[1])
			}
		}
	}
}

// identifiers lists the exported names of every package under internal, methods and
// fields as Type.Name.
func identifiers(t *testing.T) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	goFiles(t, func(path string, src []byte) {
		if !strings.HasPrefix(path, "internal/") || strings.HasSuffix(path, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		names := all[f.Name.Name]
		if names == nil {
			names = map[string]bool{}
			all[f.Name.Name] = names
		}
		for _, d := range f.Decls {
			collect(names, d)
		}
	})
	return all
}

func collect(names map[string]bool, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		names[receiver(d)+d.Name.Name] = true
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.ValueSpec:
				for _, n := range s.Names {
					names[n.Name] = true
				}
			case *ast.TypeSpec:
				names[s.Name.Name] = true
				for _, n := range members(s.Type) {
					names[s.Name.Name+"."+n] = true
				}
			}
		}
	}
}

func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	x := d.Recv.List[0].Type
	if p, ok := x.(*ast.StarExpr); ok {
		x = p.X
	}
	if g, ok := x.(*ast.IndexExpr); ok {
		x = g.X
	}
	if id, ok := x.(*ast.Ident); ok {
		return id.Name + "."
	}
	return ""
}

func members(x ast.Expr) (names []string) {
	var list *ast.FieldList
	switch x := x.(type) {
	case *ast.StructType:
		list = x.Fields
	case *ast.InterfaceType:
		list = x.Methods
	default:
		return nil
	}
	for _, f := range list.List {
		for _, n := range f.Names {
			names = append(names, n.Name)
		}
	}
	return names
}
