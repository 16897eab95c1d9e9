package http2

import (
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// waiter is a place where one coroutine at a time waits for the connection.
type waiter struct {
	task  *loop.Task
	until time.Time // zero: for ever
	err   error     // why the wait was cut short
}

func (w *waiter) begin(l *loop.Loop) { w.task, w.err = l.Task(), nil }

func (w *waiter) end(err error) error {
	w.task, w.until = nil, time.Time{}
	if err == nil {
		err = w.err
	}
	return err
}

// wake ends the wait, if there is one.
func (w *waiter) wake(err error) {
	if t := w.task; t != nil {
		w.task, w.err = nil, err
		t.Wake()
	}
}

// expired reports whether the wait has taken too long, and otherwise lowers next
// to its end.
func (w *waiter) expired(now time.Time, next *time.Time) bool {
	if w.task == nil || w.until.IsZero() {
		return false
	}
	return expired(w.until, now, next)
}

// expired reports whether t has passed, and otherwise lowers next to it.
func expired(t, now time.Time, next *time.Time) bool {
	if t.IsZero() {
		return false
	}
	if !t.After(now) {
		return true
	}
	if next.IsZero() || t.Before(*next) {
		*next = t
	}
	return false
}

// arm makes sure that the connection's timer rings at t or before.
func (c *conn) arm(t time.Time) {
	if c.dead || t.IsZero() {
		return
	}
	if c.timer != nil {
		if !t.Before(c.timerAt) {
			return
		}
		c.timer.Stop()
	}
	c.timerAt = t
	c.timer = c.l.AfterFunc(t.Sub(c.l.Now()), ring, c)
}

// ring cuts short what has taken too long.
func ring(a any) {
	c := a.(*conn)
	c.timer = nil
	if c.dead {
		return
	}
	now, next := c.l.Now(), time.Time{}
	if expired(c.endAt, now, &next) {
		c.teardown(c.err)
		return
	}
	c.side.ring(now, &next)
	for _, e := range c.streams {
		e.s.own.ring(now, &next)
		if e.s.writeWait.expired(now, &next) {
			e.s.writeWait.wake(loop.ErrTimeout)
		}
	}
	c.arm(next)
}
