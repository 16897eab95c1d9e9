package bed

import (
	"context"
	_ "embed"
	"fmt"
	"path/filepath"

	"github.com/pierhead/pierhead/e2e/cluster"
)

// Installation is one way to install Pierhead. One without more than exported fields
// installs nothing.
type Installation struct {
	Namespace  string
	Deployment string
	DaemonSet  bool   // Deployment is the name of one
	Service    string // of the controller
	Lease      string
	Selector   string // of its Pods

	image, program string   // the image's name, and the path of the program in it
	apply          []string // kubectl's words after "apply"
	manifest       string   // its input
}

//go:embed ingress-nginx.yaml
var ingressNginx string

// IngressNginx is Pierhead as the image of an installation of ingress-nginx: its roles,
// its flags, its names.
func IngressNginx() Installation {
	return Installation{
		Namespace: "ingress-nginx", Deployment: "ingress-nginx-controller", Service: "ingress-nginx-controller", Lease: "ingress-nginx-leader",
		Selector: "app.kubernetes.io/name=ingress-nginx",
		image:    "registry.k8s.io/ingress-nginx/controller", program: "/nginx-ingress-controller",
		apply: []string{"-f", "-"}, manifest: ingressNginx,
	}
}

// Own is Pierhead by its own manifests, which are made from its chart: its roles, Pod
// security, webhook.
func Own() Installation {
	return Installation{
		Namespace: "pierhead", Deployment: "pierhead-controller", Service: "pierhead-controller", Lease: "pierhead-leader",
		Selector: "app.kubernetes.io/name=pierhead,app.kubernetes.io/component=controller",
		image:    "ghcr.io/pierhead/pierhead", program: "/pierhead",
		apply: []string{"-k", filepath.Join(Repository, "deploy", "manifests")},
	}
}

// HostNetwork is Pierhead by its chart as a DaemonSet in the nodes' network, whose Pods
// take each other's place: the chart's objects as its own tests hold them.
func HostNetwork() Installation {
	in := Own()
	in.DaemonSet, in.apply = true, []string{"-f", filepath.Join(Repository, "deploy", "test", "testdata", "surge.golden.yaml")}
	return in
}

// Workload names what its Pods are made by, for kubectl.
func (in Installation) Workload() string {
	if in.DaemonSet {
		return "daemonset/" + in.Deployment
	}
	return "deployment/" + in.Deployment
}

// Repository is the repository's folder, as seen from a package of tests.
const Repository = "../.."

// install installs the controller and waits until it is ready.
func (in Installation) install(ctx context.Context, c *cluster.Cluster) error {
	if in.image == "" {
		return nil // the tests do it themselves
	}
	if err := in.build(ctx, c); err != nil {
		return err
	}
	if in.DaemonSet { // its manifests make no namespace
		if _, err := c.RunKubectl(ctx, "", "create", "namespace", in.Namespace); err != nil {
			return err
		}
	}
	if _, err := c.RunKubectl(ctx, in.manifest, append([]string{"apply"}, in.apply...)...); err != nil {
		return err
	}
	_, err := c.RunKubectl(ctx, "", "-n", in.Namespace, "rollout", "status", in.Workload(), "--timeout=120s")
	if err != nil {
		logs, _ := c.RunKubectl(ctx, "", "-n", in.Namespace, "logs", in.Workload(), "--tail=30")
		pods, _ := c.RunKubectl(ctx, "", "-n", in.Namespace, "get", "pods", "-o", "wide")
		return fmt.Errorf("%w\n%s%s", err, logs, pods)
	}
	return nil
}

func (in Installation) build(ctx context.Context, c *cluster.Cluster) error {
	return c.Build(ctx, in.image, Repository, "./cmd/pierhead", in.program)
}

// Rebuild compiles the controller again, for the Pods that start from now on.
func (b *Bed) Rebuild(ctx context.Context) error { return b.Installed.build(ctx, b.Cluster) }

// Host returns the name of the controller's Service inside of the cluster.
func (in Installation) Host() string { return in.Service + "." + in.Namespace + ".svc.cluster.local" }
