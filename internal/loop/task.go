package loop

import (
	"iter"
	"runtime/debug"
	"time"
)

// maxFree is how many coroutines without work a loop keeps: a used one has its
// stack at the size that its work needs.
const maxFree = 1024

// budget is how many bytes a coroutine may read before it gives way to the others
// of its loop, and readCost what a Read costs besides its bytes.
const (
	budget   = 512 << 10
	readCost = 4 << 10
)

// Task is one coroutine. It does many pieces of work, one after the other.
type Task struct {
	loop   *Loop
	resume func()      // on the loop: go on until the next pause
	pause  func()      // in the coroutine: back to the loop
	work   call        // nil: end
	state  state       //
	permit bool        // a Wake that came while the task did not Park
	exited bool        // lives on after runtime.Goexit
	rang   bool        // the timer of Sleep has passed
	err    error       // why a wait was cut short
	spent  int         // of the budget, since it was resumed
	where  int         // index in loop.tasks
	timer  int32       // place of its Sleep among the timers
	crash  *awaitPanic // what went wrong in the goroutine of Await
}

// state is what a coroutine is doing.
type state uint8

const (
	running  state = iota // or without work
	waiting               // for a connection or a timer
	parked                // in Park
	awaiting              // in Await: nothing but its end resumes it
	queued                // will be resumed in this turn or the next
)

// Go runs f in a new coroutine, at once, until its first wait. A panic ends the
// coroutine only, and is reported; so does runtime.Goexit.
func (l *Loop) Go(f func(any), arg any) {
	var t *Task
	if n := len(l.free); n > 0 {
		t = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		t = l.newTask()
	}
	t.work = call{f, arg}
	t.permit, t.err = false, nil
	l.live.Add(1)
	l.resume(t)
}

func (l *Loop) newTask() *Task {
	t := &Task{loop: l, where: len(l.tasks)}
	l.tasks = append(l.tasks, t)
	if l.engine.kind == Loops {
		next, _ := iter.Pull(func(yield func(struct{}) bool) {
			t.pause = func() { yield(struct{}{}) }
			t.main()
		})
		t.resume = func() { next() }
		return t
	}
	in, out := make(chan struct{}), make(chan struct{})
	t.pause = func() { out <- struct{}{}; <-in }
	t.resume = func() { in <- struct{}{}; <-out }
	go func() {
		<-in
		defer close(out)
		t.main()
	}()
	return t
}

// main does the work it is given until there is none.
func (t *Task) main() {
	defer t.forget()
	t.life()
}

func (t *Task) life() {
	for t.work.f != nil {
		t.call()
		if !t.rest() {
			return
		}
	}
}

// rest waits for the next piece of work; false: the coroutine ends.
func (t *Task) rest() bool {
	l := t.loop
	t.work = call{}
	l.live.Add(-1)
	if !t.exited && (l.stopping || len(l.free) >= maxFree) {
		return false
	}
	l.free = append(l.free, t)
	t.pause()
	return true
}

// end ends a coroutine without work.
func (t *Task) end() {
	if !t.exited {
		t.loop.resume(t)
		return
	}
	done := make(chan struct{})
	go func() { // package iter ends the goroutine that resumes it
		defer close(done)
		t.loop.resume(t)
	}()
	<-done
}

// forget takes the coroutine out of its loop's list: it is over.
func (t *Task) forget() {
	l := t.loop
	n := len(l.tasks) - 1
	l.tasks[t.where] = l.tasks[n]
	l.tasks[t.where].where = t.where
	l.tasks[n] = nil
	l.tasks = l.tasks[:n]
}

// call does one piece of work and keeps a panic inside. After runtime.Goexit, which
// nothing can stop, the coroutine goes on to live in the deferred function.
func (t *Task) call() {
	normal := false
	defer func() {
		if normal {
			return
		}
		if v := recover(); v != nil {
			report(v, debug.Stack())
		} else {
			report("runtime.Goexit called in a coroutine", debug.Stack())
			t.exited = true
			if t.rest() {
				t.life()
			}
		}
	}()
	t.work.f(t.work.arg)
	normal = true
}

// guard calls f, which runs on the loop but in no coroutine.
func (l *Loop) guard(f func(any), arg any) {
	defer func() {
		if v := recover(); v != nil {
			report(v, debug.Stack())
		}
	}()
	f(arg)
}

// resume lets t go on until its next pause.
func (l *Loop) resume(t *Task) {
	before := l.cur
	l.cur = t
	t.state, t.spent = running, 0
	t.resume()
	l.cur = before
}

// suspend makes the running coroutine wait in the given state until it is resumed.
func (l *Loop) suspend(s state) error {
	t := l.cur
	if t == nil {
		panic("loop: a wait outside of any coroutine")
	}
	t.state = s
	t.pause()
	err := t.err
	t.err = nil
	return err
}

// enqueue has t resumed at the end of the turn, if it is not going to be already.
func (l *Loop) enqueue(t *Task) {
	if t.state != queued {
		t.state = queued
		l.ready = append(l.ready, t)
	}
}

// Park waits for Wake. It answers ErrStopped when the engine is closed. It may
// return early when somebody else's Wake meant an earlier life of the Task: look
// at what you wait for again.
func (l *Loop) Park() error {
	if l.stopping {
		return ErrStopped
	}
	if t := l.cur; t != nil && t.permit {
		t.permit = false
		return nil
	}
	err := l.suspend(parked)
	if err == nil && l.stopping {
		err = ErrStopped
	}
	return err
}

// Wake has a coroutine that is in Park resumed at the end of the turn. Only code
// of the same loop may call it. When the coroutine does not Park, its next Park
// returns at once.
func (t *Task) Wake() {
	switch t.state {
	case parked:
		t.loop.enqueue(t)
	case queued:
	default:
		t.permit = true
	}
}

// yield lets everybody else of the loop go first.
func (l *Loop) yield() {
	l.next = append(l.next, later{t: l.cur})
	l.suspend(queued)
}

// Sleep waits for d.
func (l *Loop) Sleep(d time.Duration) error {
	if l.stopping {
		return ErrStopped
	}
	t := l.cur
	t.rang = false
	l.timers.add(l.after(d), t)
	err := l.suspend(waiting)
	if !t.rang {
		l.timers.remove(t)
		if err == nil {
			err = ErrStopped
		}
	}
	return err
}

func (t *Task) place() *int32 { return &t.timer }

func (t *Task) expire() {
	t.rang = true
	if t.state == waiting {
		t.loop.enqueue(t)
	}
}

// Await runs f, which may block, on a goroutine. This coroutine waits and the loop
// goes on. F is over when Await returns, also when the engine is closed, which
// Await then answers with ErrStopped. A panic in f goes on in the coroutine.
func (l *Loop) Await(f func()) error {
	t := l.cur
	if t == nil {
		panic("loop: a wait outside of any coroutine")
	}
	l.engine.away.Add(1)
	go func() {
		defer l.engine.away.Done()
		defer l.post(job{kind: jobResume, t: t})
		defer func() {
			if v := recover(); v != nil {
				t.crash = &awaitPanic{v, debug.Stack()}
			}
		}()
		f()
	}()
	l.suspend(awaiting)
	if p := t.crash; p != nil {
		t.crash = nil
		panic(p)
	}
	if l.stopping {
		return ErrStopped
	}
	return nil
}
