package listen_test

import (
	"context"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// A connection that has sent a PROXY header and no request yet is idle: it does not
// hold up a drain. Many of them, since the event of the header's arrival may come
// before or after the header was read.
func TestDrainBeforeFirstRequest(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, nil)
		f.want[0].ProxyProtocol = true
		f.apply()
		for range 50 {
			c := f.dial("http")
			if _, err := c.Write([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n")); err != nil {
				t.Fatal(err)
			}
		}
		for end := time.Now().Add(5 * time.Second); f.set.Counts().Active < 50; {
			if time.Now().After(end) {
				t.Fatalf("%d connections, want 50", f.set.Counts().Active)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := f.set.Drain(ctx); err != nil {
			t.Error(err)
		}
	})
}
