package htpasswd

import (
	"sync"
	"testing"
)

// TestBusy: when as many slow hashes are waited for as may be, the next one is not
// computed; when they are through it is.
func TestBusy(t *testing.T) {
	f, _, err := Parse([]byte("u:" + formats["bcrypt"]))
	if err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	for range mostWaiting {
		all.Go(func() {
			f.Verify(basic("u", "wrong"), func(g func()) {
				entered <- struct{}{}
				<-release
				waiting.Add(-1) // what g does at its end, without the hash
			})
		})
	}
	for range mostWaiting {
		<-entered
	}
	if _, err := f.Verify(basic("u", "secret"), func(func()) { t.Error("it is computed") }); err != ErrBusy {
		t.Errorf("with %d before it: %v, want ErrBusy", mostWaiting, err)
	}
	close(release)
	all.Wait()
	if user, err := f.Verify(basic("u", "secret"), direct); user != "u" || err != nil {
		t.Errorf("afterwards: %q, %v", user, err)
	}
	if n := waiting.Load(); n != 0 {
		t.Errorf("%d are still waited for", n)
	}
}
