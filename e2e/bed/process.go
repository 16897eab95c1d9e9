package bed

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/e2e/cluster"
)

// A Pod is one Pod of the controller, and the process in it.
type Pod struct {
	Name, IP string
	Restarts int32
	cluster.Process
	inside *http.Client
}

// Pods returns the controller's Pods that run, by name.
func (b *Bed) Pods(ctx context.Context) ([]*Pod, error) {
	list, err := b.Client().CoreV1().Pods(b.Installed.Namespace).List(ctx, metav1.ListOptions{LabelSelector: b.Installed.Selector})
	if err != nil {
		return nil, err
	}
	var pods []*Pod
	for i := range list.Items {
		p := &list.Items[i]
		if p.DeletionTimestamp != nil || len(p.Status.ContainerStatuses) != 1 {
			continue
		}
		status := &p.Status.ContainerStatuses[0]
		process, err := b.PodProcess(p.Namespace, p.Name, status.Name)
		if err != nil {
			continue // it is starting
		}
		transport := process.Transport()
		transport.DisableKeepAlives = true // a connection that waits would count as the Pod's
		pods = append(pods, &Pod{p.Name, p.Status.PodIP, status.RestartCount, process, &http.Client{Transport: transport, Timeout: 2 * time.Minute}})
	}
	slices.SortFunc(pods, func(x, y *Pod) int { return strings.Compare(x.Name, y.Name) })
	return pods, nil
}

// Get asks an address that the Pod itself reaches, as its profiler is.
func (p *Pod) Get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := p.inside.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", url, response.Status, body)
	}
	return body, err
}

// Metrics returns the values of the Pod's metrics by name, summed over their labels.
func (p *Pod) Metrics(ctx context.Context) (map[string]float64, error) {
	text, err := p.Get(ctx, "http://127.0.0.1:10254/metrics")
	if err != nil {
		return nil, err
	}
	sums := map[string]float64{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		name, value := line, line[strings.LastIndexByte(line, ' ')+1:]
		if n := strings.IndexAny(line, "{ "); n > 0 {
			name = line[:n]
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil && name != "#" {
			sums[name] += v
		}
	}
	return sums, lines.Err()
}

// profiler is where Go's profiles are, inside of the Pod.
const profiler = "http://127.0.0.1:10245/debug/pprof/"

// Profile stores one of Go's profiles, such as heap?gc=1 or profile?seconds=10.
func (p *Pod) Profile(ctx context.Context, kind, file string) error {
	body, err := p.Get(ctx, profiler+kind)
	if err != nil {
		return err
	}
	return os.WriteFile(file, body, 0o644)
}

// Heap collects garbage and returns the bytes of the objects that are left.
func (p *Pod) Heap(ctx context.Context) (int64, error) {
	// Twice, since what is pooled lives through one collection.
	if _, err := p.Get(ctx, profiler+"heap?gc=1&debug=1"); err != nil {
		return 0, err
	}
	text, err := p.Get(ctx, profiler+"heap?gc=1&debug=1")
	if err != nil {
		return 0, err
	}
	return after(string(text), "# HeapAlloc = ")
}

// Goroutines returns how many there are, with the one that counts them.
func (p *Pod) Goroutines(ctx context.Context) (int, error) {
	text, err := p.Get(ctx, profiler+"goroutine?debug=1")
	if err != nil {
		return 0, err
	}
	n, err := after(string(text), "goroutine profile: total ")
	return int(n), err
}

// Resident returns how much memory of the machine the process has, and the most it had.
func (p *Pod) Resident() (now, peak int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid))
	if err != nil {
		return 0, 0, err
	}
	if now, err = after(string(text), "VmRSS:"); err != nil {
		return 0, 0, err
	}
	peak, err = after(string(text), "VmHWM:")
	return now << 10, peak << 10, err
}

// Descriptors returns how many the process has open.
func (p *Pod) Descriptors() (int, error) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid))
	return len(list), err
}

// CPU returns the time that the process has computed.
func (p *Pod) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the third field is the first here
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %d fields", p.Pid, len(fields)+2)
	}
	ticks := int64(0)
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100), nil
}

// after returns the number behind a word.
func after(text, word string) (int64, error) {
	_, rest, ok := strings.Cut(text, word)
	fields := strings.Fields(rest)
	if !ok || len(fields) == 0 {
		return 0, fmt.Errorf("there is no %q", word)
	}
	return strconv.ParseInt(fields[0], 10, 64)
}
