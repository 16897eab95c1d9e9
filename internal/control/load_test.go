package control

import (
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/overload"
)

// logLines hands on every line that is logged.
type logLines chan string

func (l logLines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// await waits for a line that holds a text.
func (l logLines) await(t *testing.T, text string) {
	t.Helper()
	for end := time.After(30 * time.Second); ; {
		select {
		case line := <-l:
			if strings.Contains(line, text) {
				return
			}
		case <-end:
			t.Fatalf("%q was not logged", text)
		}
	}
}

// TestShortOfMemory: a process that is short of memory refuses requests until it is not
// any more, and says so once in the log and all the time in its metrics.
func TestShortOfMemory(t *testing.T) {
	var used atomic.Int64
	lines := make(logLines, 1000)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "good.yaml"), newOrigin(t).fill(goodHost))
	c := startControl(t, dir, loop.DefaultKind(), func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(lines, nil))
		o.Memory = func() overload.Memory { return overload.Memory{Used: used.Load(), Limit: 1000} }
	})
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	fetch := func(at, host string) (int, string) {
		t.Helper()
		req, err := http.NewRequest("GET", "http://"+at, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	want := func(status int, metrics ...string) {
		t.Helper()
		if got, _ := fetch(c.State().Controllers[0].HTTP+"/", "app.example.com"); got != status {
			t.Errorf("with %d of 1000 used the answer is %d, want %d", used.Load(), got, status)
		}
		for _, m := range metrics {
			for end := time.Now().Add(10 * time.Second); ; { // a request is counted after it was answered
				_, text := fetch(c.AdminAddr().String()+"/metrics", "")
				if strings.Contains(text, "\n"+m+"\n") {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("with %d of 1000 used the metrics do not hold %s", used.Load(), m)
				}
			}
		}
	}
	want(200, "pierhead_overload_stage 0", `pierhead_connections_refused_total{reason="memory"} 0`)
	used.Store(960)
	lines.await(t, overload.NoRequests.String())
	want(503, "pierhead_overload_stage 2", "pierhead_memory_used_bytes 960", "pierhead_memory_limit_bytes 1000", `pierhead_errors_total{controller="default",kind="overloaded"} 1`)
	used.Store(100)
	lines.await(t, overload.Calm.String())
	want(200, "pierhead_overload_stage 0")
	for {
		select {
		case line := <-lines:
			if strings.Contains(line, "memory:") {
				t.Errorf("it is told again: %s", line)
			}
			continue
		default:
		}
		break
	}
}
