package file

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

// maxSize is how large one file may be.
const maxSize = 16 << 20

var errTooLarge = fmt.Errorf("it is larger than %d MiB", maxSize>>20)

// settle is how long a file that changes must be left alone before it is read
// again: an editor may be half way through writing it.
const settle = 30 * time.Millisecond

// Source reads the objects of files and folders. Its methods may be called from
// several goroutines.
type Source struct {
	paths []string

	mu     sync.Mutex
	files  map[string]*state
	loaded bool
	print  uint64 // of the files as Load found them
}

// state is what is known of one file.
type state struct {
	sum  [sha256.Size]byte
	now  parsed // what the file holds
	used []item // what is in effect: of now, and of earlier versions where now could not be read
}

// New returns a source of the files and of all manifests in the folders.
func New(paths ...string) *Source {
	clean := make([]string, len(paths))
	for i, p := range paths {
		clean[i] = filepath.Clean(p)
	}
	return &Source{paths: clean, files: map[string]*state{}}
}

// Load reads all files and returns their objects. A file or object that cannot be
// read any more stays as it was; the problems say so.
func (s *Source) Load() (*translate.Objects, []model.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := walk(s.paths)
	var problems []model.Problem
	for _, e := range t.errs {
		problems = append(problems, unreadable(e.path, e.err))
	}
	if len(t.files) == 0 && len(t.errs) == 0 {
		problems = append(problems, empty(s.paths))
	}
	if s.loaded {
		waitSettled(t.files)
	}
	s.loaded, s.print = true, t.fingerprint()
	objects := translate.NewObjects()
	next := map[string]*state{}
	for _, name := range t.files {
		st, ps := s.read(name)
		problems = append(problems, ps...)
		if st == nil {
			continue
		}
		next[name] = st
		for _, it := range st.used {
			if err := objects.Add(it.object, it.place); err != nil {
				problems = append(problems, model.Problem{Origin: it.origin, Reason: err.Error(), Severity: model.Error})
			}
		}
		for _, origin := range st.now.refused {
			objects.Refuse(origin)
		}
	}
	s.keepUnreadable(t, next, objects)
	s.files = next
	return objects, model.SortProblems(problems)
}

// keepUnreadable keeps what is known of files in a folder that cannot be listed for
// now: only files that are known to be gone take their objects with them.
func (s *Source) keepUnreadable(t tree, next map[string]*state, objects *translate.Objects) {
	for name, st := range s.files {
		if _, err := os.Stat(name); next[name] != nil || err == nil || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		next[name] = st
		for _, it := range st.used {
			_ = objects.Add(it.object, it.place) // it was added before
		}
	}
}

// read returns the state of one file and its problems.
func (s *Source) read(name string) (*state, []model.Problem) {
	prev := s.files[name]
	text, err := readFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // gone since the folder was listed
	}
	if err != nil {
		return prev, []model.Problem{stays(unreadable(name, err), prev != nil)}
	}
	if sum := sha256.Sum256(text); prev == nil || prev.sum != sum {
		next := &state{sum: sum, now: parse(name, text)}
		next.used = inEffect(next.now, prev)
		prev = next
	}
	return prev, problemsOf(prev)
}

// inEffect returns the objects to be used of a file: those it holds now, the earlier
// version of each object that could not be read, or all earlier ones when a part of
// the file could not even be parsed.
func inEffect(now parsed, prev *state) []item {
	if prev == nil {
		return now.items
	}
	if now.broken {
		return prev.used
	}
	used := slices.Clone(now.items)
	for _, origin := range now.refused {
		for _, it := range prev.used {
			if it.origin.String() == origin.String() && !holds(used, origin) {
				used = append(used, it)
			}
		}
	}
	return used
}

func holds(items []item, origin model.Origin) bool {
	return slices.ContainsFunc(items, func(it item) bool { return it.origin.String() == origin.String() })
}

// problemsOf returns the problems of a file, and says of each whether an earlier
// state stays in use.
func problemsOf(st *state) []model.Problem {
	ps := slices.Clone(st.now.problems)
	for i, p := range ps {
		kept := p.Severity == model.Error && p.Origin.Kind != "File" && refusedBy(st.now, p.Origin) && holds(st.used, p.Origin)
		if p.Origin.Kind == "File" && st.now.broken {
			kept = len(st.used) > 0 && !sameItems(st.used, st.now.items)
		}
		ps[i] = stays(p, kept)
	}
	return ps
}

func refusedBy(p parsed, origin model.Origin) bool {
	return slices.ContainsFunc(p.refused, func(o model.Origin) bool { return o.String() == origin.String() })
}

func sameItems(a, b []item) bool {
	return slices.EqualFunc(a, b, func(x, y item) bool { return x.object == y.object })
}

// stays adds to a problem that what was known before stays in use.
func stays(p model.Problem, kept bool) model.Problem {
	if kept {
		p.Reason += "; what was read from it before stays in use"
	}
	return p
}

// empty is the problem of paths that hold no manifest at all.
func empty(paths []string) model.Problem {
	return model.Problem{
		Origin: fileOrigin(strings.Join(paths, " "), 0), Reason: "no manifest is here: no file that ends in .yaml, .yml or .json",
		Remedy: "name a file, or a folder that holds some", Severity: model.Warning,
	}
}

// unreadable is the problem of a path that cannot be read.
func unreadable(name string, err error) model.Problem {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	if errors.Is(err, errTooLarge) {
		return model.Problem{Origin: fileOrigin(name, 0), Reason: "it is not read: " + err.Error(), Remedy: "split it", Severity: model.Error}
	}
	return model.Problem{
		Origin: fileOrigin(name, 0), Reason: "it cannot be read: " + err.Error(),
		Remedy: "correct the path or its permissions", Severity: model.Error,
	}
}

// readFile reads a file up to the largest size.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(text) > maxSize {
		err = errTooLarge
	}
	return text, err
}

// waitSettled waits until no file was written to within the last moment, or for ten
// moments.
func waitSettled(files []string) {
	for range 10 {
		var youngest time.Time
		for _, name := range files {
			if info, err := os.Stat(name); err == nil && info.ModTime().After(youngest) {
				youngest = info.ModTime()
			}
		}
		rest := settle - time.Since(youngest)
		if rest <= 0 || rest > settle {
			return
		}
		time.Sleep(rest)
	}
}
