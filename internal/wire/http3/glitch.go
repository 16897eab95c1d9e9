package http3

import (
	"time"

	"github.com/pierhead/pierhead/internal/wire/http2"
)

// strain is how much trouble a client makes: frames that bring nothing, broken
// requests, requests that are given up at once. Each counts; answered requests and time
// take some of it away, and too much of it ends the connection. What QUIC's own frames
// can do is quic-go's to bound.
type strain struct {
	level     int
	at        time.Time // up to when time has lowered the level
	premature int       // requests that the client gave up soon after it sent them
	answered  int       // requests that ended well
}

const (
	leakEvery     = 100 * time.Millisecond // time lowers the level by one
	offence       = 10                     // glitches that a broken request costs
	reliefAnswer  = 8                      // glitches that an answered request takes away
	soon          = time.Second            // who gives up before that is premature
	prematureFree = 500                    // premature ends before their share counts
)

// glitch counts n glitches, and ends the connection when there are too many; it reports
// whether it goes on.
func (c *ServerConn) glitch(n int) bool {
	c.mu.Lock()
	s, now := &c.strain, time.Now()
	if leak := int(now.Sub(s.at) / leakEvery); leak >= s.level {
		s.level, s.at = 0, now
	} else if leak > 0 {
		s.level -= leak
		s.at = s.at.Add(time.Duration(leak) * leakEvery)
	}
	s.level += n
	many := s.level > or(c.cfg.limits().Glitches, http2.DefaultLimits.Glitches)
	c.mu.Unlock()
	if many {
		c.fail(codeExcessiveLoad, "too much that brings nothing")
	}
	return !many
}

// answered counts a request that ended well.
func (c *ServerConn) answered() {
	c.mu.Lock()
	c.strain.level = max(0, c.strain.level-reliefAnswer)
	c.strain.answered++
	c.mu.Unlock()
}

// givenUp counts a request that the client gave up (as in CVE-2023-44487).
func (c *ServerConn) givenUp(after time.Duration) {
	if after >= soon {
		c.glitch(1)
		return
	}
	c.mu.Lock()
	s := &c.strain
	s.premature++
	many := s.premature > prematureFree && s.premature > s.answered
	c.mu.Unlock()
	if many {
		c.fail(codeExcessiveLoad, "most requests are given up at once")
	}
}
