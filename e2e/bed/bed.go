// Package bed is what the tests of one package share: a cluster with Pierhead installed
// in it (bed.go, install.go), a namespace of its own for each test (space.go), and
// requests to the controller (request.go).
package bed

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/pierhead/pierhead/e2e/cluster"
)

// Bed is a cluster with an installation.
type Bed struct {
	*cluster.Cluster
	Installed Installation

	audits string // the folder with the audit log
}

// Main is the TestMain of a package: it starts a cluster, installs Pierhead, hands both
// to ready, runs the tests and tells the controller's log when one fails; then the same
// with every other way to install. Without E2E=1 it says how to run the tests and runs
// none.
func Main(m *testing.M, in Installation, ready func(context.Context, *Bed) error, others ...Installation) {
	if os.Getenv("E2E") != "1" {
		fmt.Println("these tests need root and some minutes the first time: run them by \"make e2e\", or with E2E=1")
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := 0
	for _, in := range append([]Installation{in}, others...) {
		fmt.Fprintln(os.Stderr, "installed in namespace", in.Namespace)
		code = max(code, run(ctx, m, in, ready))
	}
	cancel()
	os.Exit(code)
}

func run(ctx context.Context, m *testing.M, in Installation, ready func(context.Context, *Bed) error) (code int) {
	b, err := Start(ctx, in, cluster.Options{})
	if b != nil {
		defer func() {
			if err := b.Close(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}()
	}
	if err == nil {
		err = ready(ctx, b)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if code = m.Run(); code != 0 {
		fmt.Fprintln(os.Stderr, b.tell(ctx))
	}
	return code
}

// Balancers is where Services of type LoadBalancer get their addresses.
var Balancers = netip.MustParsePrefix("10.97.0.0/24")

// Start starts a cluster and installs Pierhead in it. Where only the installation failed
// the Bed is there all the same, to be closed.
func Start(ctx context.Context, in Installation, o cluster.Options) (*Bed, error) {
	audits, err := os.MkdirTemp("", "pierhead-audit")
	if err != nil {
		return nil, err
	}
	flags, err := audit(audits)
	if err == nil {
		o.Progress, o.Balancers, o.APIServerFlags = os.Stderr, Balancers, append(flags, o.APIServerFlags...)
		var c *cluster.Cluster
		if c, err = cluster.Start(ctx, o); err == nil {
			b := &Bed{c, in, audits}
			return b, in.install(ctx, c)
		}
	}
	os.RemoveAll(audits)
	return nil, err
}

// Close ends the cluster.
func (b *Bed) Close() error {
	defer os.RemoveAll(b.audits)
	return b.Cluster.Close()
}

// tell returns what the controllers logged and what became of their Pods.
func (b *Bed) tell(ctx context.Context) string {
	logs, _ := b.RunKubectl(ctx, "", "-n", b.Installed.Namespace, "logs", "-l", b.Installed.Selector, "--prefix", "--tail=2000")
	pods, _ := b.RunKubectl(ctx, "", "-n", b.Installed.Namespace, "get", "pods,leases,services", "-o", "wide")
	return logs + pods
}
