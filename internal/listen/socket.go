package listen

import (
	"crypto/tls"
	"net/netip"
	"strconv"
	"sync/atomic"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/overload"
	"github.com/pierhead/pierhead/internal/wire/http1"
	"github.com/pierhead/pierhead/internal/wire/http2"
)

// socket is a listener that is open.
type socket struct {
	set      *Set
	listener *loop.Listener
	crowd    *crowd
	closed   atomic.Bool // what comes now is ended after one answer
	options  atomic.Pointer[options]
	http1    func() *http1.Limits
	http2    func() *http2.Limits
	quic     atomic.Pointer[quicSocket] // nil: no HTTP/3
}

// options is what may change about an open listener. They do not change themselves:
// others take their place.
type options struct {
	Listener
	port  string        // Port, as text
	tls   []*tls.Config // by loop; nil without TLS
	http1 http1.Limits
	http2 http2.Limits
	most  int // connections of the controller; 0: any number

	// The same for when no connection is kept.
	ending1 http1.Limits
	ending2 http2.Limits
}

func newSocket(s *Set, o *options) *socket {
	k := &socket{set: s, crowd: s.crowd(o.Controller)}
	k.options.Store(o)
	k.http1 = func() *http1.Limits {
		if s.Load.Stage() >= overload.NoKeepAlive {
			return &k.options.Load().ending1
		}
		return &k.options.Load().http1
	}
	k.http2 = func() *http2.Limits {
		if s.Load.Stage() >= overload.NoKeepAlive {
			return &k.options.Load().ending2
		}
		return &k.options.Load().http2
	}
	return k
}

func newOptions(d Listener, loops []*loop.Loop) *options {
	set := d.Settings
	o := &options{Listener: d, port: strconv.Itoa(int(d.Port))}
	o.http1 = http1.Limits{
		MaxLine: set.MaxLine, MaxHead: set.MaxHead,
		HeaderTimeout: set.HeaderTimeout, BodyTimeout: set.BodyTimeout, BodyRate: set.BodyRate,
		KeepAlive: set.KeepAlive, SendTimeout: http1.DefaultLimits.SendTimeout, Requests: set.KeepAliveRequests,
		Underscores: set.Underscores, InvalidNames: set.InvalidHeaders,
	}
	o.http2 = http2.Limits{
		MaxStreams: int(set.MaxStreams), MaxHeaderList: set.MaxHead, MaxField: set.MaxLine,
		HeaderTimeout: set.HeaderTimeout, BodyTimeout: set.BodyTimeout, BodyRate: set.BodyRate,
		KeepAlive: set.KeepAlive, SendTimeout: http2.DefaultLimits.SendTimeout, Requests: set.KeepAliveRequests,
		Underscores: set.Underscores, InvalidNames: set.InvalidHeaders,
	}
	o.ending1, o.ending2 = o.http1, o.http2
	o.ending1.KeepAlive, o.ending2.KeepAlive = 0, 0
	workers := set.Workers
	if workers <= 0 {
		workers = len(loops)
	}
	o.most = set.WorkerConnections * workers
	if d.TLS {
		for _, l := range loops {
			o.tls = append(o.tls, tlsConfig(d, l))
		}
	}
	return o
}

// trusted tells whether somebody may say where a connection really comes from.
func (o *options) trusted(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range o.Settings.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// enter adds a connection that was admitted to those of its loop, and reports whether it is to end. One
// that comes when its socket is closed already, out of the system's queue, gets one
// answer.
func (k *socket) enter(c member, l *loop.Loop) (draining bool) {
	s := k.set
	s.counts.accepted.Add(1)
	s.loops[l.Index()].open[c] = struct{}{}
	return k.closed.Load()
}

// leave removes a connection that is over.
func (k *socket) leave(c member, l *loop.Loop) {
	s := k.set
	delete(s.loops[l.Index()].open, c)
	k.crowd.open.Add(-1)
	if client := c.client(); client.IsValid() {
		k.crowd.leave(client)
	}
	s.gone()
}

// close stops accepting and ends the connections that are open.
func (k *socket) close() {
	k.closed.Store(true)
	k.listener.Close()
	k.closeUDP()
	k.set.each(func(c member) {
		if c.of() == k {
			c.drain()
		}
	})
}
