package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The pace at which the name of an ExternalName Service is resolved. Go's resolver
// does not tell how long an answer is good for, so a name in use is asked for again
// after refreshAfter; one that no request used since then rests until the next one.
const (
	refreshAfter  = 10 * time.Second
	retryAfter    = 5 * time.Second // after a failure
	lookupTimeout = 5 * time.Second
)

// resolver looks up the addresses of a name; network is "ip4" or "ip6".
type resolver func(ctx context.Context, network, host string) ([]netip.Addr, error)

func systemResolver(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, network, host)
}

// external keeps the endpoints of a pool what a name resolves to.
type external struct {
	pool *Pool
	host string
	port uint16

	ctx  context.Context
	stop context.CancelFunc
	used atomic.Bool   // since the last look
	ask  chan struct{} // wakes run from its rest

	mu      sync.Mutex
	current chan struct{} // closed while the answer is fresh
	why     string        // why there is no address
}

func newExternal(p *Pool, host string, port uint16) *external {
	e := &external{pool: p, host: host, port: port, ask: make(chan struct{}, 1), current: make(chan struct{})}
	e.ctx, e.stop = context.WithCancel(context.Background())
	return e
}

// use notes that a request needs the name.
func (e *external) use() {
	if !e.used.Load() {
		e.used.Store(true)
	}
}

// fresh returns a channel that is closed as long as the answer is fresh.
func (e *external) fresh() chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current
}

func (e *external) reason() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.why
}

// Resolved reports whether the endpoints are known: always, but for an ExternalName
// that was not asked for lately.
func (p *Pool) Resolved() bool {
	if p.external == nil {
		return true
	}
	select {
	case <-p.external.fresh():
		return true
	default:
		return false
	}
}

// Ask has the name of an ExternalName looked up, if nobody did lately.
func (p *Pool) Ask() {
	if p.external == nil {
		return
	}
	select {
	case p.external.ask <- struct{}{}:
	default:
	}
}

// Resolve waits until the name of an ExternalName was looked up, whatever came of it,
// for five seconds at most. It blocks: on a loop it goes through Await.
func (p *Pool) Resolve() {
	if p.external == nil || p.set.resolver == nil {
		return
	}
	p.Ask()
	timeout := time.NewTimer(lookupTimeout)
	defer timeout.Stop()
	select {
	case <-p.external.fresh():
	case <-p.external.ctx.Done():
	case <-timeout.C:
	}
}

// run resolves the name until the pool is retired.
func (e *external) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-e.ctx.Done():
			return
		}
		err := e.look()
		if e.ctx.Err() != nil {
			return
		}
		e.mu.Lock()
		e.why = ""
		if err != nil {
			e.why = err.Error()
		}
		select {
		case <-e.current:
		default:
			close(e.current)
		}
		e.mu.Unlock()
		pause := refreshAfter
		if err != nil {
			pause = retryAfter
		}
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-e.ctx.Done():
			return
		}
		if !e.used.Swap(false) && !e.rest() {
			return
		}
		timer.Reset(0)
	}
}

// rest waits until a request needs the name again; false is the end of the pool.
func (e *external) rest() bool {
	select {
	case <-e.ask: // of before
	default:
	}
	e.mu.Lock()
	e.current = make(chan struct{})
	e.mu.Unlock()
	select {
	case <-e.ask:
		return true
	case <-e.ctx.Done():
		return false
	}
}

// look asks once and gives the pool what came. A name that does not exist, or that
// leads where it must not, empties the pool; a resolver that fails leaves the last
// answer in place.
func (e *external) look() error {
	ctx, cancel := context.WithTimeout(e.ctx, lookupTimeout)
	defer cancel()
	addrs, err := lookup(ctx, e.pool.set.resolver, e.host)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) && !dns.IsNotFound {
			return err
		}
		e.pool.setEndpoints(nil, nil)
		return err
	}
	eps := make([]netip.AddrPort, len(addrs))
	for i, a := range addrs {
		eps[i] = netip.AddrPortFrom(a, e.port)
	}
	e.pool.setEndpoints(eps, nil)
	return nil
}

// lookup returns the addresses of an external name, IPv4 or else IPv6, sorted. None of
// them leads into this machine: whoever may write a Service must not reach what
// listens on our loopback addresses.
func lookup(ctx context.Context, resolve resolver, host string) ([]netip.Addr, error) {
	if err := guardName(host); err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, guardAddr(a)
	}
	found, err := resolve(ctx, "ip4", host)
	if len(found) == 0 {
		var err6 error
		if found, err6 = resolve(ctx, "ip6", host); err6 == nil {
			err = nil
		} else if err == nil {
			err = err6
		}
	}
	if len(found) == 0 {
		if err == nil {
			err = fmt.Errorf("external name %q has no address", host)
		}
		return nil, err
	}
	var good []netip.Addr
	var refused error
	for _, a := range found {
		if err := guardAddr(a); err != nil {
			refused = fmt.Errorf("external name %q: %w", host, err)
			continue
		}
		good = append(good, a.Unmap())
	}
	if len(good) == 0 {
		return nil, refused
	}
	slices.SortFunc(good, netip.Addr.Compare)
	return slices.Compact(good), nil
}

// guardName refuses the names of this machine.
func guardName(host string) error {
	switch h := strings.TrimSuffix(strings.ToLower(host), "."); {
	case h == "localhost", strings.HasSuffix(h, ".localhost"), h == "localhost.localdomain",
		h == "ip6-localhost", h == "ip6-loopback":
		return fmt.Errorf("external name %q is this machine: an ExternalName must lead outside", host)
	}
	return nil
}

// guardAddr refuses addresses of this machine, and those that have a meaning on this
// machine or link only, such as a cloud's metadata service.
func guardAddr(a netip.Addr) error {
	a = a.Unmap()
	if a.IsLoopback() || a.IsUnspecified() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.Zone() != "" {
		return fmt.Errorf("address %s is loopback, link-local or multicast: an ExternalName must lead outside", a)
	}
	return nil
}
