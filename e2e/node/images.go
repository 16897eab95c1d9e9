package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

const arch = runtime.GOARCH

// An Image is what takes the place of a container image: a statically linked program, a
// folder with a root file system, or both.
type Image struct {
	Binary     string   `json:"binary,omitempty"`     // path here
	Names      []string `json:"names,omitempty"`      // paths that it has in the container; default: / and its own name
	Root       string   `json:"root,omitempty"`       // path of a folder here
	Entrypoint []string `json:"entrypoint,omitempty"` // default: the first name
	Env        []string `json:"env,omitempty"`
}

func (i *Image) names() []string {
	if i.Binary == "" {
		return nil
	}
	if len(i.Names) == 0 {
		return []string{"/" + filepath.Base(i.Binary)}
	}
	return i.Names
}

// Images is a JSON file that maps image names, without tag or digest, to Images. It is
// read at every start of a container, so that it can be changed at any time.
type Images struct {
	Path string
	mu   sync.Mutex
}

// All returns the whole map.
func (m *Images) All() (map[string]Image, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read()
}

func (m *Images) read() (map[string]Image, error) {
	all := map[string]Image{}
	text, err := os.ReadFile(m.Path)
	if os.IsNotExist(err) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", m.Path, err)
	}
	return all, nil
}

// Set maps name to an image, which must be there.
func (m *Images) Set(name string, image Image) error {
	if image.Binary == "" && image.Root == "" {
		return fmt.Errorf("image %q: must have a binary or a root folder", name)
	}
	for _, path := range []*string{&image.Binary, &image.Root} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		if _, err := os.Stat(abs); err != nil {
			return fmt.Errorf("image %q: %w", name, err)
		}
		*path = abs
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all, err := m.read()
	if err != nil {
		return err
	}
	all[ImageName(name)] = image
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.Path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(m.Path+".new", m.Path)
}

// Find returns the image for a container's reference, with its entry point.
func (m *Images) Find(reference string) (Image, error) {
	all, err := m.All()
	if err != nil {
		return Image{}, err
	}
	image, ok := all[ImageName(reference)]
	if !ok {
		known := make([]string, 0, len(all))
		for name := range all {
			known = append(known, name)
		}
		slices.Sort(known)
		return Image{}, fmt.Errorf("image %q: not in the map: must be one of %s, or added with \"cluster images NAME=PATH\"", reference, strings.Join(known, ", "))
	}
	if len(image.Entrypoint) == 0 && image.Binary != "" {
		image.Entrypoint = image.names()[:1]
	}
	return image, nil
}

// ImageName strips the tag and the digest off an image reference.
func ImageName(reference string) string {
	name, _, _ := strings.Cut(reference, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name
}
