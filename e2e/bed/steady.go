package bed

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Steady sends requests at a steady rate, whatever goes on beside them.
type Steady struct {
	stop  context.CancelFunc
	ended sync.WaitGroup

	mu    sync.Mutex
	tally Tally
}

// A Tally is what became of requests.
type Tally struct {
	Sent    int
	Failed  map[string]int // by status or error: everything but 200
	Slowest time.Duration
}

// Err returns nil when all went well.
func (t Tally) Err() error {
	if len(t.Failed) == 0 && t.Sent > 0 {
		return nil
	}
	var texts []string
	for _, why := range slices.Sorted(maps.Keys(t.Failed)) {
		texts = append(texts, fmt.Sprintf("%d times %s", t.Failed[why], why))
	}
	return fmt.Errorf("of %d requests failed: %s", t.Sent, strings.Join(texts, ", "))
}

// steadyClients is how many connections carry the requests of a Steady.
const steadyClients = 8

// Steady asks a URL under each of the hosts in turn, so many times a second, until Stop.
// Connections stay open.
func (b *Bed) Steady(url string, hosts []string, perSecond int) *Steady {
	ctx, stop := context.WithCancel(context.Background())
	s := &Steady{stop: stop, tally: Tally{Failed: map[string]int{}}}
	turns := make(chan string)
	s.ended.Go(func() {
		defer close(turns)
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			turns <- hosts[n%len(hosts)]
		}
	})
	for range steadyClients {
		s.ended.Go(func() {
			transport := b.Transport()
			defer transport.CloseIdleConnections()
			for host := range turns {
				s.ask(transport, url, host)
			}
		})
	}
	return s
}

func (s *Steady) ask(transport *http.Transport, url, host string) {
	begun := time.Now()
	status, err := StatusBy(context.Background(), transport, url, host)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.Sent++
	s.tally.Slowest = max(s.tally.Slowest, time.Since(begun))
	switch {
	case err != nil:
		s.tally.Failed[err.Error()]++
	case status != http.StatusOK:
		s.tally.Failed[fmt.Sprint(status)]++
	}
}

// Stop ends it and tells what became of the requests.
func (s *Steady) Stop() Tally {
	s.stop()
	s.ended.Wait()
	return s.tally
}
