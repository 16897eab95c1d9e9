package l4

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/wire/proxyproto"
)

// greeting is how long a client may take for its PROXY header, as nginx has it.
const greeting = 30 * time.Second

// greeted reads the PROXY header that the client must begin with. It reports whether
// the link goes on. Only what trusted addresses say counts.
func (l *link) greeted(r *route) bool {
	l.client.SetReadDeadline(l.loop.Now().Add(greeting))
	h, err := proxyproto.Read(l.client)
	switch {
	case l.closed:
		return false
	case errors.Is(err, loop.ErrStopped):
		l.reset(Drained)
		return false
	case err != nil:
		l.reset(Header)
		return false
	}
	l.client.SetReadDeadline(time.Time{})
	peer := l.from.Addr().Unmap()
	if h.Known() && slices.ContainsFunc(r.Trusted, func(p netip.Prefix) bool { return p.Contains(peer) }) {
		l.from = h.Source
	}
	return true
}

// reach reaches an endpoint of those that are found now: the next in turn, and where it
// does not accept the ones after it, each once. It reports whether the link goes on.
func (l *link) reach(r *route) bool {
	all := r.Find(l.loop)
	if l.closed {
		return false
	}
	if len(all) == 0 {
		l.reset(NoTarget)
		return false
	}
	tries := len(all)
	if r.Tries > 0 {
		tries = min(tries, r.Tries)
	}
	turn, begun := int(l.port.turn.Add(1)-1)%len(all), l.loop.Now()
	for i := range tries {
		if i > 0 && r.TryFor > 0 && l.loop.Now().Sub(begun) >= r.TryFor {
			break
		}
		server, err := l.loop.Dial(all[(turn+i)%len(all)], l.b.cfg.Dial)
		switch {
		case l.closed:
			if err == nil {
				server.Close()
			}
			return false
		case err == nil:
			l.server = server
			return true
		case errors.Is(err, loop.ErrStopped):
			l.reset(Drained)
			return false
		}
	}
	l.reset(Connect)
	return false
}
