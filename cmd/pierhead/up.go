package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pierhead/pierhead/internal/control"
	"github.com/pierhead/pierhead/internal/dns"
	"github.com/pierhead/pierhead/internal/lb"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/source/file"
	"github.com/pierhead/pierhead/internal/translate"
)

var upCommand = command{
	name:  "up",
	short: "serve a folder of Kubernetes manifests",
	usage: `usage: pierhead up [flags] [PATH...]

Reads files and folders of Kubernetes YAML and JSON (default: this folder), serves
them without a cluster, watches them and applies changes within a second. Every
Service of type LoadBalancer gets an address of its own, every ingress controller
among the Deployments becomes one of this process, and the DNS names that are asked
for are answered by an embedded DNS server. What a manifest means here is told in
docs/standalone.md.

flags:
  --http-port PORT          HTTP port of the default controller, which is there when
                            the manifests hold none (default 80)
  --https-port PORT         its HTTPS port (default 443)
  --listen-address ADDR     the address it listens on (default 127.0.0.1)
  --configmap NS/NAME       its ConfigMap
  --default-backend-service NS/NAME
                            its default backend
  --default-ssl-certificate NS/NAME
                            its default certificate
  --ingress-class NAME      the class it takes (default nginx)
  --watch-ingress-without-class
                            it takes Ingresses without a class too
  --admin-listen ADDR       health, metrics and state (default 127.0.0.1:10254)
  --dns-listen ADDR         the DNS server, UDP and TCP; off for none
                            (default 127.0.0.1:8053)
  --dns-zone NAME[=public|private]
                            a DNS zone; repeatable (default: one for each registrable
                            domain that is asked for)
  --dns-client CIDR         clients that see private zones; repeatable (default:
                            loopback and private ranges)
  --lb-external-cidr CIDR   addresses of load balancers (default 127.80.0.0/16)
  --lb-internal-cidr CIDR   addresses of internal ones (default 127.81.0.0/16)
  --port-offset N           added to ports below 1024 (default 0, or 8000 where they
                            may not be bound: port 80 is 8080, 443 is 8443)
  --takeover                take the place of the process that serves the same paths:
                            no connection is refused, and that one drains and ends
  --engine KIND             loops or goroutines (default loops on Linux)

examples:
  pierhead up ./manifests
  pierhead up --dns-zone example.com=public --listen-address 0.0.0.0 ./manifests
`,
}

func init() { upCommand.run = up }

func up(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var takeOver *bool
	opt, paths, err := upOptions(&upCommand, args, stdout, stderr, func(fs *flag.FlagSet) { takeOver = fs.Bool("takeover", false, "") })
	if err != nil {
		return err
	}
	if opt.Place, err = upPlace(paths, *takeOver, opt.Log); err != nil {
		return err
	}
	defer opt.Place.Close()
	boundMemory(opt.Log, os.DirFS(cgroup))
	ctx, end := context.WithCancel(ctx)
	defer end()
	opt.Changed = tellChanges(stderr)
	c, err := control.Start(ctx, opt)
	if err != nil {
		return err
	}
	opt.Place.Live()
	go func() {
		select {
		case <-opt.Place.Succeeded():
			end()
		case <-ctx.Done():
		}
	}()
	fmt.Fprintf(stderr, "pierhead: state and metrics on http://%s\n", c.AdminAddr())
	writeState(stdout, c.State())
	return c.Wait()
}

// tellChanges returns what prints a line for each change, and the problems that are
// new since the one before.
func tellChanges(w io.Writer) func(*control.Control) {
	known := map[model.Problem]bool{}
	return func(c *control.Control) {
		s := c.State()
		fmt.Fprintf(w, "pierhead: generation %d: %d routes, %d load balancers, %d DNS records, %s\n",
			s.Generation, len(s.Routes), len(s.LoadBalancers), len(s.Records), countProblems(s.Problems))
		now := make(map[model.Problem]bool, len(s.Problems))
		for _, p := range s.Problems {
			if p.Severity > model.Info && !known[p] {
				fmt.Fprintln(w, "pierhead: "+p.String())
			}
			now[p] = true
		}
		known = now
	}
}

// repeated is a flag that may be given several times.
type repeated []string

func (r *repeated) String() string     { return strings.Join(*r, ",") }
func (r *repeated) Set(s string) error { *r = append(*r, s); return nil }

// upOptions reads the flags of up, which demo has too, and returns the options and
// the other words of the command line.
func upOptions(c *command, args []string, stdout, stderr io.Writer, more ...func(*flag.FlagSet)) (control.Options, []string, error) {
	fs := flags(c, stdout, stderr)
	var (
		httpPort  = fs.Uint("http-port", 80, "")
		httpsPort = fs.Uint("https-port", 443, "")
		address   = fs.String("listen-address", "127.0.0.1", "")
		adminAt   = fs.String("admin-listen", defaultAdmin, "")
		dnsAt     = fs.String("dns-listen", "127.0.0.1:8053", "")
		external  = fs.String("lb-external-cidr", lb.DefaultExternal.String(), "")
		inside    = fs.String("lb-internal-cidr", lb.DefaultInternal.String(), "")
		offset    = fs.Int("port-offset", -1, "")
		engine    = fs.String("engine", string(loop.DefaultKind()), "")
		zones     repeated
		clients   repeated
	)
	tr := translateFlags(fs)
	fs.Var(&zones, "dns-zone", "")
	fs.Var(&clients, "dns-client", "")
	for _, f := range more {
		f(fs)
	}
	paths, err := parse(fs, args)
	if err != nil {
		return control.Options{}, nil, err
	}
	var r reader
	opt := control.Options{
		Version: version, AdminListen: *adminAt, Linger: time.Second, Engine: loop.Kind(*engine), AccessLog: stdout,
		Log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
	if len(paths) == 0 {
		opt.Source = file.New(".")
	} else {
		opt.Source = file.New(paths...)
	}
	if *dnsAt != "off" {
		opt.DNSListen = r.addrPort("dns-listen", *dnsAt)
	}
	opt.ListenAddress = r.addr("listen-address", *address)
	opt.Rules.Translate = tr()
	f := &opt.Rules.Translate.Default.Flags
	f.HTTPPort, f.HTTPSPort = r.port("http-port", *httpPort), r.port("https-port", *httpsPort)
	opt.Rules.Balancers = lb.Rules{External: r.prefix("lb-external-cidr", *external), Internal: r.prefix("lb-internal-cidr", *inside)}
	opt.Rules.Balancers.PortMap = !control.OwnAddresses
	opt.Rules.Zones = r.zones(zones)
	for _, c := range clients {
		opt.DNSClients = append(opt.DNSClients, r.prefix("dns-client", c))
	}
	if *offset < -1 {
		r.fail("port-offset", strconv.Itoa(*offset), "a number from 0 to 64512")
	}
	if *offset < 0 {
		if *offset = 0; !lowPorts() {
			*offset = 8000
			fmt.Fprintln(stderr, "pierhead: ports below 1024 may not be bound here: port 80 is 8080 and 443 is 8443 (--port-offset 8000)")
		}
	}
	if *offset > 65535-1023 {
		r.fail("port-offset", strconv.Itoa(*offset), "a number from 0 to 64512")
	}
	opt.Rules.Balancers.PortOffset = uint16(*offset)
	if r.err == nil {
		r.err = opt.Rules.Balancers.Check()
	}
	if r.err == nil && opt.Engine != loop.Loops && opt.Engine != loop.Goroutines {
		r.err = fmt.Errorf("--engine %q: want loops or goroutines", *engine)
	}
	if r.err != nil {
		return control.Options{}, nil, usageError{fmt.Errorf("%s: %w", c.name, r.err)}
	}
	return opt, paths, nil
}

// translateFlags are the flags of the default controller, which check and explain
// have too.
func translateFlags(fs *flag.FlagSet) func() translate.Options {
	d := &translate.Default{Flags: translate.DefaultFlags()}
	fs.Var((*objectName)(&d.Flags.ConfigMap), "configmap", "")
	fs.Var((*objectName)(&d.Flags.DefaultBackendService), "default-backend-service", "")
	fs.Var((*objectName)(&d.Flags.DefaultSSLCertificate), "default-ssl-certificate", "")
	fs.StringVar(&d.Flags.IngressClass, "ingress-class", d.Flags.IngressClass, "")
	fs.BoolVar(&d.Flags.WatchWithoutClass, "watch-ingress-without-class", false, "")
	return func() translate.Options { return translate.Options{Standalone: true, Default: d} }
}

// objectName is a flag that names an object, as namespace/name.
type objectName string

func (n *objectName) String() string { return string(*n) }

// Set takes the name, or none.
func (n *objectName) Set(s string) error {
	namespace, name, ok := strings.Cut(s, "/")
	if s != "" && (!ok || namespace == "" || name == "" || strings.Contains(name, "/")) {
		return errors.New("want NAMESPACE/NAME")
	}
	*n = objectName(s)
	return nil
}

// reader turns words into values and keeps the first mistake.
type reader struct{ err error }

func (r *reader) fail(flag, value, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("--%s %q: want %s", flag, value, want)
	}
}

func (r *reader) port(flag string, n uint) uint16 {
	if n == 0 || n > 65535 {
		r.fail(flag, fmt.Sprint(n), "a port from 1 to 65535")
	}
	return uint16(n)
}

func (r *reader) addr(flag, s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		r.fail(flag, s, "an IP address such as 127.0.0.1 or 0.0.0.0")
	}
	return a
}

func (r *reader) addrPort(flag, s string) netip.AddrPort {
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		r.fail(flag, s, "an address and port such as 127.0.0.1:8053")
	}
	return a
}

func (r *reader) prefix(flag, s string) netip.Prefix {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		r.fail(flag, s, "a range such as 127.80.0.0/16")
	}
	return p.Masked()
}

func (r *reader) zones(words []string) (zones []dns.Zone) {
	for _, w := range words {
		z, err := dns.ParseZone(w)
		if err != nil && r.err == nil {
			r.err = fmt.Errorf("--dns-zone: %w", err)
		}
		zones = append(zones, z)
	}
	if r.err == nil {
		if err := dns.CheckZones(zones); err != nil {
			r.err = fmt.Errorf("--dns-zone: %w", err)
		}
	}
	return zones
}

// lowPorts tells whether this process may bind ports below 1024.
func lowPorts() bool {
	ln, err := net.Listen("tcp", "127.0.0.1:1023")
	if err == nil {
		ln.Close()
	}
	return !errors.Is(err, syscall.EACCES) && !errors.Is(err, os.ErrPermission)
}
