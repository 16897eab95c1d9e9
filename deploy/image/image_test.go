package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/x509"
	"debug/buildinfo"
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const root = "../.."

func testOptions(root string) options {
	return options{root: root, version: "1.2.3", revision: "0123abc", created: time.Unix(1_700_000_000, 0).UTC()}
}

// built is the image, made once for all tests.
var built = sync.OnceValues(func() (v1.ImageIndex, error) { return build(context.Background(), testOptions(root)) })

// written is the image as it is read back from an OCI layout.
func written(t *testing.T) v1.ImageIndex {
	t.Helper()
	index, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	if err := write(dir, index, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	read, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// inner returns the index that an OCI layout holds.
func inner(t *testing.T, outer v1.ImageIndex) v1.ImageIndex {
	t.Helper()
	m, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Manifests) != 1 || m.Manifests[0].MediaType != types.OCIImageIndex {
		t.Fatalf("the layout holds %v, not one image index", m.Manifests)
	}
	index, err := outer.ImageIndex(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func TestLayout(t *testing.T) {
	index := inner(t, written(t))
	if err := validate.Index(index); err != nil {
		t.Errorf("the layout contradicts itself: %v", err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, d := range m.Manifests {
		platforms = append(platforms, d.Platform.String())
		img, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(d.Platform.Architecture, func(t *testing.T) {
			checkConfig(t, img, d.Platform.Architecture)
			checkFiles(t, img, d.Platform.Architecture)
		})
	}
	if want := []string{"linux/amd64", "linux/arm64"}; !slices.Equal(platforms, want) {
		t.Errorf("platforms are %v, not %v", platforms, want)
	}
}

func checkConfig(t *testing.T, img v1.Image, arch string) {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c.OS != "linux" || c.Architecture != arch {
		t.Errorf("it says to be for %s/%s", c.OS, c.Architecture)
	}
	if c.Config.User != "65532:65532" {
		t.Errorf("the user is %q", c.Config.User)
	}
	if !slices.Equal(c.Config.Entrypoint, []string{"/pierhead"}) {
		t.Errorf("the entrypoint is %q", c.Config.Entrypoint)
	}
	for label, want := range map[string]string{"version": "1.2.3", "revision": "0123abc", "licenses": "Apache-2.0", "source": "https://github.com/pierhead/pierhead"} {
		if got := c.Config.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s is %q, not %q", label, got, want)
		}
	}
	if !c.Created.Time.Equal(time.Unix(1_700_000_000, 0)) {
		t.Errorf("it was made at %v", c.Created)
	}
}

// entry is a file as it is in the image.
type entry struct {
	tar.Header
	body []byte
}

// unpack reads the only layer.
func unpack(t *testing.T, img v1.Image) map[string]entry {
	t.Helper()
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	r, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all := map[string]entry{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		all["/"+strings.TrimSuffix(h.Name, "/")] = entry{*h, body}
	}
}

// checkFiles holds that nothing but the program and what it reads is in the image, and
// that nothing can be written but temporary files.
func checkFiles(t *testing.T, img v1.Image, arch string) {
	t.Helper()
	all := unpack(t, img)
	want := []string{"/etc/group", "/etc/passwd", "/etc/ssl/certs/ca-certificates.crt", "/nginx-ingress-controller", "/pierhead", "/usr/libexec/pierhead",
		"/usr/share/licenses/pierhead/LICENSE", "/wait-shutdown"}
	for path, e := range all {
		switch {
		case e.Typeflag == tar.TypeDir && path == "/tmp":
			if e.Mode != 0o1777 {
				t.Errorf("/tmp has mode %o", e.Mode)
			}
		case e.Mode&0o7022 != 0 && e.Typeflag != tar.TypeSymlink:
			t.Errorf("%s has mode %o", path, e.Mode)
		case e.Typeflag != tar.TypeDir && !slices.Contains(want, path):
			t.Errorf("%s is in the image", path)
		}
		if e.Uid != 0 || e.Gid != 0 {
			t.Errorf("%s belongs to %d:%d", path, e.Uid, e.Gid)
		}
	}
	for _, path := range want {
		if _, ok := all[path]; !ok {
			t.Errorf("%s is not in the image", path)
		}
	}
	for _, path := range []string{"/nginx-ingress-controller", "/wait-shutdown"} {
		if all[path].Linkname != "/pierhead" {
			t.Errorf("%s leads to %q", path, all[path].Linkname)
		}
	}
	for path, capable := range map[string]bool{"/pierhead": true, "/usr/libexec/pierhead": false} {
		checkProgram(t, path, all[path].body, arch)
		if _, got := all[path].PAXRecords["SCHILY.xattr.security.capability"]; got != capable {
			t.Errorf("%s has capabilities: %v", path, got)
		}
	}
	pool := x509.NewCertPool()
	authorities := all["/etc/ssl/certs/ca-certificates.crt"].body
	if n := bytes.Count(authorities, []byte("BEGIN CERTIFICATE")); !pool.AppendCertsFromPEM(authorities) || n < 100 {
		t.Errorf("there are %d certificates of authorities", n)
	}
}

// checkProgram holds that a program is static, for this processor, and does not tell
// where it was made.
func checkProgram(t *testing.T, path string, program []byte, arch string) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]; f.Machine != want {
		t.Errorf("%s is for %v", path, f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static: it has a %v", path, p.Type)
		}
	}
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(program, []byte(here)) {
		t.Errorf("%s tells that it was made in %s", path, here)
	}
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Settings {
		if s.Key == "CGO_ENABLED" && s.Value != "0" {
			t.Errorf("%s was made with cgo", path)
		}
	}
}

// TestSameDigest makes the image again from a copy of the sources in another folder.
func TestSameDigest(t *testing.T) {
	index, err := built()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	for _, dir := range []string{"cmd", "internal", "examples", "deploy/image"} {
		if err := os.CopyFS(filepath.Join(elsewhere, dir), os.DirFS(filepath.Join(root, dir))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "LICENSE"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(elsewhere, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	again, err := build(t.Context(), testOptions(elsewhere))
	if err != nil {
		t.Fatal(err)
	}
	was, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if is, err := again.Digest(); err != nil || is != was {
		t.Errorf("the second image is %v, the first was %v (%v)", is, was, err)
	}
}

func TestSourceDate(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "1700000000": 1_700_000_000} {
		if got, err := sourceDate(text); err != nil || got.Unix() != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	if _, err := sourceDate("yesterday"); err == nil {
		t.Error("yesterday is taken")
	}
}

// TestRun holds that a folder that is there is not written over.
func TestRun(t *testing.T) {
	if err := run(options{}, t.TempDir()); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("error is %v", err)
	}
	if err := run(options{}, ""); err == nil || !strings.Contains(err.Error(), "-o") {
		t.Errorf("error is %v", err)
	}
}
