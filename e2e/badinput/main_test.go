// Package badinput gives Pierhead in a real cluster what it should never get, through a
// real API server: huge, broken, contradictory and vanishing objects. Each must be told
// to its owner, harm nobody else, and leave nothing behind. It runs with E2E=1 and as
// root; see make e2e.
package badinput

import (
	"context"
	"testing"

	"github.com/pierhead/pierhead/e2e/bed"
)

// kube is the cluster that the tests share, with the controller installed.
var kube *bed.Bed

func TestMain(m *testing.M) {
	bed.Main(m, bed.IngressNginx(), func(_ context.Context, b *bed.Bed) error { kube = b; return nil })
}
