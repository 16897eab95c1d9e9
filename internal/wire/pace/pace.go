// Package pace tells an honest slow upload from a client that only holds a connection:
// by the bytes that come on average for the time that they are waited for. Time in which
// nobody reads does not count against the client.
package pace

import "time"

// Pace is how a body comes.
type Pace struct {
	Timeout time.Duration // the longest wait for its next bytes; 0: any time
	Rate    int           // bytes a second on average, once Timeout has been waited in all; 0: any

	waited time.Duration
	got    int64
}

// grace is waited in all where there is no Timeout.
const grace = time.Minute

// Bounded tells whether waits are bounded at all.
func (p *Pace) Bounded() bool { return p.Timeout > 0 || p.Rate > 0 }

// Next returns how long the next wait may be; 0 is any time.
func (p *Pace) Next() time.Duration {
	if p.Rate <= 0 {
		return p.Timeout
	}
	left := p.Timeout
	if left <= 0 {
		left = grace
	}
	left += time.Duration(float64(p.got)/float64(p.Rate)*float64(time.Second)) - p.waited
	if p.Timeout > 0 {
		left = min(left, p.Timeout)
	}
	return max(left, 1) // what is over has passed
}

// Waited notes a wait.
func (p *Pace) Waited(d time.Duration) { p.waited += d }

// Got notes bytes of the body.
func (p *Pace) Got(n int) { p.got += int64(n) }
