package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImageName(t *testing.T) {
	for in, want := range map[string]string{
		"echo":                               "echo",
		"echo:v1":                            "echo",
		"registry.test:5000/team/echo":       "registry.test:5000/team/echo",
		"registry.test:5000/team/echo:v1":    "registry.test:5000/team/echo",
		"registry.test/echo@sha256:0123":     "registry.test/echo",
		"registry.test/echo:v1@sha256:01234": "registry.test/echo",
	} {
		if got := ImageName(in); got != want {
			t.Errorf("ImageName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestImages(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	m := &Images{Path: filepath.Join(dir, "images.json")}
	if err := m.Set("a/b:v1", Image{Binary: program}); err != nil {
		t.Fatal(err)
	}
	if err := m.Set("c", Image{Binary: program, Names: []string{"/usr/bin/c", "/c"}}); err != nil {
		t.Fatal(err)
	}
	for reference, entry := range map[string]string{"a/b:v2": "/program", "c@sha256:00": "/usr/bin/c"} {
		image, err := m.Find(reference)
		if err != nil || image.Binary != program || len(image.Entrypoint) != 1 || image.Entrypoint[0] != entry {
			t.Errorf("Find(%q) = %+v, %v, want it to start %s", reference, image, err, entry)
		}
	}
	if _, err := m.Find("d:v1"); err == nil || !strings.Contains(err.Error(), `"d:v1"`) || !strings.Contains(err.Error(), "a/b, c") {
		t.Errorf("Find of an unknown image: %v, want the image and what there is", err)
	}
	if err := m.Set("e", Image{Binary: filepath.Join(dir, "missing")}); err == nil {
		t.Error("Set takes a program that is not there")
	}
	if err := m.Set("e", Image{}); err == nil {
		t.Error("Set takes an image without content")
	}
}
