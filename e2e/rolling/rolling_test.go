package rolling

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
	"github.com/pierhead/pierhead/e2e/load"
)

// The application is rolled, again and again.
func TestApplicationRolled(t *testing.T) {
	s, host := application(t)
	rolls := bed.Number(t, "ROLLS", 3)
	begin := time.Now()
	lossless(t, under(t, host, nil, func() {
		for range rolls {
			s.Kubectl("", "rollout", "restart", "deployment/echo")
			s.Kubectl("", "rollout", "status", "deployment/echo", "--timeout=180s")
		}
	}))
	t.Logf("rolled %d times in %s", rolls, time.Since(begin).Round(time.Second))
}

// The controller is rolled behind its Service. Clients of its old Pods see their
// connections end in good order.
func TestControllerRolled(t *testing.T) {
	s, host := application(t)
	rolls := bed.Number(t, "ROLLS", 2)
	in := kube.Installed
	begin := time.Now()
	// WebSockets are closed by their clients before the limit of the drain is.
	lossless(t, under(t, host, func(o *load.Options) { o.Age, o.Posts = drainLimit/2, true }, func() {
		watched(t, in.Namespace, func() {
			for range rolls {
				s.KubectlIn(in.Namespace, "", "rollout", "restart", "deployment/"+in.Deployment)
				s.KubectlIn(in.Namespace, "", "rollout", "status", "deployment/"+in.Deployment, "--timeout=180s")
			}
			s.Eventually(120*time.Second, func() error { return onlyLiving(s.KubectlIn(in.Namespace, "", "get", "pods", "-o", "json")) })
		})
	}))
	t.Logf("rolled %d times in %s", rolls, time.Since(begin).Round(time.Second))
}

// onlyLiving returns an error while a Pod is about to end.
func onlyLiving(list string) error {
	var pods struct {
		Items []struct {
			Metadata struct{ Name, DeletionTimestamp string }
		}
	}
	if err := json.Unmarshal([]byte(list), &pods); err != nil {
		return err
	}
	for _, p := range pods.Items {
		if p.Metadata.DeletionTimestamp != "" {
			return fmt.Errorf("pod %s is there since %s", p.Metadata.Name, p.Metadata.DeletionTimestamp)
		}
	}
	return nil
}

// There are fewer endpoints, and then more again.
func TestApplicationScaled(t *testing.T) {
	s, host := application(t)
	lossless(t, under(t, host, nil, func() {
		for _, n := range []string{"1", "3"} {
			s.Kubectl("", "scale", "deployment/echo", "--replicas="+n)
			s.Kubectl("", "rollout", "status", "deployment/echo", "--timeout=120s")
			s.Eventually(60*time.Second, func() error { return onlyLiving(s.Kubectl("", "get", "pods", "-o", "json")) })
		}
	}))
}

// The process of an endpoint is killed. Requests that it had not answered are sent to
// another one; what cannot be saved are the messages of its WebSockets.
func TestEndpointKilled(t *testing.T) {
	s, host := application(t)
	r := under(t, host, nil, func() {
		for n := range 3 {
			pod := strings.Fields(s.Kubectl("", "get", "pods", "-o", "jsonpath={.items[*].metadata.name}"))[n]
			s.Kubectl("", "annotate", "pod", pod, "e2e.pierhead.dev/restart="+fmt.Sprint(n))
			s.Prints(60*time.Second, "1 true", "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}")
		}
	})
	for _, f := range r.Failures {
		if f.Kind != load.Socket {
			t.Errorf("after %s: %s: %s", f.After, f.Kind, f.Reason)
		}
	}
}
