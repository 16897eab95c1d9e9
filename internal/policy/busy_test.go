package policy

import (
	"sync"
	"testing"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/htpasswd"
	"github.com/pierhead/pierhead/internal/message"
)

// TestBasicAuthBusy: a password that there is no time to verify is neither let in nor
// called wrong, and who sent it is told to come again.
func TestBasicAuthBusy(t *testing.T) {
	const right = "Basic dTpzZWNyZXQ=" // u:secret
	users, _, err := htpasswd.Parse([]byte("u:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"))
	if err != nil {
		t.Fatal(err)
	}
	step := &basicAuthStep{users: users, asks: exchange.Reply{Status: 401}}
	ask := func(authorization string) *exchange.Reply {
		x := &exchange.Exchange{In: &message.Request{}, Run: &service{}}
		x.In.Header.Add("Authorization", authorization)
		return step.Request(x)
	}
	release, entered := make(chan struct{}), make(chan struct{})
	var others sync.WaitGroup
	for full := false; !full; {
		busy := make(chan struct{})
		others.Go(func() {
			_, err := users.Verify("Basic dTp3cm9uZw==", func(f func()) { entered <- struct{}{}; <-release; f() }) // u:wrong
			if err == htpasswd.ErrBusy {
				close(busy)
			}
		})
		select {
		case <-entered:
		case <-busy:
			full = true
		}
	}
	if r := ask(right); r == nil || r.Status != 503 || r.Err != exchange.Overloaded || len(r.Fields) != 1 || r.Fields[0].Name != "Retry-After" {
		t.Errorf("while others wait: %+v, want 503 and Retry-After", r)
	}
	close(release)
	others.Wait()
	if r := ask("Basic dTp3cm9uZw=="); r == nil || r.Status != 401 {
		t.Errorf("a wrong password afterwards: %+v, want 401", r)
	}
	if r := ask(right); r != nil {
		t.Errorf("the right password afterwards: %+v, want to be let in", r)
	}
}
