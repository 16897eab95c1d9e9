package listen

import (
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/wire/tlsconn"
)

// handOn hands the connection on unopened where its ClientHello asks for a name of which
// that is wanted. It reports whether the connection is not ours any more, or broken off
// before it was known.
func (k *conn) handOn(o *options) bool {
	k.bound(o.Settings.HeaderTimeout)
	name, err := peekName(k.raw)
	if err != nil {
		k.socket.set.counts.handshakesFailed.Add(1)
		k.close()
		return true
	}
	k.bound(0)
	take := o.Passthrough[name]
	if take == nil || k.over {
		return k.over
	}
	k.over = true
	k.socket.leave(k, k.raw.Loop())
	take(k.raw, k.facts.Client)
	return true
}

// peekName returns the server name that the connection's ClientHello asks for; "" where
// there is none, or no ClientHello. What it reads is given back.
func peekName(c *loop.Conn) (string, error) {
	if err := c.WaitRead(); err != nil {
		return "", err
	}
	l := c.Loop()
	buf := l.Small()
	defer l.PutSmall(buf)
	for have := 0; ; {
		n, err := c.Read(buf[have:])
		if err != nil {
			return "", err
		}
		have += n
		name, more, _ := tlsconn.ServerName(buf[:have]) // what is no ClientHello is TLS's to answer
		if !more || have == len(buf) {
			c.Unread(buf[:have])
			return name, nil
		}
	}
}
