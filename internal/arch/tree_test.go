package arch

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// largest is the ceiling for a Go file that is not a test, in lines. A file above
// it holds two ideas; the exceptions say why they hold one.
const largest = 400

var larger = map[string]string{}

// goFiles calls f for every Go file of the repository.
func goFiles(t *testing.T, f func(path string, src []byte)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == ".cache") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f(filepath.ToSlash(rel), src)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFileSize(t *testing.T) {
	goFiles(t, func(path string, src []byte) {
		n := bytes.Count(src, []byte("\n"))
		if strings.HasSuffix(path, "_test.go") || n <= largest {
			return
		}
		if larger[path] == "" {
			t.Errorf("%s has %d lines, the ceiling is %d: split it by idea", path, n, largest)
		}
	})
}

// functions longer than this hide a step that wants a name.
const longest = 90

func TestFunctionSize(t *testing.T) {
	goFiles(t, func(path string, src []byte) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				if n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line; n > longest {
					t.Errorf("%s: %s has %d lines, the ceiling is %d", path, fn.Name.Name, n, longest)
				}
			}
		}
	})
}

func TestPackageComments(t *testing.T) {
	comments, code := map[string]int{}, map[string]bool{}
	goFiles(t, func(path string, src []byte) {
		code[filepath.Dir(path)] = code[filepath.Dir(path)] || !strings.HasSuffix(path, "_test.go")
	})
	goFiles(t, func(path string, src []byte) {
		dir := filepath.Dir(path)
		if _, ok := comments[dir]; !ok {
			comments[dir] = 0
		}
		if strings.HasSuffix(path, "_test.go") && code[dir] {
			return // the comment of a package of tests alone is in one of them
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil && strings.HasPrefix(f.Doc.Text(), "Package ") || f.Doc != nil && f.Name.Name == "main" {
			comments[dir]++
		}
	})
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("%s has %d package comments, want 1", dir, n)
		}
	}
}

// badNames are package names that say nothing.
var badNames = regexp.MustCompile(`^(util|utils|common|helpers?|manager|types|pkg|misc)$`)

func TestPackageNames(t *testing.T) {
	goFiles(t, func(path string, _ []byte) {
		for _, part := range strings.Split(filepath.Dir(path), "/") {
			if badNames.MatchString(part) {
				t.Errorf("%s: %q is no name for a package", path, part)
			}
		}
	})
}
