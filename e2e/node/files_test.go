package node

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestFileSet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volume")
	write := func(set fileSet) string {
		t.Helper()
		if err := set.write(dir, -1); err != nil {
			t.Fatal(err)
		}
		version, err := os.Readlink(filepath.Join(dir, data))
		if err != nil {
			t.Fatal(err)
		}
		return version
	}
	mode := int32(0o400)
	first := write(fileSet{"tls.crt": {[]byte("one"), nil}, "tls.key": {[]byte("secret"), &mode}, "deep/er": {[]byte("x"), nil}})
	if info, err := os.Stat(filepath.Join(dir, "tls.key")); err != nil || info.Mode() != 0o400 {
		t.Errorf("tls.key: %v, %v, want mode 0400", info, err)
	}
	same := write(fileSet{"tls.crt": {[]byte("one"), nil}, "tls.key": {[]byte("secret"), &mode}, "deep/er": {[]byte("x"), nil}})
	if same != first {
		t.Errorf("version %s for the same files, want %s still", same, first)
	}
	second := write(fileSet{"tls.crt": {[]byte("two"), nil}, "deep/er": {[]byte("x"), nil}})
	if second == first {
		t.Errorf("version %s for other files, want a new one", second)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "tls.crt")); err != nil || string(text) != "two" {
		t.Errorf("tls.crt: %q, %v, want the new content", text, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	want := []string{data, second, "deep", "tls.crt"}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("folder has %q, want %q", got, want)
	}
}

func TestFileSetStaysInItsFolder(t *testing.T) {
	for _, name := range []string{"../escape", "/etc/passwd", "..data", "a/../../b"} {
		if err := (fileSet{name: {}}).write(t.TempDir(), -1); err == nil {
			t.Errorf("path %q is taken, want it refused", name)
		}
	}
}
