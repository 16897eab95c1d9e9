package file

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// watched runs Watch in the background and returns where changes are told.
func watched(t *testing.T, s *Source) <-chan struct{} {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	changes, ended := make(chan struct{}, 100), make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Watch(ctx, func() { changes <- struct{}{} })
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return changes
}

// within waits until the source holds what is wanted; a change must be told within a
// second of the last one.
func within(t *testing.T, s *Source, changes <-chan struct{}, want string) {
	t.Helper()
	last := time.After(time.Second)
	for {
		select {
		case <-changes:
			if got, _ := balancers(s); got == want {
				return
			}
		case <-last:
			got, _ := balancers(s)
			t.Fatalf("no change was told within a second; objects are %q, want %q", got, want)
		}
	}
}

// TestWatch: every way in which files change is told within a second.
func TestWatch(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "m/a.yaml", service("a", 1))
	write(t, "single.yaml", service("s", 1))
	write(t, "elsewhere/target.yaml", service("l", 1))
	must(t, os.Symlink("../elsewhere/target.yaml", "m/link.yaml"))
	s := New("m", "single.yaml", "later/on.yaml")
	expect(t, s, "default/a:1 default/l:1 default/s:1", "later/on.yaml: error: File later/on.yaml: it cannot be read")
	changes := watched(t, s)

	write(t, "m/a.yaml", service("a", 2))
	within(t, s, changes, "default/a:2 default/l:1 default/s:1")
	write(t, "m/.a.tmp", service("a", 3))
	must(t, os.Rename("m/.a.tmp", "m/a.yaml"))
	within(t, s, changes, "default/a:3 default/l:1 default/s:1")
	write(t, "m/new/deep/b.yaml", service("b", 1))
	within(t, s, changes, "default/a:3 default/b:1 default/l:1 default/s:1")
	write(t, "m/new/deep/b.yaml", service("b", 2))
	within(t, s, changes, "default/a:3 default/b:2 default/l:1 default/s:1")
	write(t, "single.yaml", service("s", 2))
	within(t, s, changes, "default/a:3 default/b:2 default/l:1 default/s:2")
	write(t, "elsewhere/target.yaml", service("l", 2))
	within(t, s, changes, "default/a:3 default/b:2 default/l:2 default/s:2")
	must(t, os.RemoveAll("m/new"), os.Remove("single.yaml"))
	within(t, s, changes, "default/a:3 default/l:2")
	write(t, "m/new/deep/b.yaml", service("b", 3))
	within(t, s, changes, "default/a:3 default/b:3 default/l:2")
	must(t, os.Rename("m", "gone"))
	within(t, s, changes, "")
	must(t, os.Rename("gone", "m"))
	within(t, s, changes, "default/a:3 default/b:3 default/l:2")
}

// TestVolumeSwap: the swap of the ..data link of a mounted ConfigMap is told.
func TestVolumeSwap(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "m/..1/a.yaml", service("a", 1))
	must(t, os.Symlink("..1", "m/..data"), os.Symlink("..data/a.yaml", "m/a.yaml"))
	s := New("m")
	expect(t, s, "default/a:1")
	changes := watched(t, s)
	write(t, "m/..2/a.yaml", service("a", 2))
	must(t, os.Symlink("..2", "m/..tmp"), os.Rename("m/..tmp", "m/..data"))
	within(t, s, changes, "default/a:2")
}

// TestGathered: a burst of writes is told a few times only, and at least every now
// and then while it lasts.
func TestGathered(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "m/a.yaml", service("a", 1))
	s := New("m")
	s.Load()
	changes := watched(t, s)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	const writes = 160 // 800 ms, more than patience
	for i := range writes {
		<-tick.C
		write(t, filepath.Join("m", "a.yaml"), service("a", i+1))
	}
	if n := len(changes); n < 1 || n > writes/4 { // a busy machine makes pauses of its own
		t.Errorf("%d writes were told %d times", writes, n)
	}
	within(t, s, changes, "default/a:160")
}

// TestChangedBeforeWatch: what changes between Load and Watch is not lost.
func TestChangedBeforeWatch(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "m/a.yaml", service("a", 1))
	s := New("m")
	expect(t, s, "default/a:1")
	write(t, "m/b.yaml", service("b", 1))
	within(t, s, watched(t, s), "default/a:1 default/b:1")
}

// TestPoll: where the system tells no events, files are looked at.
func TestPoll(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "m/a.yaml", service("a", 1))
	w := &watch{paths: []string{"m"}, poll: pollQuick}
	w.refresh()
	if w.refresh() {
		t.Error("a change is told where there was none")
	}
	write(t, "m/a.yaml", service("a", 10))
	if !w.refresh() {
		t.Error("a longer file is not noticed")
	}
	must(t, os.Remove("m/a.yaml"))
	if !w.refresh() {
		t.Error("a removed file is not noticed")
	}
}
