package node

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A fileSet is the content of a volume, by path in it.
type fileSet map[string]file

type file struct {
	content []byte
	mode    *int32 // nil: 0644
}

// data is the link by which all files of a volume change in the same moment, as those
// know that watch a kubelet's volumes.
const data = "..data"

// write makes the volume in dir hold these files, and does nothing if it does. A group
// other than -1 owns the files and may read them.
func (set fileSet) write(dir string, group int) error {
	if set.isIn(filepath.Join(dir, data)) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(dir, "..version-")
	if err != nil {
		return err
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	for name, f := range set {
		if !filepath.IsLocal(name) || strings.HasPrefix(name, "..") {
			return fmt.Errorf("path %q: must lie in the volume", name)
		}
		path, mode := filepath.Join(fresh, name), os.FileMode(0o644)
		if f.mode != nil {
			mode = os.FileMode(*f.mode)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if group != -1 {
			mode |= 0o440
		}
		if err := os.WriteFile(path, f.content, mode); err != nil {
			return err
		}
		if err := os.Chown(path, -1, group); err != nil {
			return err
		}
	}
	old, _ := os.Readlink(filepath.Join(dir, data)) // none the first time
	next := filepath.Join(dir, "..data_new")
	if err := os.Symlink(filepath.Base(fresh), next); err != nil {
		return err
	}
	if err := os.Rename(next, filepath.Join(dir, data)); err != nil {
		return err
	}
	if err := set.link(dir); err != nil {
		return err
	}
	if old != "" {
		return os.RemoveAll(filepath.Join(dir, old))
	}
	return nil
}

// link makes what users see: a link for each name at the top of the volume.
func (set fileSet) link(dir string) error {
	want := map[string]bool{}
	for name := range set {
		top, _, _ := strings.Cut(name, "/")
		want[top] = true
	}
	have, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range have {
		if name := e.Name(); !strings.HasPrefix(name, "..") {
			if !want[name] {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					return err
				}
			}
			delete(want, name)
		}
	}
	for name := range want {
		if err := os.Symlink(filepath.Join(data, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// isIn says whether dir holds these files and no others.
func (set fileSet) isIn(dir string) bool {
	found := 0
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	err = filepath.WalkDir(real, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(real, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if f, ok := set[name]; !ok || !bytes.Equal(f.content, content) {
			return fmt.Errorf("%s has changed", name)
		}
		found++
		return nil
	})
	return err == nil && found == len(set)
}
