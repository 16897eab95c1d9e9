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
				e.Next().Adopt(far, func(c *Conn) {
					c.SetWriteTimeout(time.Minute)
					_, err = c.Write(make([]byte, BigSize))
					took = time.Since(start)
					c.Close()
				})
				for b := make([]byte, tt.piece); err == nil && took == 0 && len(b) > 0; synctest.Wait() {
					time.Sleep(50 * time.Second) // of the fake clock
					io.ReadFull(near, b)
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
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
