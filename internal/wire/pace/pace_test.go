package pace

import (
	"testing"
	"time"
)

// TestPace: who sends at the rate may go on for ever, who does not has the time-out and
// what his bytes are worth, and pauses of the reader are nobody's fault.
func TestPace(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name    string
		p       Pace
		n       int // bytes in each wait
		wait    time.Duration
		most    int           // waits that are not cut short; 0: all are not
		forever time.Duration // Next after 1000 waits
	}{
		{"no bound", Pace{}, 0, 1000 * s, 0, 0},
		{"time-out alone", Pace{Timeout: 60 * s}, 1, 59 * s, 0, 60 * s},
		{"at the rate", Pace{Timeout: 60 * s, Rate: 100}, 1000, 10 * s, 0, 60 * s},
		{"faster", Pace{Timeout: 60 * s, Rate: 100}, 1001, 10 * s, 0, 60 * s},
		{"half the rate", Pace{Timeout: 60 * s, Rate: 100}, 500, 10 * s, 11, 0},
		{"a byte a second", Pace{Timeout: 60 * s, Rate: 100}, 1, s, 60, 0},
		{"no time-out", Pace{Rate: 100}, 0, s, 60, 0},
		{"the reader pauses", Pace{Timeout: 60 * s, Rate: 100}, 10, 0, 0, 60 * s},
	} {
		n := 0
		for ; n < 1000; n++ {
			if d := tt.p.Next(); d > 0 && tt.wait > d {
				break
			}
			tt.p.Waited(tt.wait)
			tt.p.Got(tt.n)
		}
		if tt.most > 0 && n != tt.most || tt.most == 0 && (n != 1000 || tt.p.Next() != tt.forever) {
			t.Errorf("%s: over after %d waits, then %v; want %d, %v", tt.name, n, tt.p.Next(), tt.most, tt.forever)
		}
		if tt.p.Bounded() != (tt.name != "no bound") {
			t.Errorf("%s: bounded: %v", tt.name, tt.p.Bounded())
		}
	}
}
