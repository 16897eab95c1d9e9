package control

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/source/file"
)

// apart is a folder whose endpoints come from elsewhere, as those of a cluster do.
type apart struct {
	*file.Source
	started  error // what Start returns
	services chan string
	told     chan struct{} // each time a change has been taken

	mu    sync.Mutex
	addrs []netip.AddrPort
}

func (a *apart) Start(context.Context) error { return a.started }

func (a *apart) Endpoints(ups []model.Upstream) (sets []model.EndpointSet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, u := range ups {
		sets = append(sets, model.EndpointSet{Upstream: u.Name, Endpoints: a.addrs})
	}
	return sets
}

func (a *apart) WatchEndpoints(ctx context.Context, changed func([]string)) error {
	for {
		select {
		case s := <-a.services:
			changed([]string{s})
			a.told <- struct{}{}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// set changes the endpoints and waits until the change has been taken.
func (a *apart) set(service string, addrs ...netip.AddrPort) {
	a.mu.Lock()
	a.addrs = addrs
	a.mu.Unlock()
	a.services <- service
	<-a.told
}

// TestEndpointsApart: changes of endpoints are live when they were taken, without a
// new plan; a new plan takes those of the moment; what is told is what is used.
func TestEndpointsApart(t *testing.T) {
	dir := t.TempDir()
	for name, text := range changingManifests(1) {
		writeFile(t, filepath.Join(dir, name), text)
	}
	a := &apart{Source: file.New(dir), services: make(chan string), told: make(chan struct{})}
	c := startControl(t, dir, loop.DefaultKind(), func(o *Options) { o.Source = a })
	if got := statusOf(t, c, "app.example.com"); got != 503 {
		t.Fatalf("without endpoints: %d", got)
	}
	addr, generation := newOrigin(t).addr, c.State().Generation
	a.set("default/other", addr)
	if got := statusOf(t, c, "app.example.com"); got != 503 {
		t.Errorf("after a change of another Service: %d", got)
	}
	a.set("default/app", addr)
	if got := statusOf(t, c, "app.example.com"); got != 200 {
		t.Errorf("with an endpoint: %d", got)
	}
	if c.State().Generation != generation {
		t.Error("a change of endpoints made a new plan")
	}
	if got := c.Current().Upstreams; len(got) != 1 || !slices.Equal(got[0].Endpoints, []string{addr.String()}) {
		t.Errorf("told %v", got)
	}
	change(t, c, func() {
		for name, text := range changingManifests(2) {
			replaceFile(t, filepath.Join(dir, name), text)
		}
	})
	if got := statusOf(t, c, "generation-2.example.com"); got != 200 {
		t.Errorf("on a host of a later plan: %d", got)
	}
	a.set("default/app")
	if got := statusOf(t, c, "app.example.com"); got != 503 {
		t.Errorf("without endpoints again: %d", got)
	}
}

// TestStartFails: a source that cannot start leaves nothing behind.
func TestStartFails(t *testing.T) {
	no := errors.New("no")
	_, err := Start(t.Context(), Options{
		Source: &apart{Source: file.New(t.TempDir()), started: no}, Engine: loop.DefaultKind(), Log: slog.New(slog.DiscardHandler), AdminListen: "127.0.0.1:0",
	})
	if !errors.Is(err, no) {
		t.Errorf("Start returns %v", err)
	}
}
