package demo

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

const (
	external = "nodejs-app-external.encompasshost.com"
	internal = "nodejs-app.tftest.encompasshost.internal"
	password = "dashboard.encompasshost.com"
	another  = "another-app.encompasshost.com"
	realm    = "Authentication Required"
)

// transcript performs the workflow's dig and curl lines and says what came back.
type transcript struct {
	c      *client
	app    *app
	dir    string
	out    io.Writer
	failed int
}

// line prints a command as one would type it.
func (t *transcript) line(format string, args ...any) {
	fmt.Fprintf(t.out, "\n$ %s\n", fmt.Sprintf(format, args...))
}

// back prints what came back.
func (t *transcript) back(format string, args ...any) {
	fmt.Fprintln(t.out, fmt.Sprintf(format, args...))
}

// expect prints whether what came back is right, and counts what is not.
func (t *transcript) expect(ok bool, what string, args ...any) {
	text := fmt.Sprintf(what, args...)
	if ok {
		fmt.Fprintf(t.out, "  ok: %s\n", text)
		return
	}
	t.failed++
	fmt.Fprintf(t.out, "  FAILED: %s\n", text)
}

// run performs the whole transcript, one step after the other.
func (t *transcript) run(ctx context.Context) error {
	steps := []struct {
		title string
		do    func(context.Context) error
	}{
		{"DNS names lead to the load balancers", t.names},
		{"HTTPS with a certificate from the Secret", t.https},
		{"HTTP is redirected to HTTPS", t.redirect},
		{"Requests are spread over the pods", t.spread},
		{"The internal entry: plain HTTP, no redirect", t.internalEntry},
		{"A user name and a password", t.password},
		{"limit-rps: 5", t.rate},
		{"limit-connections: 25", t.connections},
		{"The application sees the client's own address through the PROXY protocol", t.address},
		{"A second host in the same Ingress", t.secondHost},
	}
	for _, s := range steps {
		fmt.Fprintf(t.out, "\n== %s\n", s.title)
		if err := s.do(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t.expect(false, "%v", err)
		}
	}
	if t.failed > 0 {
		fmt.Fprintf(t.out, "\n%d of the transcript's expectations failed\n", t.failed)
		return fmt.Errorf("%d of the transcript's expectations failed", t.failed)
	}
	fmt.Fprintln(t.out, "\nthe whole transcript came back as expected")
	return nil
}

func (t *transcript) names(ctx context.Context) error {
	for _, q := range []struct {
		name     string
		internal bool
	}{{external, false}, {internal, true}} {
		t.line("dig +short %s", q.name)
		got, err := t.c.dig(ctx, q.name)
		if err != nil {
			return err
		}
		for _, a := range got {
			t.back("%s", a)
		}
		want := t.balancer(q.internal)
		kind := map[bool]string{false: "external", true: "internal"}[q.internal]
		t.expect(fmt.Sprint(got) == fmt.Sprint(want) && len(got) > 0, "the %s load balancer's address %v", kind, want)
	}
	return nil
}

// balancer returns the addresses of the external or internal load balancer.
func (t *transcript) balancer(internal bool) (addrs []netip.Addr) {
	for _, l := range t.c.state().LoadBalancers {
		if l.Internal == internal {
			for _, a := range l.Addresses {
				addrs = append(addrs, netip.MustParseAddr(a))
			}
		}
	}
	return addrs
}

func (t *transcript) https(ctx context.Context) error {
	t.line("curl -v https://%s", external)
	a, err := get(ctx, t.c.http(1), "https://"+external)
	if err != nil {
		return err
	}
	leaf := a.TLS.PeerCertificates[0]
	t.back("* subject: %s, issuer: %s", leaf.Subject, leaf.Issuer)
	t.head(a, "Content-Type", "Strict-Transport-Security")
	t.back("\n%s", strings.TrimSpace(a.body))
	t.expect(a.StatusCode == 200, "200")
	t.expect(leaf.Subject.CommonName == "*.encompasshost.com", "the certificate of the Secret, which covers the host")
	t.expect(strings.HasPrefix(a.Header.Get("Strict-Transport-Security"), "max-age="), "HSTS")
	t.expect(strings.HasPrefix(a.body, "I am: nodejs-app-deployment-1673444943-"), "an answer of a pod")
	return nil
}

// head prints the status line and some fields.
func (t *transcript) head(a *answer, fields ...string) {
	t.back("< %s %s", a.Proto, a.Status)
	for _, f := range fields {
		if v := a.Header.Get(f); v != "" {
			t.back("< %s: %s", f, v)
		}
	}
}

func (t *transcript) redirect(ctx context.Context) error {
	t.line("curl -IL http://%s", external)
	h := t.c.http(2)
	a, err := get(ctx, h, "http://"+external)
	if err != nil {
		return err
	}
	t.head(a, "Location")
	to := a.Header.Get("Location")
	t.expect(a.StatusCode == 308, "308, the permanent redirect of http-redirect-code")
	t.expect(strings.TrimSuffix(to, "/") == "https://"+external, "to HTTPS on the same host")
	a, err = get(ctx, h, to)
	if err != nil {
		return err
	}
	t.head(a, "Content-Type", "Strict-Transport-Security")
	t.expect(a.StatusCode == 200, "200 behind it")
	return nil
}

func (t *transcript) spread(ctx context.Context) error {
	t.line("for i in `seq 1 7`; do curl https://%s; done", external)
	h, seen := t.c.http(3), map[string]bool{}
	for range 7 {
		a, err := get(ctx, h, "https://"+external)
		if err != nil {
			return err
		}
		t.back("%s", strings.TrimSpace(a.body))
		seen[a.body] = true
	}
	t.expect(len(seen) == len(names), "all %d replicas answered", len(names))
	return nil
}

func (t *transcript) internalEntry(ctx context.Context) error {
	t.line("curl -v http://%s", internal)
	a, err := get(ctx, t.c.http(4), "http://"+internal)
	if err != nil {
		return err
	}
	t.head(a, "Content-Type", "Location")
	t.back("\n%s", strings.TrimSpace(a.body))
	t.expect(a.StatusCode == 200 && a.TLS == nil, "200 on plain HTTP, without redirect")
	return nil
}

func (t *transcript) password(ctx context.Context) error {
	h := t.c.http(5)
	t.line("curl -v https://%s", password)
	a, err := get(ctx, h, "https://"+password)
	if err != nil {
		return err
	}
	t.head(a, "WWW-Authenticate")
	t.expect(a.StatusCode == 401, "401 without a password")
	t.expect(a.Header.Get("WWW-Authenticate") == `Basic realm="`+realm+`"`, "the Ingress's realm")
	t.line("curl -v -u someuser:wrong https://%s", password)
	if a, err = get(ctx, h, "https://"+password, "someuser", "wrong"); err != nil {
		return err
	}
	t.head(a)
	t.expect(a.StatusCode == 401, "401 with a wrong one")
	t.line("curl -v -u someuser:somepassword https://%s", password)
	if a, err = get(ctx, h, "https://"+password, "someuser", "somepassword"); err != nil {
		return err
	}
	t.head(a)
	t.back("\n%s", strings.TrimSpace(a.body))
	t.expect(a.StatusCode == 200, "200 with the right one")
	return nil
}
