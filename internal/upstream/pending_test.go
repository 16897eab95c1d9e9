package upstream

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
)

// waits runs Wait in a coroutine and tells what it picked.
func waits(p *Pool, l *loop.Loop, longest time.Duration, gone func() bool) <-chan *Endpoint {
	got := make(chan *Endpoint, 1)
	l.Post(func() { got <- p.Wait(l, asks("/"), longest, gone) })
	return got
}

func stays() bool { return false }

// awaitPending waits until so many requests do.
func awaitPending(t *testing.T, p *Pool, n int64) {
	t.Helper()
	for deadline := time.After(time.Minute); p.circuit.pending.waiting.Load() != n; {
		select {
		case <-deadline:
			t.Fatalf("%d requests wait, want %d", p.circuit.pending.waiting.Load(), n)
		case <-time.After(time.Millisecond):
		}
	}
}

func engineOf(t *testing.T) *loop.Engine {
	t.Helper()
	e, err := loop.New(loop.DefaultKind(), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// Requests wait in order of arrival, on whichever loop, no more than may; nobody who comes
// later overtakes them.
func TestPendingOrder(t *testing.T) {
	e := engineOf(t)
	p := newTrial(t, model.Upstream{Balancing: model.Balancing{MaxConnections: 1, MaxPending: 4}}, 1).Pool
	first := p.Pick(asks("/"))
	var line []<-chan *Endpoint
	for i := range 4 {
		line = append(line, waits(p, e.Loops()[i%2], time.Hour, stays))
		awaitPending(t, p, int64(i+1))
	}
	if got := <-waits(p, e.Loops()[0], time.Hour, stays); got != nil {
		t.Errorf("a fifth request gets %v", got)
	}
	if h := p.set.Health()[0]; h.Full != 1 || h.Pending != 4 {
		t.Errorf("told %+v", h)
	}
	for i, next := range line {
		p.Release(first)
		if got := p.Pick(asks("/")); got != nil {
			t.Fatalf("a request overtakes %d that wait", len(line)-i)
		}
		if got := <-next; got != first {
			t.Fatalf("request %d gets %v", i, got)
		}
		for j, later := range line[i+1:] {
			select {
			case <-later:
				t.Fatalf("request %d overtakes %d", i+1+j, i)
			default:
			}
		}
	}
	awaitPending(t, p, 0)
	p.Release(first)
	if got := p.Pick(asks("/")); got != first {
		t.Errorf("in the end %v is picked", got)
	}
}

// Who leaves or has waited long enough gives up its place, and holds up nobody.
func TestPendingGivesUp(t *testing.T) {
	e := engineOf(t)
	l := e.Loops()[0]
	p := newTrial(t, model.Upstream{Balancing: model.Balancing{MaxConnections: 1, MaxPending: 10}}, 1).Pool
	first := p.Pick(asks("/"))
	if got := <-waits(p, l, time.Millisecond, stays); got != nil {
		t.Errorf("%v is picked", got)
	}
	if h := p.set.Health()[0]; h.Late != 1 || h.Pending != 0 {
		t.Errorf("told %+v", h)
	}
	var left atomic.Bool
	leaves := waits(p, l, time.Hour, left.Load)
	awaitPending(t, p, 1)
	stayed := waits(p, e.Loops()[1], time.Hour, stays)
	awaitPending(t, p, 2)
	left.Store(true)
	if got := <-leaves; got != nil { // it looks around now and then
		t.Errorf("%v is picked for nobody", got)
	}
	p.Release(first)
	if got := <-stayed; got != first {
		t.Errorf("%v is picked", got)
	}
	if h := p.set.Health()[0]; h.Late != 1 || h.Pending != 0 {
		t.Errorf("told %+v", h)
	}
}

// New endpoints and other bounds let requests go on, and so does it that none is left.
func TestPendingChange(t *testing.T) {
	e := engineOf(t)
	up := model.Upstream{Balancing: model.Balancing{MaxConnections: 1, MaxPending: 10}}
	for name, change := range map[string]func(*trial){
		"endpoints": func(tr *trial) { tr.setEndpoints(addrs(1, 3), nil) },
		"bounds":    func(tr *trial) { up := up; up.MaxConnections = 3; tr.setManner(&up) },
		"no bound":  func(tr *trial) { tr.setManner(&model.Upstream{}) },
		"none left": func(tr *trial) { tr.setEndpoints(nil, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrial(t, up, 1)
			tr.Pick(asks("/"))
			var line []<-chan *Endpoint
			for i := range 2 {
				line = append(line, waits(tr.Pool, e.Loops()[i], time.Hour, stays))
				awaitPending(t, tr.Pool, int64(i+1))
			}
			change(tr)
			for _, got := range line {
				if e := <-got; (e == nil) != (name == "none left") {
					t.Errorf("picked %v", e)
				}
			}
			awaitPending(t, tr.Pool, 0)
		})
	}
}

// Many at a time, some of which leave: never are there more than allowed, everybody who
// stays is served, and nothing is left.
func TestPendingAtOnce(t *testing.T) {
	e := engineOf(t)
	p := newTrial(t, model.Upstream{Balancing: model.Balancing{MaxConnections: 2, MaxPending: 1 << 20}}, 2).Pool
	var have, served atomic.Int64
	var all sync.WaitGroup
	const requests = 3000
	all.Add(requests)
	for i := range requests {
		l := e.Loops()[i%2]
		l.Post(func() {
			defer all.Done()
			at := p.Pick(asks("/"))
			if at == nil {
				if at = p.Wait(l, asks("/"), time.Hour, stays); at == nil {
					t.Error("a request waited in vain")
					return
				}
			}
			if have.Add(1) > 4 {
				t.Error("the endpoints have more than 4 requests")
			}
			l.Sleep(0)
			have.Add(-1)
			served.Add(1)
			p.Release(at)
		})
	}
	all.Wait()
	if served.Load() != requests {
		t.Errorf("%d of %d are served", served.Load(), requests)
	}
	q := &p.circuit.pending
	if held := p.view.Load().endpoints; slices.ContainsFunc(held, func(e *Endpoint) bool { return e.held.Load() != 0 }) ||
		q.waiting.Load() != 0 || q.first != nil || q.last != nil || q.called != 0 {
		t.Error("something is left: " + fmt.Sprint(q.waiting.Load(), q.first, q.last, q.called))
	}
}
