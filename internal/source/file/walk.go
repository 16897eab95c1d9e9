package file

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// tree is what the paths lead to at one moment.
type tree struct {
	files   []string // sorted, each real file once
	folders []string // to be watched, the folders of single files included
	errs    []pathError
}

// pathError is a path that cannot be followed.
type pathError struct {
	path string
	err  error
}

// walk follows the paths. Hidden names are skipped; symbolic links are followed, and
// no folder or file is visited twice.
func walk(paths []string) tree {
	w := &walker{seen: map[string]bool{}}
	for _, p := range paths {
		info, err := os.Stat(p)
		switch {
		case err != nil:
			w.errs = append(w.errs, pathError{p, err})
			w.folders = append(w.folders, filepath.Dir(p))
		case info.IsDir():
			w.folder(p)
		default:
			w.folders = append(w.folders, filepath.Dir(p))
			w.file(p)
		}
	}
	slices.Sort(w.files)
	slices.Sort(w.folders)
	w.folders = slices.Compact(w.folders)
	return w.tree
}

type walker struct {
	tree
	seen map[string]bool // by real path
}

// first tells whether the path leads to something not yet visited, and where.
func (w *walker) first(path string) (real string, ok bool) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path
	}
	key := real
	if abs, err := filepath.Abs(real); err == nil {
		key = abs
	}
	ok = !w.seen[key]
	w.seen[key] = true
	return real, ok
}

// file takes a file, whose real folder is watched too when a link leads to it.
func (w *walker) file(path string) {
	if real, ok := w.first(path); ok {
		w.files = append(w.files, path)
		w.folders = append(w.folders, filepath.Dir(real))
	}
}

// folder visits a folder's entries in the order of their names.
func (w *walker) folder(path string) {
	if _, ok := w.first(path); !ok {
		return
	}
	w.folders = append(w.folders, path)
	entries, err := os.ReadDir(path)
	if err != nil {
		w.errs = append(w.errs, pathError{path, err})
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		w.entry(filepath.Join(path, e.Name()), e.Type())
	}
}

func (w *walker) entry(path string, mode fs.FileMode) {
	if mode&fs.ModeSymlink != 0 {
		info, err := os.Stat(path)
		if err != nil {
			if manifest(path) {
				w.errs = append(w.errs, pathError{path, err})
			}
			return
		}
		mode = info.Mode().Type()
	}
	switch {
	case mode.IsDir():
		w.folder(path)
	case mode.IsRegular() && manifest(path):
		w.file(path)
	}
}

// manifest tells whether a file's name is one of YAML or JSON.
func manifest(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}
