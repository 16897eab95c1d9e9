package status

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// podOn is a Pod of the controller on a node.
func podOn(name, node string, ready corev1.ConditionStatus) *corev1.Pod {
	p := pod(name, "ingress")
	p.Spec.NodeName, p.Status.Phase = node, corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
	return p
}

func node(name string, addresses ...corev1.NodeAddress) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Addresses: addresses}}
}

func inside(a string) corev1.NodeAddress {
	return corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a}
}

func outside(a string) corev1.NodeAddress {
	return corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: a}
}

// cluster is four nodes with Pods on them, not all of which count.
func cluster() []runtime.Object {
	foreign := podOn("foreign", "n4", corev1.ConditionTrue)
	foreign.Labels["app"] = "other"
	return []runtime.Object{
		podOn("pod", "n1", corev1.ConditionTrue), podOn("second", "n1", corev1.ConditionTrue), podOn("third", "n2", corev1.ConditionTrue),
		podOn("unready", "n3", corev1.ConditionFalse), foreign,
		node("n1", inside("10.0.0.1"), outside("192.0.2.1"), outside("192.0.2.99")), node("n2", inside("10.0.0.2")),
		node("n3", outside("192.0.2.3")), node("n4", outside("192.0.2.4")),
		published("one"),
	}
}

// TestNodeAddresses: without addresses and Service, those of the nodes of ready Pods
// count, the external ones first; what changes there is seen at the next look.
func TestNodeAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Options{}, cluster()...)
		defer b.end()
		b.Tell([]string{"a/one"}, nil)
		if got := b.settle(); !slices.Equal(got, []string{"one=10.0.0.2 192.0.2.1"}) {
			t.Errorf("written %q", got)
		}
		if err := b.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), podOn("unready", "n3", corev1.ConditionTrue), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := b.settle(); len(got) != 1 {
			t.Errorf("written %q after another Pod is ready", got)
		}
	})
}

func TestNodeInternalAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Options{InternalIP: true}, cluster()...)
		defer b.end()
		b.Tell([]string{"a/one"}, nil)
		if got := b.settle(); len(got) != 1 || len(b.Ingress("a/one").Status.LoadBalancer.Ingress) != 2 || b.Ingress("a/one").Status.LoadBalancer.Ingress[0].IP != "10.0.0.1" {
			t.Errorf("written %q", got)
		}
	})
}

// TestNodesUnknown: where a node cannot be read the Ingresses stay as they are; it is asked
// for seldom, and they are written when it can.
func TestNodesUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Options{}, podOn("pod", "n1", corev1.ConditionTrue), published("one"))
		defer b.end()
		for range 3 {
			b.Tell([]string{"a/one"}, nil)
			if got := b.settle(); len(got) != 0 {
				t.Fatalf("written %q", got)
			}
		}
		asked := 0
		for _, a := range b.client.Actions() {
			if a.Matches("get", "nodes") {
				asked++
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times within seconds", asked)
		}
		if err := b.client.Tracker().Add(node("n1", outside("192.0.2.1"))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := b.settle(); !slices.Equal(got, []string{"one=192.0.2.1"}) {
			t.Errorf("written %q", got)
		}
	})
}

func TestNodeAddress(t *testing.T) {
	for _, c := range []struct {
		node           *corev1.Node
		external, here string
	}{
		{node("a", inside("10.0.0.1"), outside("192.0.2.1")), "192.0.2.1", "10.0.0.1"},
		{node("a", inside("10.0.0.1"), inside("10.0.0.2")), "10.0.0.1", "10.0.0.1"},
		{node("a"), "", ""},
	} {
		if got, internal := nodeAddress(c.node, false), nodeAddress(c.node, true); got != c.external || internal != c.here {
			t.Errorf("%v: %q and %q", c.node.Status.Addresses, got, internal)
		}
	}
}
