package proxy

import (
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
)

func TestTook(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name string
		try  exchange.Try
		want time.Duration
	}{
		{"a kept connection", exchange.Try{Status: 200, Header: s, Total: 3 * s}, 3 * s},
		{"a new connection", exchange.Try{Status: 200, Connect: s, Header: 2 * s, Total: 3 * s}, 4 * s},
		{"no connection", exchange.Try{Connect: s, Total: s}, 2 * s},
		{"no head", exchange.Try{Header: 5 * s, Total: 5 * s}, 5 * s},
		{"a stream of events", exchange.Try{Status: 200, Header: s, Total: time.Hour}, 11 * s},
		{"a slow head", exchange.Try{Status: 200, Header: time.Minute, Total: time.Minute + s}, time.Minute + s},
		{"a tunnel", exchange.Try{Status: 101, Connect: s, Header: 2 * s, Total: time.Hour}, 3 * s},
	} {
		if got := took(&c.try); got != c.want {
			t.Errorf("%s counts for %v, want %v", c.name, got, c.want)
		}
	}
}
