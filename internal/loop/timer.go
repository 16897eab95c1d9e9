package loop

import "time"

// Timer is a call in the future.
type Timer struct {
	loop *Loop
	work call
	pos  int32
}

// AfterFunc runs f in a coroutine when d has passed.
func (l *Loop) AfterFunc(d time.Duration, f func(any), arg any) *Timer {
	t := &Timer{loop: l, work: call{f, arg}}
	l.timers.add(l.after(d), t)
	return t
}

// Stop takes the call back, if it was not made yet.
func (t *Timer) Stop() { t.loop.timers.remove(t) }

func (t *Timer) place() *int32 { return &t.pos }
func (t *Timer) expire()       { t.loop.Go(t.work.f, t.work.arg) }

// after returns the moment d from now, as the timers have it.
func (l *Loop) after(d time.Duration) int64 { return l.nanos + int64(max(d, 0)) }

// expire makes the calls whose time has come.
func (l *Loop) expire() {
	for n := len(l.timers); n > 0 && len(l.timers) > 0 && l.timers[0].when <= l.nanos; n-- {
		who := l.timers[0].who
		l.timers.remove(who)
		who.expire()
	}
}

// timed is what can stand among the timers, once at a time.
type timed interface {
	place() *int32 // holds the index in timers plus one; 0: not among them
	expire()
}

// timers is a heap of four branches per node, the earliest moment first.
type timers []moment

type moment struct {
	when int64
	who  timed
}

func (h timers) first() (int64, bool) {
	if len(h) == 0 {
		return 0, false
	}
	return h[0].when, true
}

// add enters who, or moves it when it is there.
func (h *timers) add(when int64, who timed) {
	m := moment{when, who}
	if p := *who.place(); p != 0 {
		i := int(p - 1)
		(*h)[i] = m
		h.down(h.up(i))
		return
	}
	*h = append(*h, m)
	h.up(len(*h) - 1)
}

// remove takes who out, if it is there.
func (h *timers) remove(who timed) {
	p := who.place()
	if *p == 0 {
		return
	}
	i, n := int(*p-1), len(*h)-1
	*p = 0
	last := (*h)[n]
	(*h)[n] = moment{}
	*h = (*h)[:n]
	if i < n {
		(*h)[i] = last
		h.down(h.up(i))
	}
}

func (h timers) set(i int, m moment) {
	h[i] = m
	*m.who.place() = int32(i + 1)
}

func (h timers) up(i int) int {
	m := h[i]
	for i > 0 {
		parent := (i - 1) / 4
		if h[parent].when <= m.when {
			break
		}
		h.set(i, h[parent])
		i = parent
	}
	h.set(i, m)
	return i
}

func (h timers) down(i int) {
	m := h[i]
	for {
		child := 4*i + 1
		if child >= len(h) {
			break
		}
		for k := child + 1; k < min(4*i+5, len(h)); k++ {
			if h[k].when < h[child].when {
				child = k
			}
		}
		if m.when <= h[child].when {
			break
		}
		h.set(i, h[child])
		i = child
	}
	h.set(i, m)
}
