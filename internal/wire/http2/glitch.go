package http2

import "time"

// strain is how much trouble the peer makes. Floods of frames that bring nothing
// (PING, SETTINGS, PRIORITY, empty DATA and CONTINUATION, needless WINDOW_UPDATEs,
// resets) cost us work each: every one counts as a glitch. Requests that were
// answered and bodies that moved take glitches away, and so does time. What is left
// is bounded by Limits.Glitches.
type strain struct {
	level     int
	at        time.Time // up to when time has lowered the level
	updates   int       // WINDOW_UPDATEs to come that are no glitches: two for each DATA frame sent
	premature int       // streams that the client reset soon after it opened them
	answered  int       // streams that ended well
}

const (
	leakEvery     = 100 * time.Millisecond // time lowers the level by one
	offence       = 10                     // glitches that a stream error costs
	reliefAnswer  = 8                      // glitches that an answered request takes away
	soon          = time.Second            // a reset before that is premature
	prematureFree = 500                    // premature resets before their share counts
)

// glitch counts n glitches and answers an error when there are too many.
func (c *conn) glitch(n int) error {
	return c.strain.count(n, c.l.Now(), or(c.side.limits().Glitches, DefaultLimits.Glitches))
}

// count counts n glitches, of which limit are too many.
func (s *strain) count(n int, now time.Time, limit int) error {
	if leak := int(now.Sub(s.at) / leakEvery); leak >= s.level {
		s.level, s.at = 0, now
	} else if leak > 0 {
		s.level -= leak
		s.at = s.at.Add(time.Duration(leak) * leakEvery)
	}
	if s.level += n; s.level > limit {
		return &ConnError{CodeEnhanceYourCalm, "too many frames that bring nothing"}
	}
	return nil
}

// countUpdate counts a WINDOW_UPDATE.
func (c *conn) countUpdate() error {
	if c.strain.updates > 0 {
		c.strain.updates--
		return nil
	}
	return c.glitch(1)
}

// relieve takes glitches away for useful work.
func (c *conn) relieve(n int) { c.strain.level = max(0, c.strain.level-n) }

// isPremature reports whether a reset of s that arrives now is one of an attack's
// kind: soon after the request, before an answer.
func (c *ServerConn) isPremature(s *stream) bool {
	return c.l.Now().Sub(s.opened) < soon && !s.localDone
}

// countReset counts a reset by the client (CVE-2023-44487).
func (c *ServerConn) countReset(premature bool) error {
	s := &c.strain
	if !premature {
		return c.glitch(1)
	}
	s.premature++
	if s.premature > prematureFree && s.premature > s.answered {
		return &ConnError{CodeEnhanceYourCalm, "most requests are reset at once"}
	}
	return nil
}
