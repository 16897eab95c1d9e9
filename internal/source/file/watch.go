package file

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"time"

	"github.com/fsnotify/fsnotify"
)

// How changes are gathered before they are told.
const (
	quiet     = 50 * time.Millisecond  // without a further change, then they are told
	patience  = 300 * time.Millisecond // at most, from the first change on
	pollSlow  = 5 * time.Second        // looked at again in case an event was lost
	pollQuick = 500 * time.Millisecond // where the system tells no events
)

// Watch calls changed after files were written, added or removed, until the context
// ends. Changes that come together are told once, well within a second. What changed
// since the last Load is told at the start.
func (s *Source) Watch(ctx context.Context, changed func()) error {
	w := &watch{paths: s.paths, poll: pollSlow, print: s.lastPrint()}
	events, errs := w.start()
	defer w.close()
	if w.refresh() {
		changed()
	}
	poll := time.NewTimer(w.poll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-events:
			if ok && !w.gather(ctx, events) {
				return ctx.Err()
			}
			w.refresh()
			changed()
		case <-errs: // events may have been lost
			if w.refresh() {
				changed()
			}
		case <-poll.C:
			if w.refresh() {
				changed()
			}
			poll.Reset(w.poll)
		}
	}
}

// lastPrint returns the fingerprint of the files that Load read last.
func (s *Source) lastPrint() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.print
}

// watch is one run of Watch.
type watch struct {
	paths  []string
	system *fsnotify.Watcher // nil where there is none
	poll   time.Duration
	print  uint64
}

// start opens the system's watcher. Without one the files are looked at more often.
func (w *watch) start() (<-chan fsnotify.Event, <-chan error) {
	system, err := fsnotify.NewWatcher()
	if err != nil {
		w.poll = pollQuick
		return nil, nil
	}
	w.system = system
	return system.Events, system.Errors
}

func (w *watch) close() {
	if w.system != nil {
		w.system.Close()
	}
}

// gather waits until the changes that belong together have come. It returns false
// when the context ends.
func (w *watch) gather(ctx context.Context, events <-chan fsnotify.Event) bool {
	last := time.NewTimer(patience)
	defer last.Stop()
	rest := time.NewTimer(quiet)
	defer rest.Stop()
	w.refresh() // folders that are new must be watched before they are read
	for {
		select {
		case <-ctx.Done():
			return false
		case ev := <-events:
			if ev.Has(fsnotify.Create) {
				w.refresh()
			}
			rest.Reset(quiet)
		case <-rest.C:
			return true
		case <-last.C:
			return true
		}
	}
}

// refresh watches folders that are new and tells whether anything looks different
// from the last time.
func (w *watch) refresh() bool {
	t := walk(w.paths)
	if w.system != nil {
		w.follow(t.folders)
	}
	before := w.print
	w.print = t.fingerprint()
	return w.print != before
}

// fingerprint changes when a file is added, removed or written to.
func (t tree) fingerprint() uint64 {
	sum := fnv.New64a()
	for _, e := range t.errs {
		fmt.Fprintln(sum, e.path, e.err)
	}
	for _, name := range t.files {
		if info, err := os.Stat(name); err == nil {
			fmt.Fprintln(sum, name, info.Size(), info.ModTime().UnixNano(), info.Mode())
		}
	}
	return sum.Sum64()
}

// follow watches the folders that are there now and no others. The system forgets a
// folder that is removed, so one that comes back is watched anew.
func (w *watch) follow(folders []string) {
	watched := map[string]bool{}
	for _, name := range w.system.WatchList() {
		watched[name] = true
	}
	for _, name := range folders {
		if watched[name] {
			delete(watched, name)
			continue
		}
		if err := w.system.Add(name); err != nil {
			if _, err := os.Stat(name); err == nil { // such as too many watches
				w.poll = pollQuick
			}
		}
	}
	for name := range watched {
		_ = w.system.Remove(name) // it may be gone by now
	}
}
