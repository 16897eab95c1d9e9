package upstream

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
)

// decay is the time in which a score forgets all but 1/e of what it was (ingress-nginx's).
const decay = 10 * time.Second

// failedTime is what a failed try counts for at least: an endpoint that refuses at once is
// not a quick one.
const failedTime = time.Second

// score is the moving average of the time in which an endpoint answers, of all loops: the
// upper bits of a float64 of seconds, and in place of the lower ones those of the
// milliseconds of clock at which that was so. Zero is an endpoint that nothing is known of.
// Fewer bits of the float would round away what one answer of many changes.
type score struct{ packed atomic.Uint64 }

// clockBits is the place of the milliseconds: they come around in four and a half hours.
const clockBits = 24

// start is what clock counts from.
var start = time.Now()

// clock returns the time as scores and health have it.
func clock(t time.Time) int64 { return int64(t.Sub(start)) }

// now returns the loop's clock.
func now(x *exchange.Exchange) int64 {
	if x.Run == nil {
		return clock(time.Now())
	}
	return clock(x.Run.Now())
}

// at returns the score as it is at a time of clock: it falls while nobody asks the
// endpoint, so that a slow one is asked again before long.
func (s *score) at(now int64) float64 {
	v, _ := s.weighed(s.packed.Load(), now)
	return v
}

// weighed returns what is left of a packed score, and the weight that it lost.
func (s *score) weighed(packed uint64, now int64) (value, lost float64) {
	passed := (uint64(now/int64(time.Millisecond)) - packed) % (1 << clockBits)
	if passed >= 1<<(clockBits-1) { // another loop's clock was ahead
		passed = 0
	}
	w := math.Exp(-float64(passed) / float64(decay/time.Millisecond))
	return math.Float64frombits(packed>>clockBits<<clockBits) * w, 1 - w
}

// observe adds a time.
func (s *score) observe(now int64, took time.Duration) {
	for {
		old := s.packed.Load()
		v, lost := s.weighed(old, now)
		if old == 0 {
			lost = 1
		}
		if s.packed.CompareAndSwap(old, pack(v+took.Seconds()*lost, now)) {
			return
		}
	}
}

func pack(v float64, now int64) uint64 {
	const low = 1<<clockBits - 1
	return (math.Float64bits(v)+low/2)&^low | uint64(now/int64(time.Millisecond))&low
}

// startLikeOthers gives new endpoints the mean score of those that were there: with none
// they would get all requests at first.
func startLikeOthers(fresh, there []*Endpoint) {
	if len(there) == 0 || len(fresh) == 0 {
		return
	}
	now, sum := clock(time.Now()), 0.0
	for _, e := range there {
		sum += e.score.at(now)
	}
	for _, e := range fresh {
		e.score.packed.Store(pack(sum/float64(len(there)), now))
	}
}
