package rolling

import (
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// watched tells, when f is over, when Pods of a namespace began to end and how long it
// took until the EndpointSlices said so: what a Service's clients depend on.
func watched(t *testing.T, namespace string, f func()) {
	t.Helper()
	pods, err := kube.Client().CoreV1().Pods(namespace).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	slices, err := kube.Client().DiscoveryV1().EndpointSlices(namespace).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	ending, ready, unlisted := map[string]time.Duration{}, map[string]time.Duration{}, map[string]time.Duration{}
	var readers sync.WaitGroup
	var mu sync.Mutex
	note := func(m map[string]time.Duration, pod string) {
		if _, ok := m[pod]; !ok {
			m[pod] = time.Since(begin)
		}
	}
	read := func(w watch.Interface, f func(any)) {
		for e := range w.ResultChan() {
			mu.Lock()
			f(e.Object)
			mu.Unlock()
		}
	}
	readers.Go(func() {
		read(pods, func(o any) {
			p, ok := o.(*corev1.Pod)
			if !ok {
				return
			}
			for _, c := range p.Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					note(ready, p.Name)
				}
			}
			if p.DeletionTimestamp != nil {
				note(ending, p.Name)
			}
		})
	})
	readers.Go(func() {
		read(slices, func(o any) {
			s, ok := o.(*discoveryv1.EndpointSlice)
			if !ok {
				return
			}
			for _, e := range s.Endpoints {
				if e.TargetRef != nil && e.Conditions.Ready != nil && !*e.Conditions.Ready && e.Conditions.Terminating != nil && *e.Conditions.Terminating {
					note(unlisted, e.TargetRef.Name)
				}
			}
		})
	})
	f()
	pods.Stop()
	slices.Stop()
	readers.Wait()
	for pod, at := range ending {
		text := "never"
		if out, ok := unlisted[pod]; ok {
			text = fmt.Sprintf("%.3f s later", (out - at).Seconds())
		}
		t.Logf("pod %s: ready at %.3f s, told to end at %.3f s, out of its EndpointSlice %s", pod, ready[pod].Seconds(), at.Seconds(), text)
	}
}
