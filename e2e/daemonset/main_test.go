// Package daemonset tests that the Pods of a DaemonSet in the nodes' network take each
// other's place without a refused connection. It runs with E2E=1 and as root; see make
// e2e. ROLLS in the environment makes it longer.
package daemonset

import (
	"context"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
)

// kube is the cluster that the tests share, with the controller installed.
var kube *bed.Bed

// drainLimit is the controller's worker-shutdown-timeout.
const drainLimit = 6 * time.Second

func TestMain(m *testing.M) {
	in := bed.HostNetwork()
	bed.Main(m, in, func(ctx context.Context, b *bed.Bed) error {
		kube = b
		_, err := b.RunKubectl(ctx, "", "-n", in.Namespace, "patch", "configmap", in.Deployment, "--type=merge",
			"-p", `{"data":{"worker-shutdown-timeout":"`+drainLimit.String()+`"}}`)
		return err
	})
}
