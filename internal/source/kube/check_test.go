package kube

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/pierhead/pierhead/internal/model"
)

// TestNeeded: what a flag names and is not there keeps a controller from starting, by an
// error that names both; what is there, or may come, does not.
func TestNeeded(t *testing.T) {
	refuse := func(c *fake.Clientset, resource string, namespace string) {
		c.PrependReactor("list", resource, func(a clienttesting.Action) (bool, runtime.Object, error) {
			return namespace == "" || a.GetNamespace() == namespace, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("no"))
		})
	}
	for name, c := range map[string]struct {
		opt    Options
		change func(*fake.Clientset)
		want   []string // parts of the error; none: it starts
	}{
		"all there":    {opt: Options{Needed: []Needed{{"publish-service", "Service", "a/app"}, {"watch-namespace", "Namespace", "a"}, {"configmap", "ConfigMap", "a/later"}, {"x", "Service", ""}}}},
		"no service":   {opt: Options{Needed: []Needed{{"publish-service", "Service", "a/none"}}}, want: []string{"--publish-service=a/none", "Service a/none does not exist"}},
		"no namespace": {opt: Options{Namespace: "b", Needed: []Needed{{"watch-namespace", "Namespace", "b"}}}, want: []string{"--watch-namespace=b", "does not exist"}},
		"may not ask": {opt: Options{Namespace: "b", Needed: []Needed{{"watch-namespace", "Namespace", "b"}}}, change: func(c *fake.Clientset) {
			c.PrependReactor("get", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no") })
		}},
		"may not read":   {opt: Options{Namespace: "b", Others: []string{"a"}, Needed: []Needed{{"configmap", "ConfigMap", "a/settings"}}}, change: func(c *fake.Clientset) { refuse(c, "configmaps", "a") }, want: []string{"--configmap=a/settings", "cannot be read"}},
		"may not read 2": {opt: Options{Namespace: "b", Others: []string{"a"}, Needed: []Needed{{"publish-service", "Service", "a/app"}}}, change: func(c *fake.Clientset) { refuse(c, "services", "a") }, want: []string{"--publish-service=a/app", "cannot be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := fake.NewClientset(class(), service("app"), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
				if c.change != nil {
					c.change(client)
				}
				c.opt.Client, c.opt.Log = client, slog.New(slog.DiscardHandler)
				s := New(c.opt)
				ctx, cancel := context.WithCancel(t.Context())
				err := s.Start(ctx)
				cancel()
				s.running.Wait()
				if len(c.want) == 0 && err != nil {
					t.Errorf("it does not start: %v", err)
				}
				for _, part := range c.want {
					if err == nil || !strings.Contains(err.Error(), part) {
						t.Errorf("the error is %v, want %q in it", err, part)
					}
				}
			})
		})
	}
}

// TestZone: where its Service asks for it, endpoints for the zone of the Pod's node go
// first; while that is not known all do, and it is told.
func TestZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := service("app")
		svc.Annotations = map[string]string{"service.kubernetes.io/topology-mode": "Auto"}
		es := slice("app-1", "app", "1", "10.0.0.1", "10.0.0.2")
		for i, zone := range []string{"here", "there"} {
			es.Endpoints[i].Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: zone}}}
		}
		pod := &corev1.Pod{ObjectMeta: meta("pod"), Spec: corev1.PodSpec{NodeName: "n1"}}
		b := start(t, Options{ZoneOf: "a/pod"}, class(), svc, es, pod, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		defer b.end()
		ups := []model.Upstream{{Name: "u", Namespace: "a", Service: "app", Port: "80"}}
		if got := b.Endpoints(ups)[0].Endpoints; len(got) != 2 {
			t.Errorf("without a zone: %v", got)
		}
		told := func() bool {
			_, problems := b.Load()
			for _, p := range problems {
				if strings.Contains(p.Reason, "topology.kubernetes.io/zone") && p.Origin.Kind == "Pod" {
					return true
				}
			}
			return false
		}
		if !told() {
			t.Error("nothing is said of the zone")
		}
		labelled := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{"topology.kubernetes.io/zone": "here"}}}
		b.must(b.client.CoreV1().Nodes().Update(t.Context(), labelled, metav1.UpdateOptions{}))
		time.Sleep(zoneAgain)
		b.settle()
		if got := b.Endpoints(ups)[0].Endpoints; len(got) != 1 || got[0].Addr().String() != "10.0.0.1" {
			t.Errorf("with a zone: %v", got)
		}
		if told() || len(b.endpoints) == 0 {
			t.Errorf("still a problem: %v; Services told of: %v", told(), b.endpoints)
		}
	})
}
