// Package workflow performs the 2017 workflow in a real cluster with kubectl and curl: what
// examples/cluster/README.md shows, and what a reader of it would try next. It runs with
// E2E=1 and as root; see make e2e.
package workflow

import (
	"context"
	"testing"

	"github.com/pierhead/pierhead/e2e/bed"
)

// kube is the cluster. The workflow installs its controllers itself, in namespace default.
var kube *bed.Bed

func TestMain(m *testing.M) {
	in := bed.Installation{Namespace: "default", Selector: "k8s-addon=ingress-nginx.addons.k8s.io"}
	bed.Main(m, in, func(ctx context.Context, b *bed.Bed) error {
		kube = b
		return b.Build(ctx, "ghcr.io/pierhead/pierhead", bed.Repository, "./cmd/pierhead")
	})
}
