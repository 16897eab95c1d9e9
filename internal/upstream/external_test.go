package upstream

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
)

// names is a resolver of a few names, which counts the look-ups of IPv4 addresses.
type names struct {
	delay time.Duration

	mu    sync.Mutex
	addrs map[string][]string // network + " " + host
	err   error
	asked int
}

// set changes what the resolver knows.
func (n *names) set(err error, addrs map[string][]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err, n.addrs = err, addrs
}

func (n *names) lookups() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

func (n *names) resolve(ctx context.Context, network, host string) ([]netip.Addr, error) {
	select {
	case <-time.After(n.delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if network == "ip4" {
		n.asked++
	}
	if n.err != nil {
		return nil, n.err
	}
	var as []netip.Addr
	for _, a := range n.addrs[network+" "+host] {
		as = append(as, netip.MustParseAddr(a))
	}
	if as == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return as, nil
}

func externalPool(t *testing.T, n *names, host string) (*Set, *Pool) {
	s := NewSet(nil)
	s.resolver = n.resolve
	t.Cleanup(s.Close)
	s.Apply([]model.Upstream{{Name: "ext", External: host, ExternalP: 8080}}, DefaultKeepAlive)
	return s, s.Pool("ext")
}

func endpointsOf(p *Pool) []string {
	var as []string
	for _, e := range p.Snapshot().Endpoints {
		as = append(as, e.Addr.String())
	}
	return as
}

func TestExternalAddresses(t *testing.T) {
	n := &names{addrs: map[string][]string{
		"ip4 both.test":   {"192.0.2.9", "192.0.2.1", "192.0.2.9"},
		"ip6 both.test":   {"2001:db8::1"},
		"ip6 six.test":    {"2001:db8::1"},
		"ip4 local.test":  {"127.0.0.1"},
		"ip4 mixed.test":  {"127.0.0.1", "192.0.2.1"},
		"ip6 mapped.test": {"::ffff:127.0.0.1"},
		"ip4 meta.test":   {"169.254.169.254"},
		"ip4 localhost":   {"192.0.2.1"},
	}}
	for _, c := range []struct {
		host   string
		want   []string
		reason string
	}{
		{"both.test", []string{"192.0.2.1:8080", "192.0.2.9:8080"}, ""},
		{"six.test", []string{"[2001:db8::1]:8080"}, ""},
		{"none.test", nil, "no such host"},
		{"local.test", nil, "127.0.0.1 is loopback"},
		{"mixed.test", []string{"192.0.2.1:8080"}, ""},
		{"mapped.test", nil, "127.0.0.1 is loopback"},
		{"meta.test", nil, "169.254.169.254 is loopback, link-local"},
		{"localhost", nil, "is this machine"},
		{"LOCALHOST.", nil, "is this machine"},
		{"a.localhost", nil, "is this machine"},
		{"192.0.2.7", []string{"192.0.2.7:8080"}, ""},
		{"127.0.0.1", nil, "127.0.0.1 is loopback"},
		{"::1", nil, "::1 is loopback"},
		{"0.0.0.0", nil, "0.0.0.0 is loopback"},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, p := externalPool(t, n, c.host)
			p.Resolve()
			if got := endpointsOf(p); !slices.Equal(got, c.want) {
				t.Errorf("%s: endpoints %v, want %v", c.host, got, c.want)
			}
			if got := p.Snapshot().Reason; !strings.Contains(got, c.reason) || (c.reason == "") != (got == "") {
				t.Errorf("%s: reason %q, want one with %q", c.host, got, c.reason)
			}
		})
	}
}

func TestExternalRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &names{addrs: map[string][]string{"ip4 a.test": {"192.0.2.1"}}, delay: time.Second}
		_, p := externalPool(t, n, "a.test")
		if p.Resolved() {
			t.Fatal("resolved before the resolver answered")
		}
		p.Resolve()
		if !p.Resolved() || p.Empty() {
			t.Fatal("not resolved after Resolve")
		}
		// In use: a change is seen after refreshAfter.
		p.Pick(&exchange.Exchange{})
		n.set(nil, map[string][]string{"ip4 a.test": {"192.0.2.2"}})
		time.Sleep(refreshAfter + 2*n.delay + 1)
		synctest.Wait()
		if got := endpointsOf(p); !slices.Equal(got, []string{"192.0.2.2:8080"}) {
			t.Fatalf("endpoints %v after a change", got)
		}
		// Not in use: nobody asks.
		time.Sleep(refreshAfter)
		asked := n.lookups()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := n.lookups(); got != asked {
			t.Errorf("a name not in use was looked up %d times in an hour", got-asked)
		}
		if p.Resolved() {
			t.Error("an answer of an hour ago counts as fresh")
		}
		// In use again: fresh before it is used.
		n.set(nil, map[string][]string{"ip4 a.test": {"192.0.2.3"}})
		p.Resolve()
		if got := endpointsOf(p); !slices.Equal(got, []string{"192.0.2.3:8080"}) {
			t.Errorf("endpoints %v after a rest", got)
		}
		// A resolver that fails leaves the last answer; a name that is gone does not.
		p.Pick(&exchange.Exchange{})
		n.set(&net.DNSError{Err: "server misbehaving", IsTemporary: true}, nil)
		time.Sleep(refreshAfter + 2*n.delay + 1)
		synctest.Wait()
		if p.Empty() || p.Snapshot().Reason == "" {
			t.Errorf("after a failure of the resolver: %+v", p.Snapshot())
		}
		p.Pick(&exchange.Exchange{})
		n.set(nil, nil)
		time.Sleep(retryAfter + 2*n.delay + 1)
		synctest.Wait()
		if !p.Empty() {
			t.Errorf("after the name went: %+v", p.Snapshot())
		}
	})
}

func TestExternalResolveGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := externalPool(t, &names{delay: time.Hour}, "slow.test")
		begin := time.Now()
		p.Resolve()
		if took := time.Since(begin); took > lookupTimeout {
			t.Errorf("Resolve took %v", took)
		}
		if !p.Empty() {
			t.Error("endpoints from nowhere")
		}
	})
}

func TestExternalIgnoresGivenEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := externalPool(t, &names{addrs: map[string][]string{"ip4 a.test": {"192.0.2.1"}}}, "a.test")
		p.Resolve()
		s.SetEndpoints([]model.EndpointSet{{Upstream: "ext", Endpoints: addrs(7, 2)}})
		if got := endpointsOf(p); !slices.Equal(got, []string{"192.0.2.1:8080"}) {
			t.Errorf("endpoints %v", got)
		}
		s.Apply([]model.Upstream{{Name: "ext"}}, DefaultKeepAlive)
		if got := endpointsOf(s.Pool("ext")); !slices.Equal(got, []string{"192.0.2.7:80", "192.0.2.8:80"}) {
			t.Errorf("endpoints %v once the Service is no ExternalName any more", got)
		}
	})
}

// TestNoLoopsNoLookups: a set that is only looked at asks nobody, and says that it does
// not know.
func TestNoLoopsNoLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(nil)
		defer s.Close()
		s.Apply([]model.Upstream{{Name: "ext", External: "a.test", ExternalP: 80}}, DefaultKeepAlive)
		begin := time.Now()
		s.Pool("ext").Resolve()
		if p := s.Pool("ext"); p.Resolved() || !p.Empty() || time.Since(begin) != 0 {
			t.Errorf("resolved %v, empty %v, after %v", p.Resolved(), p.Empty(), time.Since(begin))
		}
	})
}
