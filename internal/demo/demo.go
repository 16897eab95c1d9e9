package demo

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/pierhead/pierhead/internal/control"
)

// AnyDNS is a free port of loopback.
var AnyDNS = netip.MustParseAddrPort("127.0.0.1:0")

// Demo is one run.
type Demo struct {
	Dir     string
	Out     io.Writer
	Options control.Options
	Show    func(io.Writer, *control.Control) // prints what stands

	mu sync.Mutex
}

// Check performs the transcript and returns an error when anything came back other
// than it should.
func (d *Demo) Check(ctx context.Context) error {
	app, c, err := d.start(ctx, false)
	if err != nil {
		return err
	}
	defer app.stop()
	d.Show(d.Out, c)
	cl, err := newClient(c.DNSAddr().String(), d.Dir, c.State)
	if err == nil {
		t := &transcript{c: cl, app: app, dir: d.Dir, out: d.Out}
		err = t.run(ctx)
	}
	if e := c.Stop(); err == nil {
		err = e
	}
	return err
}

// Run serves the example and shows what stands after every change until ctx ends.
func (d *Demo) Run(ctx context.Context) error {
	d.Options.Changed = d.show
	app, c, err := d.start(ctx, true)
	if err != nil {
		return err
	}
	defer app.stop()
	return c.Wait()
}

// start writes the files, starts the application and serves.
func (d *Demo) start(ctx context.Context, keep bool) (*app, *control.Control, error) {
	app, err := startApp()
	if err != nil {
		return nil, nil, err
	}
	if err := write(d.Dir, app, keep); err != nil {
		app.stop()
		return nil, nil, err
	}
	c, err := control.Start(ctx, d.Options)
	if err != nil {
		app.stop()
		return nil, nil, err
	}
	return app, c, nil
}

// show prints the live table and the lines to paste. On a terminal it clears the
// screen first.
func (d *Demo) show(c *control.Control) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f, ok := d.Out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(d.Out, "\033[H\033[2J")
	}
	d.Show(d.Out, c)
	fmt.Fprintf(d.Out, "\nPASTE\n%s\nThe manifests are in %s: change them, and changes are live within a second.\nRequests are logged in %s. Ctrl-C ends the demo.\n",
		d.lines(c), d.Dir, filepath.Join(d.Dir, "access.log"))
}

// lines are dig and curl commands that work as they stand.
func (d *Demo) lines(c *control.Control) string {
	var b strings.Builder
	dns := c.DNSAddr()
	for _, name := range []string{external, internal} {
		fmt.Fprintf(&b, "  dig @%s -p %d +short %s\n", dns.Addr(), dns.Port(), name)
	}
	for _, l := range []struct {
		internal           bool
		scheme, name, more string
	}{
		{false, "https", external, "-i"},
		{false, "http", external, "-i"},
		{true, "http", internal, "-i"},
		{false, "https", password, "-i -u someuser:somepassword"},
	} {
		if line := d.curl(c, l.internal, l.scheme, l.name, l.more); line != "" {
			b.WriteString("  " + line + "\n")
		}
	}
	return b.String()
}

// curl is one line: --connect-to leads it to where the load balancer's port listens.
func (d *Demo) curl(c *control.Control, internal bool, scheme, name, more string) string {
	port := map[string]uint16{"http": 80, "https": 443}[scheme]
	for _, l := range c.State().LoadBalancers {
		for _, p := range l.Ports {
			if l.Internal == internal && p.Port == port {
				ca := ""
				if scheme == "https" {
					ca = " --cacert " + filepath.Join(d.Dir, caFile)
				}
				return fmt.Sprintf("curl %s%s --connect-to %s:%d:%s %s://%s/", more, ca, name, port, p.Listen, scheme, name)
			}
		}
	}
	return ""
}
