// Package suite tests the test bed itself, on a cluster that all tests share: each works
// in namespaces of its own. It runs with E2E=1 and as root; see make e2e.
package suite

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"net/netip"

	"github.com/pierhead/pierhead/e2e/cluster"
)

// kube is the cluster that the tests share.
var kube *cluster.Cluster

func TestMain(m *testing.M) {
	if os.Getenv("E2E") != "1" {
		fmt.Println("the suite needs root and some minutes the first time: run it by \"make e2e\", or with E2E=1")
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	var err error
	kube, err = cluster.Start(ctx, cluster.Options{Progress: os.Stderr, Balancers: netip.MustParsePrefix("10.97.0.0/24")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := kube.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
