package loop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestParkAndWake(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		l := e.Loops()[0]
		on(l, func() {
			var log []string
			var sleeper *Task
			l.Go(func(any) {
				sleeper = l.Task()
				log = append(log, "parks")
				if err := l.Park(); err != nil {
					t.Error(err)
				}
				log = append(log, "woken")
			}, nil)
			log = append(log, "back")
			sleeper.Wake()
			sleeper.Wake() // once is enough
			log = append(log, "still here")
			l.Sleep(time.Millisecond)
			if got := strings.Join(log, ", "); got != "parks, back, still here, woken" {
				t.Error(got)
			}
			l.Task().Wake() // remembered
			if err := l.Park(); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestSleepAndTimers(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		l := e.Loops()[0]
		on(l, func() {
			start := time.Now()
			var log []string
			note := func(a any) { log = append(log, a.(string)) }
			l.AfterFunc(30*time.Millisecond, note, "30")
			l.AfterFunc(10*time.Millisecond, note, "10")
			l.AfterFunc(20*time.Millisecond, note, "20")
			never := l.AfterFunc(15*time.Millisecond, note, "never")
			l.AfterFunc(0, note, "0")
			never.Stop()
			never.Stop()
			if err := l.Sleep(40 * time.Millisecond); err != nil {
				t.Error(err)
			}
			if d := time.Since(start); d < 40*time.Millisecond {
				t.Error("slept", d)
			}
			if d := time.Since(l.Now()); d > 20*time.Millisecond {
				t.Error("the clock is behind by", d)
			}
			if got := strings.Join(log, " "); got != "0 10 20 30" {
				t.Error(got)
			}
		})
	})
}

func TestAwait(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		l := e.Loops()[0]
		on(l, func() {
			other := false
			go1 := make(chan struct{})
			l.AfterFunc(0, func(any) { other = true; close(go1) }, nil)
			if err := l.Await(func() { <-go1 }); err != nil { // the loop goes on meanwhile
				t.Error(err)
			}
			if !other {
				t.Error("the loop stood still")
			}
			caught := func() (v any) {
				defer func() { v = recover() }()
				l.Await(func() { panic("inside") })
				return nil
			}()
			if fmt.Sprint(caught) != "inside" {
				t.Error(caught)
			}
		})
	})
}

func TestPostFromOutside(t *testing.T) {
	onBoth(t, 2, func(t *testing.T, e *Engine) {
		var wg sync.WaitGroup
		counts := make([]int, 2)
		for range 8 {
			go func() {
				for range 200 {
					l := e.Next()
					l.Post(func() {
						defer wg.Done()
						wakeAndPark(t, l)
						counts[l.Index()]++ // no lock: one loop, one at a time
					})
				}
			}()
			wg.Add(200)
		}
		wg.Wait()
		if counts[0] != 800 || counts[1] != 800 {
			t.Error(counts)
		}
	})
}

// wakeAndPark is a short wait.
func wakeAndPark(t *testing.T, l *Loop) {
	l.Task().Wake()
	if err := l.Park(); err != nil {
		t.Error(err)
	}
}

func TestAtTurnEnd(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		l := e.Loops()[0]
		var log []string
		note := func(a any) { log = append(log, a.(string)) }
		on(l, func() {
			l.AtTurnEnd(note, "end 1")
			l.AtTurnEnd(func(any) {
				note("end 2")
				l.Go(func(a any) { note("started"); l.AtTurnEnd(note, "end 3") }, nil)
			}, nil)
			l.Go(note, "now")
			l.Sleep(time.Millisecond)
		})
		if got := strings.Join(log, ", "); got != "now, end 1, end 2, started, end 3" {
			t.Error(got)
		}
	})
}

// collect catches what OnPanic reports.
func collect(t *testing.T) (got func() []string) {
	var mu sync.Mutex
	var list []string
	OnPanic(func(v any, stack []byte) {
		mu.Lock()
		defer mu.Unlock()
		if !strings.Contains(string(stack), "task_test.go") {
			t.Errorf("the stack of %v does not show where: %s", v, stack)
		}
		list = append(list, fmt.Sprint(v))
	})
	t.Cleanup(func() { onPanic.Store(nil) })
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return list
	}
}

func TestPanicHurtsNobodyElse(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		got := collect(t)
		ln := listen(t, e, func(c *Conn) {
			defer c.Close()
			b := make([]byte, 1)
			for {
				if _, err := c.Read(b); err != nil {
					return
				}
				switch b[0] {
				case 'p':
					panic("one request")
				case 'x':
					runtime.Goexit()
				case 't':
					c.Loop().AtTurnEnd(func(any) { panic("turn end") }, nil)
				case 'a':
					c.Loop().Await(func() { panic("awaited") })
				}
				c.Write(b)
			}
		})
		good := client(t, ln)
		for _, m := range []string{"p", "x", "t", "a", "p", "x"} {
			c := client(t, ln)
			c.Write([]byte(m))
			io.ReadFull(c, make([]byte, 1))
			good.Write([]byte("."))
			if _, err := io.ReadFull(good, make([]byte, 1)); err != nil {
				t.Fatal("after", m, err)
			}
		}
		want := "[one request runtime.Goexit called in a coroutine turn end awaited one request runtime.Goexit called in a coroutine]"
		if s := fmt.Sprint(got()); s != want {
			t.Error(s)
		}
	})
}

func TestMisuseIsReported(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		var got []string
		OnPanic(func(v any, _ []byte) { got = append(got, fmt.Sprint(v)) })
		defer onPanic.Store(nil)
		_, wait := pair(t, e, func(c *Conn) {
			l := c.Loop()
			l.Go(func(any) { c.Read(make([]byte, 1)) }, nil)
			l.Go(func(any) { c.Read(make([]byte, 1)) }, nil)
			l.Go(func(any) { c.Write(make([]byte, 32<<20)) }, nil)
			l.Go(func(any) { c.Write(make([]byte, 1)) }, nil)
			l.AtTurnEnd(func(any) { l.Park() }, nil)
			l.Sleep(time.Millisecond)
		})
		wait()
		want := []string{"loop: two coroutines read from one connection", "loop: two coroutines write to one connection", "loop: a wait outside of any coroutine"}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q", got)
		}
	})
}

// Close of an engine ends every kind of wait, runs the deferred calls and leaves
// nothing behind.
func TestEngineCloseUnwinds(t *testing.T) {
	before := descriptors(t)
	for _, kind := range []Kind{Loops, Goroutines} {
		e, err := New(kind, 2)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		ended := map[string]error{}
		end := func(name string, err error) {
			mu.Lock()
			defer mu.Unlock()
			ended[name] = err
		}
		var started sync.WaitGroup
		start := func(name string, f func(*Loop) error) {
			started.Add(1)
			l := e.Next()
			l.Post(func() {
				var err error
				defer func() { end(name, err) }()
				started.Done()
				err = f(l)
			})
		}
		idle := make(chan struct{})
		ln := listen(t, e, func(c *Conn) {
			c.OnReadable(func(a any) {
				_, err := c.Read(make([]byte, 1))
				end("idle", err)
				c.OnReadable(func(any) { end("again", nil) }, nil)
			}, nil)
			close(idle)
		})
		client(t, ln)
		<-idle
		quiet, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts, nobody reads
		if err != nil {
			t.Fatal(err)
		}
		at := quiet.Addr().(*net.TCPAddr).AddrPort()
		start("park", func(l *Loop) error { return l.Park() })
		start("sleep", func(l *Loop) error { return l.Sleep(time.Hour) })
		start("read", func(l *Loop) error {
			c, err := l.Dial(at, time.Second)
			if err != nil {
				return err
			}
			_, err = c.Read(make([]byte, 1)) // never closed: the engine does
			return err
		})
		start("write", func(l *Loop) error {
			c, err := l.Dial(at, time.Second)
			if err != nil {
				return err
			}
			_, err = c.Write(make([]byte, 64<<20))
			return err
		})
		release := make(chan struct{})
		start("await", func(l *Loop) error { return l.Await(func() { <-release }) })
		start("stubborn", func(l *Loop) error {
			l.Park()
			l.Go(func(any) { end("born late", l.Sleep(time.Hour)) }, nil)
			return l.Park()
		})
		started.Wait()
		time.AfterFunc(10*time.Millisecond, func() { close(release) })
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		e.Close()
		for _, name := range []string{"idle", "park", "sleep", "read", "write", "await", "stubborn", "born late"} {
			if err, ok := ended[name]; !ok || !errors.Is(err, ErrStopped) {
				t.Errorf("%s: %s: %v %v", kind, name, ok, err)
			}
		}
		if _, ok := ended["again"]; ok {
			t.Error("OnReadable ran twice")
		}
		if s := e.Stats(); s.Coroutines != 0 || s.Connections != 0 {
			t.Errorf("%s: %+v", kind, s)
		}
		if _, err := e.Listen(local, echo); !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
		e.Next().Post(func() { t.Error("ran after Close") })
		quiet.Close()
	}
	if !haveProc {
		return
	}
	if after := descriptors(t); after > before+2 { // the two clients
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

const haveProc = runtime.GOOS == "linux"

func descriptors(t *testing.T) int {
	if !haveProc {
		return 0
	}
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestTimersHeap(t *testing.T) {
	var h timers
	rows := make([]*Timer, 500)
	at := map[*Timer]int64{}
	x := uint32(1)
	random := func() int64 { x = x*1664525 + 1013904223; return int64(x >> 8) }
	for i := range rows {
		rows[i] = &Timer{}
		at[rows[i]] = random()
		h.add(at[rows[i]], rows[i])
	}
	for i, r := range rows {
		switch i % 3 {
		case 0:
			h.remove(r)
			delete(at, r)
		case 1:
			at[r] = random()
			h.add(at[r], r)
		}
	}
	last := int64(-1)
	for n := len(at); n > 0; n-- {
		m := h[0]
		if m.when < last || at[m.who.(*Timer)] != m.when {
			t.Fatal("out of order")
		}
		last = m.when
		h.remove(m.who)
	}
	if _, ok := h.first(); ok {
		t.Error("something is left")
	}
}
