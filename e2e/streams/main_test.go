// Package streams tests what Pierhead hands on as it is, in a real cluster: TCP and UDP
// ports, TLS that it does not open; and the addresses of nodes in the status of Ingresses.
// It runs with E2E=1 and as root; see make e2e.
package streams

import (
	"context"
	"testing"

	"github.com/pierhead/pierhead/e2e/bed"
)

// kube is the cluster that the tests share, with the controller installed.
var kube *bed.Bed

func TestMain(m *testing.M) {
	bed.Main(m, bed.IngressNginx(), func(ctx context.Context, b *bed.Bed) error {
		kube = b
		return configure(ctx, b)
	})
}

// configure gives the controller the flags, and its Service the ports, as somebody does
// who edits both.
func configure(ctx context.Context, b *bed.Bed) error {
	in := b.Installed
	flags := `[{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": ["/nginx-ingress-controller",
  "--election-id=ingress-nginx-leader", "--configmap=$(POD_NAMESPACE)/ingress-nginx-controller", "--post-shutdown-grace-period=1",
  "--tcp-services-configmap=$(POD_NAMESPACE)/tcp-services", "--udp-services-configmap=$(POD_NAMESPACE)/udp-services", "--enable-ssl-passthrough"]}]`
	ports := `[{"op": "add", "path": "/spec/ports/-", "value": {"name": "9000-tcp", "port": 9000}}]`
	for _, words := range [][]string{
		{"create", "configmap", "tcp-services"},
		{"create", "configmap", "udp-services"},
		{"patch", "service", in.Service, "--type=json", "--patch", ports},
		{"patch", "deployment", in.Deployment, "--type=json", "--patch", flags},
		{"rollout", "status", "deployment/" + in.Deployment, "--timeout=120s"},
	} {
		if _, err := b.RunKubectl(ctx, "", append([]string{"-n", in.Namespace}, words...)...); err != nil {
			return err
		}
	}
	return nil
}
