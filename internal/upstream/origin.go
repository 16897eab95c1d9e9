package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
)

// origin is one server that a Client asks, as one loop sees it.
type origin struct {
	originKey
	tls       *tls.Config // nil: plain
	endpoints []*Endpoint
	turn      int
	resolved  time.Time // when the endpoints were found
	used      time.Time
	err       error // why there are none
	busy      bool  // a look-up is under way
	waiters   []*loop.Task
}

type originKey struct {
	scheme, host string
	port         uint16
}

// How long an answer of the resolver is used, and how long a failure.
const (
	originFresh  = 30 * time.Second
	originFailed = 2 * time.Second
)

// maxOrigins bounds the servers remembered per loop: a URL may hold variables that
// clients choose.
const maxOrigins = 256

// origin returns the entry for the server of url.
func (c *Client) origin(l *loop.Loop, url *exchange.URL) *origin {
	m := c.origins[l.Index()]
	o := m[originKey{url.Scheme, url.Host, url.Port}]
	if o == nil {
		if len(m) >= maxOrigins {
			forgetOldest(m, l)
		}
		// The strings of url may be those of one request only.
		o = &origin{originKey: originKey{strings.Clone(url.Scheme), strings.Clone(url.Host), url.Port}}
		if o.scheme == "https" {
			o.tls = &tls.Config{ServerName: o.host, InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
		}
		m[o.originKey] = o
	}
	o.used = l.Now()
	return o
}

// forgetOldest drops the server that was not asked for the longest time.
func forgetOldest(m map[originKey]*origin, l *loop.Loop) {
	var oldest *origin
	for _, o := range m {
		if oldest == nil || o.used.Before(oldest.used) {
			oldest = o
		}
	}
	delete(m, oldest.originKey)
	for _, e := range oldest.endpoints {
		e.leave(l)
	}
}

// leave is retire for an endpoint that one loop alone has.
func (e *Endpoint) leave(l *loop.Loop) {
	e.gone.Store(true)
	e.slot(l).closeAll()
}

// conn returns a connection to one of the server's addresses; with fresh it is a new
// one.
func (o *origin) conn(c *Client, l *loop.Loop, fwd *exchange.Forward, fresh bool) (*Conn, error) {
	if err := o.resolve(c, l); err != nil {
		return nil, &exchange.Error{Kind: exchange.ConnectFailed, Err: err}
	}
	endpoints := o.endpoints // another coroutine may replace them while this one dials
	o.turn++
	var err error
	for i := range min(3, len(endpoints)) {
		e := endpoints[(o.turn+i)%len(endpoints)]
		var conn *Conn
		if fresh {
			conn, err = e.Dial(l, fwd)
		} else {
			conn, err = e.Conn(l, fwd)
		}
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// resolve makes sure that the endpoints are known. Many may wait for one look-up; who
// finds an answer that is a little old uses it, and one of them fetches the next.
func (o *origin) resolve(c *Client, l *loop.Loop) error {
	if age := l.Now().Sub(o.resolved); !o.resolved.IsZero() && (age < originFailed || o.err == nil && age < originFresh) {
		return o.err
	}
	if o.busy {
		if len(o.endpoints) > 0 {
			return nil
		}
		o.waiters = append(o.waiters, l.Task())
		if err := l.Park(); err != nil {
			return err
		}
		return o.err
	}
	o.busy = true
	addrs, err := o.look(c, l)
	o.busy, o.err, o.resolved = false, err, l.Now()
	if err == nil {
		o.replace(c, l, addrs)
	} else if len(o.endpoints) > 0 {
		o.err = nil // the last good answer stays
	}
	for _, t := range o.waiters {
		t.Wake()
	}
	o.waiters = o.waiters[:0]
	return o.err
}

// look finds the addresses of the host, IPv4 or else IPv6.
func (o *origin) look(c *Client, l *loop.Loop) (addrs []netip.Addr, err error) {
	if a, err := netip.ParseAddr(strings.Trim(o.host, "[]")); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	waited := l.Await(func() {
		ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
		defer cancel()
		if addrs, err = c.resolver(ctx, "ip4", o.host); len(addrs) == 0 {
			addrs, err = c.resolver(ctx, "ip6", o.host)
		}
	})
	switch {
	case waited != nil:
		return nil, waited
	case err != nil:
		return nil, err
	case len(addrs) == 0:
		return nil, fmt.Errorf("host %q has no address", o.host)
	}
	return addrs, nil
}

// replace makes the addresses the endpoints; those that stay keep their connections.
func (o *origin) replace(c *Client, l *loop.Loop, addrs []netip.Addr) {
	var next []*Endpoint
	for _, a := range addrs {
		ap := netip.AddrPortFrom(a.Unmap(), o.port)
		i := slices.IndexFunc(o.endpoints, func(e *Endpoint) bool { return e.addr == ap })
		if i >= 0 {
			next = append(next, o.endpoints[i])
		} else {
			next = append(next, newEndpoint(ap, o.tls, c.keep))
		}
	}
	for _, e := range o.endpoints {
		if !slices.Contains(next, e) {
			e.leave(l)
		}
	}
	o.endpoints = next
}
