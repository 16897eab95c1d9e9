package admission

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestFiles: a certificate that is renewed as a mounted Secret is — a link is turned —
// is shown soon, a broken one never, and one that comes late is taken.
func TestFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		turn := func(name string, data map[string][]byte) {
			t.Helper()
			for key, value := range data {
				if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name, key), value, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(name, filepath.Join(dir, "next")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "data")); err != nil {
				t.Fatal(err)
			}
		}
		f := NewFiles(filepath.Join(dir, "data", certEntry), filepath.Join(dir, "data", keyEntry), nil)
		if _, err := f.KeyPair(nil); err == nil {
			t.Error("there is a certificate without files")
		}
		ctx, cancel := context.WithCancel(t.Context())
		go f.Run(ctx)
		first := made1(t, []string{"a"}, time.Now())
		shown := func(what string, want map[string][]byte) {
			t.Helper()
			time.Sleep(readEvery + time.Second)
			pair, err := f.KeyPair(nil)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if leaf := read(want).server.Leaf; !pair.Leaf.Equal(leaf) {
				t.Errorf("%s: another certificate is shown", what)
			}
		}
		turn("1", first)
		shown("late", first)
		second := made1(t, []string{"a"}, time.Now())
		turn("2", second)
		shown("renewed", second)
		turn("3", with(second, certEntry, "garbage"))
		shown("broken", second)
		turn("4", with(second, keyEntry, string(first[keyEntry])))
		shown("with another key", second)
		if err := os.Remove(filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
		shown("gone", second)
		turn("5", first)
		shown("back", first)
		cancel()
		synctest.Wait()
	})
}
