package status

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nodesFor is how long the addresses of nodes are taken as known: every change of an
// Ingress needs them, and they hardly ever change.
const nodesFor = 10 * time.Second

// nodes is the addresses of the nodes of a controller's Pods, as they were last asked for.
type nodes struct {
	asked time.Time
	list  []Address
	ok    bool
	told  string // the error that was logged
}

// nodeAddresses returns the addresses of the nodes on which Pods of the controller are
// ready; false: they are not known.
func (p *Publisher) nodeAddresses(ctx context.Context) ([]Address, bool) {
	n := &p.nodes
	if !n.asked.IsZero() && time.Since(n.asked) < nodesFor {
		return n.list, n.ok
	}
	list, err := p.askNodes(ctx)
	if err != nil {
		if n.told != err.Error() && ctx.Err() == nil {
			n.told = err.Error()
			p.opt.Log.Warn("the Ingresses keep their addresses: those of the nodes are not known; let the ServiceAccount list Pods in its namespace and get nodes, or give --publish-service", "error", err)
		}
		n.asked, n.ok = time.Now(), false
		return nil, false
	}
	n.asked, n.list, n.ok, n.told = time.Now(), list, true, ""
	return list, true
}

// askNodes asks the API server for them.
func (p *Publisher) askNodes(ctx context.Context) ([]Address, error) {
	pods, err := siblings(ctx, p.opt.Client, p.opt.Pod)
	if err != nil {
		return nil, err
	}
	var texts []string
	asked := map[string]bool{"": true}
	for i := range pods {
		name := pods[i].Spec.NodeName
		if asked[name] || !isReady(&pods[i]) {
			continue
		}
		asked[name] = true
		node, err := p.opt.Client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		texts = append(texts, nodeAddress(node, p.opt.InternalIP))
	}
	return Addresses(texts), nil
}

// isReady tells whether a Pod runs and is ready.
func isReady(p *corev1.Pod) bool {
	if p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil {
		return false
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// nodeAddress returns the external address of a node, or the internal one where that is
// wanted or there is no other; "" when it has neither.
func nodeAddress(n *corev1.Node, internal bool) string {
	found := map[corev1.NodeAddressType]string{}
	for _, a := range n.Status.Addresses {
		if found[a.Type] == "" {
			found[a.Type] = a.Address
		}
	}
	if external := found[corev1.NodeExternalIP]; external != "" && !internal {
		return external
	}
	return found[corev1.NodeInternalIP]
}
