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

// collect catches what OnPanic reports.
func collect(t *testing.T) (got func() []string) {
	var mu sync.Mutex
	var list []string
	OnPanic(func(v any, stack []byte) {
		mu.Lock()
		defer mu.Unlock()
		if !strings.Contains(string(stack), "end_test.go") {
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
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil { // Go's runtime opens what it needs for itself
		ln.Close()
	}
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
		start("await", func(l *Loop) error {
			l.Go(func(any) {
				l.Sleep(time.Hour)
				close(release) // the loop ends
			}, nil)
			return l.Await(func() { <-release })
		})
		start("stubborn", func(l *Loop) error {
			l.Park()
			l.Go(func(any) { end("born late", l.Sleep(time.Hour)) }, nil)
			return l.Park()
		})
		started.Wait()
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
