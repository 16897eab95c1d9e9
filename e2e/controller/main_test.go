// Package controller tests Pierhead in a real cluster, in the place of ingress-nginx:
// under its name, with its flags, its roles and its manifests. It runs with E2E=1 and as
// root; see make e2e.
package controller

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/pierhead/pierhead/e2e/cluster"
)

// kube is the cluster that the tests share, with the controller installed.
var kube *cluster.Cluster

//go:embed testdata/install.yaml
var install string

const namespace = "ingress-nginx"

func TestMain(m *testing.M) {
	if os.Getenv("E2E") != "1" {
		fmt.Println("these tests need root and some minutes the first time: run them by \"make e2e\", or with E2E=1")
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
	code := 1
	if err = prepare(ctx); err == nil {
		if code = m.Run(); code != 0 {
			logs, _ := kube.RunKubectl(ctx, "", "-n", namespace, "logs", "-l", "app.kubernetes.io/name=ingress-nginx", "--prefix", "--tail=2000")
			pods, _ := kube.RunKubectl(ctx, "", "-n", namespace, "get", "pods,leases,services", "-o", "wide")
			fmt.Fprintln(os.Stderr, logs, pods)
		}
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	if err := kube.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// prepare installs the controller and waits until it is ready.
func prepare(ctx context.Context) error {
	if err := kube.Build(ctx, "registry.k8s.io/ingress-nginx/controller", "../..", "./cmd/pierhead", "/nginx-ingress-controller"); err != nil {
		return err
	}
	if err := kube.Apply(ctx, install); err != nil {
		return err
	}
	_, err := kube.RunKubectl(ctx, "", "-n", namespace, "rollout", "status", "deployment/ingress-nginx-controller", "--timeout=120s")
	if err != nil {
		logs, _ := kube.RunKubectl(ctx, "", "-n", namespace, "logs", "deployment/ingress-nginx-controller", "--tail=30")
		return fmt.Errorf("%w\n%s", err, logs)
	}
	return nil
}
