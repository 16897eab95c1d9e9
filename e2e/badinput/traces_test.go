package badinput

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/e2e/bed"
)

// place is a namespace of bad objects, and those beside it that must not notice.
type place struct{ *bed.Space }

// tells waits until an Event of an object, named as kind/name, and the log of a
// controller hold a text.
func (p *place) tells(object, text string) {
	p.Helper()
	p.tellsIn(p.Name, object, text)
}

// tellsIn is tells for an object of another namespace.
func (p *place) tellsIn(namespace, object, text string) {
	p.Helper()
	kind, name, _ := strings.Cut(object, "/")
	p.Eventually(20*time.Second, func() error {
		events, err := kube.Client().CoreV1().Events(namespace).List(p.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=" + kind + ",involvedObject.name=" + name})
		if err != nil {
			return err
		}
		var said []string
		for i := range events.Items {
			if strings.Contains(events.Items[i].Message, text) && events.Items[i].Type == "Warning" {
				return nil
			}
			said = append(said, events.Items[i].Message)
		}
		return fmt.Errorf("the Events of %s %s say %.2000q, want %q", kind, name, said, text)
	})
	p.logs(text)
}

// logs waits until the log of a controller holds a text.
func (p *place) logs(text string) {
	p.Helper()
	quoted := strings.ReplaceAll(text, `"`, `\"`) // by the log's format
	p.Eventually(10*time.Second, func() error {
		for _, file := range logFiles(p.TB) {
			if strings.Contains(readLog(p.TB, file), quoted) {
				return nil
			}
		}
		return fmt.Errorf("no log says %q", text)
	})
}

func logFiles(t testing.TB) (files []string) {
	t.Helper()
	pods, err := kube.Pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods {
		files = append(files, kube.PodLog(kube.Installed.Namespace, pod.Name, "controller"))
	}
	return files
}

func readLog(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// problemLines counts the lines of a log that are no requests, and returns the longest.
func problemLines(t testing.TB, file string) (n, longest int) {
	for line := range strings.Lines(readLog(t, file)) {
		if strings.HasPrefix(line, "time=") {
			n++
			longest = max(longest, len(line))
		}
	}
	return n, longest
}

// usage is what a Pod of the controller holds.
type usage struct {
	pod                   string
	heap                  int64
	routines, descriptors int
}

// usages looks at all Pods, and fails when one was started again.
func usages(t testing.TB) (all []usage) {
	t.Helper()
	pods, err := kube.Pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods {
		if pod.Restarts != 0 {
			t.Fatalf("pod %s has started again %d times", pod.Name, pod.Restarts)
		}
		u := usage{pod: pod.Name}
		if u.heap, err = pod.Heap(t.Context()); err != nil {
			t.Fatal(err)
		}
		if u.descriptors, err = pod.Descriptors(); err != nil {
			t.Fatal(err)
		}
		if u.routines, err = pod.Goroutines(t.Context()); err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	return all
}

// share is how much more than before may be left. On top of that, since a Pod without
// work holds little: buffers of connections that happen to be open, these connections,
// and the coroutines that event loops keep for their next requests.
const (
	share       = 0.05
	slack       = 1 << 20
	connections = 4
	coroutines  = 8
)

// left says what the Pods hold together beyond what they did before: which of them
// leads, and has more to do, may have changed.
func left(before, after []usage) error {
	if len(before) != len(after) {
		return fmt.Errorf("%d Pods, %d before", len(after), len(before))
	}
	var b, a usage
	for i := range after {
		if after[i].pod != before[i].pod {
			return fmt.Errorf("pod %s is another one than %s", after[i].pod, before[i].pod)
		}
		b.add(before[i])
		a.add(after[i])
	}
	switch {
	case float64(a.heap) > float64(b.heap)*(1+share)+slack:
		return fmt.Errorf("heaps of %d bytes, %d before", a.heap, b.heap)
	case float64(a.routines) > float64(b.routines)*(1+share)+coroutines:
		return fmt.Errorf("%d goroutines, %d before", a.routines, b.routines)
	case float64(a.descriptors) > float64(b.descriptors)*(1+share)+connections:
		return fmt.Errorf("%d descriptors, %d before", a.descriptors, b.descriptors)
	}
	return nil
}

func (u *usage) add(v usage) {
	u.heap += v.heap
	u.routines += v.routines
	u.descriptors += v.descriptors
}

// forgets waits until the Pods hold no more than they did.
func forgets(t *bed.Space, before []usage) {
	t.Helper()
	var after []usage
	defer func() {
		if t.Failed() {
			pods, _ := kube.Pods(t.Context())
			for _, pod := range pods {
				for _, kind := range []string{"heap?gc=1", "goroutine?debug=1"} {
					name := "badinput-" + strings.Split(kind, "?")[0] + "-" + pod.Name
					if err := pod.Profile(t.Context(), kind, filepath.Join(os.TempDir(), name)); err == nil {
						t.Logf("see %s", filepath.Join(os.TempDir(), name))
					}
				}
			}
		}
	}()
	tick := time.NewTicker(time.Second) // looking costs something itself
	defer tick.Stop()
	t.Eventually(60*time.Second, func() error {
		<-tick.C
		after = usages(t.TB)
		return left(before, after)
	})
	for i := range after {
		t.Logf("before %+v", before[i])
		t.Logf("after  %+v", after[i])
	}
}

// gone waits until namespaces are no more.
func gone(t *bed.Space, names ...string) {
	t.Helper()
	t.Eventually(60*time.Second, func() error {
		list, err := kube.Client().CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if slices.Contains(names, list.Items[i].Name) {
				return fmt.Errorf("namespace %s is still there", list.Items[i].Name)
			}
		}
		return nil
	})
}
