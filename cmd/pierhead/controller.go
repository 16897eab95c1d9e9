package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/pierhead/pierhead/internal/admission"
	"github.com/pierhead/pierhead/internal/control"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/source/kube"
	publish "github.com/pierhead/pierhead/internal/status"
	"github.com/pierhead/pierhead/internal/takeover"
	"github.com/pierhead/pierhead/internal/translate"
)

// controllerName is what ingress-nginx's program is called. A program of this name, or
// one whose first word is, is the controller.
const controllerName = "nginx-ingress-controller"

var controllerCommand = command{
	name:  "controller",
	short: "serve the Ingresses of a cluster, in ingress-nginx's place",
	usage: `usage: pierhead controller [flags]
       nginx-ingress-controller [flags]

Watches a cluster and serves its Ingresses. Takes all flags of ingress-nginx: what
each of them does here is told in docs/flags.md. Needs POD_NAME and POD_NAMESPACE in
the environment. Ready (GET /healthz on port 10254) when the first table is live.

SIGTERM: not ready at once, --shutdown-grace-period and as long as connections still
come, 15 s at most, status clean-up, connections are drained,
--post-shutdown-grace-period, exit 0. A second one ends the process at once.

With --takeover another such process on the same node (two Pods of a DaemonSet with
hostNetwork) gets the listening sockets and is live before this one ends: no connection
is refused, and this one stops accepting at SIGTERM. Linux only.

examples:
  pierhead controller --configmap=$(POD_NAMESPACE)/ingress-nginx-controller \
    --publish-service=$(POD_NAMESPACE)/ingress-nginx-controller
  POD_NAMESPACE=default POD_NAME=mine pierhead controller --kubeconfig ~/.kube/config \
    --http-port 8080 --https-port 8443
`,
}

func init() { controllerCommand.run = runController }

// byName returns the words of the command line with the command they stand for: the
// controller's words may come under the name of ingress-nginx's program, and those of the
// plugin under its own.
func byName(words []string) []string {
	if plugin, ok := asPlugin(words); ok {
		return plugin
	}
	for i := range min(2, len(words)) {
		if path.Base(words[i]) == controllerName {
			return append([]string{controllerCommand.name}, words[i+1:]...)
		}
	}
	return words[1:]
}

// controller is one run of the command.
type controller struct {
	flags *translate.ProcessFlags
	pod   string // namespace/name
	log   *slog.Logger
	out   io.Writer // the access log

	place     *takeover.Place // nil: it takes nobody's
	health    *health
	source    *kube.Source
	publisher *publish.Publisher
	webhook   *admission.Server // nil: there is none
	hook      *hook             // where it is asked
	live      bool              // the first table is
	left      bool              // another process accepts
	known     map[string]bool   // problems that were logged
	told      []model.Problem   // what changed was last told
}

func runController(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && path.Base(args[0]) == controllerName {
		args = args[1:]
	}
	for _, a := range args {
		if a == "-h" || a == "--help" {
			fmt.Fprint(stdout, controllerCommand.usage)
			return nil
		}
	}
	c := &controller{out: stdout, log: slog.New(slog.NewTextHandler(stderr, nil)), known: map[string]bool{}}
	var err error
	if c.flags, err = c.readFlags(args); err != nil {
		return usageError{fmt.Errorf("controller: %w", err)}
	}
	if c.flags.Bool("version") {
		return versionCommand.run(ctx, nil, stdout, stderr)
	}
	ns, name := os.Getenv("POD_NAMESPACE"), os.Getenv("POD_NAME")
	if ns == "" || name == "" {
		return errors.New("controller: POD_NAME and POD_NAMESPACE are not both set; give them to the container by fieldRef")
	}
	c.pod = ns + "/" + name
	c.log.Info("Pierhead starts", "version", version, "pod", c.pod)
	boundMemory(c.log, os.DirFS(cgroup))
	if c.flags.Int("v") == 0 {
		klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // we say ourselves what matters, once
	} else {
		klog.SetSlogLogger(c.log)
	}
	return c.run(ctx)
}

// readFlags reads the flags. The first that ingress-nginx would refuse is an error.
func (c *controller) readFlags(args []string) (*translate.ProcessFlags, error) {
	var first error
	f := translate.ReadProcessFlags(args, func(s model.Severity, flag, reason, remedy string) {
		if remedy != "" {
			remedy = "; " + remedy
		}
		switch {
		case s == model.Error && first == nil:
			first = fmt.Errorf("%s: %s%s", flag, reason, remedy)
		case s == model.Warning:
			c.log.Warn(flag + ": " + reason + remedy)
		}
	})
	switch {
	case first != nil:
	case f.PublishService != "" && len(f.PublishStatusAddress) > 0:
		first = errors.New("--publish-service and --publish-status-address are both given; remove one of them")
	case f.WatchNamespace != "" && f.WatchNamespaceSelector != "":
		first = errors.New("--watch-namespace and --watch-namespace-selector are both given; remove one of them")
	case f.Bool("metrics-per-undefined-host") && !f.Bool("metrics-per-host"):
		first = errors.New("--metrics-per-undefined-host needs --metrics-per-host; remove one of them")
	}
	return f, first
}

// run serves until ctx ends, and ends in good order.
func (c *controller) run(ctx context.Context) error {
	live, stop := context.WithCancel(context.Background())
	defer stop()
	var err error
	if c.place, err = c.takePlace(); err != nil {
		return err
	}
	defer c.place.Close()
	if c.health, err = c.startHealth(ctx); err != nil {
		return unlessEnded(err)
	}
	defer c.health.close()
	if err := c.connect(ctx); err != nil {
		return unlessEnded(err)
	}
	defer c.hook.close()
	c.health.wait(c.source.Waiting)
	c.health.leading = c.publisher.Leading
	running, err := c.start(ctx, live)
	if err != nil || running == nil {
		return err
	}
	c.hook.serve(ctx, c.webhook)
	c.health.serve(running)
	var told sync.WaitGroup
	told.Go(func() { c.takeOver(ctx) })
	defer told.Wait()
	published := make(chan error, 1)
	publishing, unpublish := context.WithCancel(live)
	defer unpublish()
	go func() { published <- c.publisher.Run(publishing) }()

	<-ctx.Done()
	c.place.Leave()
	c.leave()
	c.health.end()
	c.pause("shutdown-grace-period", c.place.Followed)
	if c.flags.Int("shutdown-grace-period") > 0 {
		quiet(running.Accepted, quietFor, quietAtMost, c.place.Followed)
	}
	c.leave()
	cleanup, cancel := context.WithTimeout(context.Background(), cleanupLimit)
	defer cancel()
	c.publisher.Shutdown(cleanup)
	unpublish()
	if err := <-published; err != nil {
		c.log.Warn(err.Error())
	}
	c.log.Info("connections are drained")
	if err := running.Stop(); err != nil {
		c.log.Warn(err.Error())
	}
	c.pause("post-shutdown-grace-period", func() bool { return false })
	return nil
}

// unlessEnded drops the error of a start that the end of the process cut off.
func unlessEnded(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

const (
	cleanupLimit = 10 * time.Second // for the statuses at the end
	drainAtMost  = time.Hour        // worker-shutdown-timeout of the ConfigMap says less
	lingerFor    = 5 * time.Second  // for one more request on connections without any
)

// How long no connection must have come before the last one is accepted, and how long
// that is waited for: whoever spreads connections may be slow to learn that we end.
const (
	quietFor    = time.Second
	quietAtMost = 15 * time.Second
)

// quiet returns when the number of connections has stayed the same for a while, the limit
// has passed, or over says so.
func quiet(accepted func() uint64, still, limit time.Duration, over func() bool) {
	for end := time.Now().Add(limit); !over() && time.Now().Before(end); {
		had := accepted()
		waitOr(min(still, time.Until(end)), over)
		if accepted() == had {
			return
		}
	}
}

// pause waits as many seconds as a flag says, or until over says so.
func (c *controller) pause(flag string, over func() bool) {
	waitOr(time.Duration(c.flags.Int(flag))*time.Second, over)
}

// start reads the cluster and begins to serve. It returns nil when ctx ends before.
func (c *controller) start(ctx, live context.Context) (*control.Control, error) {
	type result struct {
		running *control.Control
		err     error
	}
	done := make(chan result, 1)
	live, stop := context.WithCancel(live)
	go func() {
		running, err := control.Start(live, c.options())
		done <- result{running, err}
	}()
	select {
	case r := <-done:
		context.AfterFunc(live, stop)
		return r.running, r.err
	case <-ctx.Done():
		stop()
		if r := <-done; r.running != nil {
			return nil, r.running.Wait()
		}
		return nil, nil
	}
}

func (c *controller) options() control.Options {
	opt := control.Options{
		Version: version, Source: c.source, Engine: loop.DefaultKind(), Log: c.log, AccessLog: c.out, Metrics: c.metrics(),
		ListenAddress: netip.IPv4Unspecified(), DrainLimit: drainAtMost, Linger: lingerFor, Place: c.place, Changed: c.changed,
	}
	if hasIPv6() {
		opt.ListenAlso = netip.IPv6Unspecified()
	}
	opt.Rules.Translate = c.translation()
	return opt
}

// translation says how objects are translated.
func (c *controller) translation() translate.Options {
	ns, _, _ := strings.Cut(c.pod, "/")
	return translate.Options{ForeignBalancers: true, Default: &translate.Default{Namespace: ns, Flags: c.flags.Flags}}
}

// hasIPv6 tells whether this machine has IPv6 at all.
func hasIPv6() bool {
	ln, err := net.Listen("tcp6", "[::]:0")
	if err == nil {
		ln.Close()
	}
	return err == nil
}

// mostLogged is how many problems of one object the log says.
const mostLogged = 20

// changed tells of a change that was applied: the log what is newly wrong, the
// publisher what it should tell owners.
func (c *controller) changed(running *control.Control) {
	ingresses, problems := running.Ingresses(), running.Problems()
	if !c.live {
		c.live = true
		c.log.Info("the first table is live", "ingresses", len(ingresses), "problems", len(problems))
	}
	c.publisher.Tell(ingresses, problems)
	if model.Identical(problems, c.told) {
		return
	}
	c.told = problems
	now := map[string]bool{}
	for _, p := range model.Brief(problems, mostLogged) {
		text := p.String()
		if now[text] = true; !c.known[text] {
			c.log.Warn(text)
		}
	}
	c.known = now
}
