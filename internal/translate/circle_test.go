package translate

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestCircle: external names that are Services of the cluster are followed; whoever
// comes to a place where he was leads nowhere.
func TestCircle(t *testing.T) {
	o := NewObjects()
	for name, external := range map[string]string{
		"tick": "tock.a.svc.cluster.local", "tock": "Tick.a.svc.", "into": "tick.a.svc.example.org", "self": "self.a.svc",
		"out": "api.example.com", "far": "out.a.svc.cluster.local", "plain": "", "near": "plain.a.svc.cluster.local", "lost": "missing.a.svc.cluster.local",
		"other": "self.a.pod.cluster.local",
	} {
		svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}}
		if external != "" {
			svc.Spec.Type, svc.Spec.ExternalName = corev1.ServiceTypeExternalName, external
		}
		if err := o.Add(svc, Place{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"tick": "a/tick, a/tock, a/tick", "tock": "a/tock, a/tick, a/tock", "into": "a/into, a/tick, a/tock, a/tick", "self": "a/self, a/self",
		"out": "", "far": "", "plain": "", "near": "", "lost": "", "other": "",
	} {
		got := o.circle(o.services[id{"a", name}])
		if _, way, _ := strings.Cut(got, ": "); way != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
