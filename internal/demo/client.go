package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pierhead/pierhead/internal/admin"
)

// client is dig and curl in one: it asks the embedded DNS server for names and
// connects to the load balancer address it is told, as a client of the workflow
// would.
type client struct {
	dns   string                // address of the DNS server
	state func() *admin.State   // for the ports that really listen
	roots *x509.CertPool        // the demo's authority
	res   *net.Resolver         //
	extra map[string]netip.Addr // names that are not in DNS, as curl --resolve has them
}

func newClient(dns, dir string, state func() *admin.State) (*client, error) {
	pem, err := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil {
		return nil, err
	}
	c := &client{dns: dns, state: state, roots: x509.NewCertPool(), extra: map[string]netip.Addr{}}
	if !c.roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", filepath.Join(dir, caFile))
	}
	c.res = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, dns)
	}}
	return c, nil
}

// dig asks for the addresses of a name.
func (c *client) dig(ctx context.Context, name string) ([]netip.Addr, error) {
	addrs, err := c.res.LookupNetIP(ctx, "ip4", name+".")
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs, err
}

// listens finds where a port of a load balancer's address really listens.
func (c *client) listens(addr netip.Addr, port string) string {
	for _, l := range c.state().LoadBalancers {
		if !slices.Contains(l.Addresses, addr.String()) {
			continue
		}
		for _, p := range l.Ports {
			if fmt.Sprint(p.Port) == port {
				return p.Listen
			}
		}
	}
	return net.JoinHostPort(addr.String(), port)
}

// http makes an HTTP client with a source address of its own, where the machine
// lets it: limits count by address. It follows no redirect.
func (c *client) http(source int) *http.Client {
	d := &net.Dialer{Timeout: 5 * time.Second}
	if ownAddresses {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(source))}
	}
	t := &http.Transport{
		ForceAttemptHTTP2:   true,
		TLSClientConfig:     &tls.Config{RootCAs: c.roots},
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			ip, ok := c.extra[host]
			if !ok {
				ips, err := c.dig(ctx, host)
				if err != nil {
					return nil, err
				}
				ip = ips[0]
			}
			return d.DialContext(ctx, network, c.listens(ip, port))
		},
	}
	return &http.Client{Transport: t, Timeout: 40 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

// get is curl: one GET, with a user and password where given.
func get(ctx context.Context, h *http.Client, url string, userPassword ...string) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if len(userPassword) == 2 {
		req.SetBasicAuth(userPassword[0], userPassword[1])
	}
	resp, err := h.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	return &answer{resp, string(body)}, nil
}
