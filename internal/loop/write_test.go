package loop

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A reader that is slow but goes on is served, however long one Write takes; one that
// stops, or takes next to nothing, is given up.
func TestWriteTimeoutUnderSynctest(t *testing.T) {
	for _, tt := range []struct {
		name  string
		piece int // what the reader takes every fifty seconds
		want  error
	}{
		{"slow", 16 << 10, nil},
		{"a byte now and then", 1, ErrTimeout},
		{"stopped", 0, ErrTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, err := New(Goroutines, 1)
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				near, far := net.Pipe()
				defer near.Close()
				start := time.Now()
				var took time.Duration
				done := make(chan struct{})
				e.Next().Adopt(far, func(c *Conn) {
					defer close(done)
					c.SetWriteTimeout(time.Minute)
					_, err = c.Write(make([]byte, BigSize))
					took = time.Since(start)
					c.Close()
				})
				read(near, tt.piece, done)
				if err != tt.want {
					t.Errorf("%v after %v, want %v", err, took, tt.want)
				}
				if slow := tt.want == nil; slow != (took > 5*time.Minute) {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// read reads so much of c every fifty seconds of the fake clock until done.
func read(c net.Conn, piece int, done chan struct{}) {
	for b := make([]byte, piece); ; io.ReadFull(c, b) {
		select {
		case <-time.After(50 * time.Second):
		case <-done:
			return
		}
	}
}

// reluctant is a link that has no room until a moment, while its peer takes a piece of
// what it holds now and then: so a socket tells of room.
type reluctant struct {
	link
	l     *Loop
	room  time.Time
	piece int // taken in each ten seconds
	held  int
	start time.Time
}

func (r *reluctant) send([]byte) (int, error) { return 0, errAgain }
func (r *reluctant) close([]byte)             {}

func (r *reluctant) push(p []byte) (int, error) {
	if time.Now().Before(r.room) {
		return 0, errAgain
	}
	return len(p), nil
}

func (r *reluctant) unsent() int {
	return max(0, r.held-r.piece*int(time.Since(r.start)/(10*time.Second)))
}

// A write goes on as long as what the system holds becomes less, although there is no
// room for more; an event that brings no room changes nothing.
func TestWriteTimeoutWithoutRoom(t *testing.T) {
	for _, tt := range []struct {
		piece int
		want  time.Duration
		err   error
	}{
		{4 << 10, 5 * time.Minute, nil}, {200, 2 * time.Minute, ErrTimeout}, {100, time.Minute, ErrTimeout}, {0, time.Minute, ErrTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			e, err := New(Goroutines, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			start := time.Now()
			r := &reluctant{room: start.Add(5 * time.Minute), piece: tt.piece, held: 1 << 20, start: start}
			if tt.piece == 200 { // stops after a minute
				r.held = 1600
			}
			done := make(chan struct{})
			l := e.Next()
			l.Post(func() {
				defer close(done)
				c := &Conn{loop: l, link: r}
				l.conns.Add(1)
				defer c.Close()
				for _, at := range []time.Duration{59 * time.Second, 5 * time.Minute} {
					l.AfterFunc(at, func(any) { c.event(false, true, false) }, nil)
				}
				c.SetWriteTimeout(time.Minute)
				if _, err := c.Write(make([]byte, 1000)); err != tt.err {
					t.Errorf("%d bytes in ten seconds: %v, want %v", tt.piece, err, tt.err)
				}
				if took := time.Since(start); took != tt.want {
					t.Errorf("%d bytes in ten seconds: took %v, want %v", tt.piece, took, tt.want)
				}
			})
			<-done
		})
	}
}
