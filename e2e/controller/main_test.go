// Package controller tests Pierhead in a real cluster: in the place of ingress-nginx,
// under its name, with its flags, its roles and its manifests; and then by its own
// manifests, with its own roles. It runs with E2E=1 and as root; see make e2e.
package controller

import (
	"context"
	"testing"

	"github.com/pierhead/pierhead/e2e/bed"
)

// kube is the cluster that the tests share, with the controller installed.
var kube *bed.Bed

func TestMain(m *testing.M) {
	bed.Main(m, bed.IngressNginx(), func(_ context.Context, b *bed.Bed) error { kube = b; return nil }, bed.Own())
}
