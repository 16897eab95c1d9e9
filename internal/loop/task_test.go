package loop

import (
	"fmt"
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
			start := l.Now() // from which timers count
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
