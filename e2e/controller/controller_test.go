package controller

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/e2e/bed"
)

// A new Ingress is served, without any 5xx on the way, gets its controller's address
// and an Event, and goes again.
func TestIngress(t *testing.T) {
	s := kube.Space(t)
	s.Answers(10*time.Second, s.Host("new"), 404)
	s.Kubectl(bed.Ingress("new", s.Host("new"), ""), "apply", "-f", "-")
	s.Answers(5*time.Second, s.Host("new"), 200, 500, 502, 503, 504)
	want := s.KubectlIn(kube.Installed.Namespace, "", "get", "service", kube.Installed.Service, "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	s.Prints(10*time.Second, want, "get", "ingress", "new", "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}")
	s.Prints(10*time.Second, "Normal Scheduled for sync", "get", "events", "--field-selector", "reason=Sync,involvedObject.name=new", "-o", "jsonpath={.items[*].type} {.items[*].message}")
	s.Kubectl("", "delete", "ingress", "new")
	s.Answers(5*time.Second, s.Host("new"), 404)
}

// What is wrong with an Ingress is told on it, by one Event; what belongs to another
// class is left alone.
func TestProblems(t *testing.T) {
	s := kube.Space(t)
	s.Kubectl(bed.Ingress("wrong", s.Host("wrong"), `nginx.ingress.kubernetes.io/auth-type: basic, nginx.ingress.kubernetes.io/auth-secret: nobody`), "apply", "-f", "-")
	s.Kubectl(strings.Replace(bed.Ingress("foreign", s.Host("foreign"), ""), "ingressClassName: nginx", "ingressClassName: foreign", 1), "apply", "-f", "-")
	s.Prints(10*time.Second, "1", "get", "events", "--field-selector", "reason=AnnotationParsingFailed,involvedObject.name=wrong", "-o", "jsonpath={.items[*].count}")
	text := s.Kubectl("", "get", "events", "-o", "jsonpath={.items[*].message}")
	if !strings.Contains(text, "auth-secret") || !strings.Contains(text, "nobody") {
		t.Errorf("the Events say %q", text)
	}
	if got := s.Kubectl("", "get", "events", "--field-selector", "involvedObject.name=foreign", "-o", "name"); got != "" {
		t.Errorf("an Ingress of another class has the Events %q", got)
	}
	if got := s.Kubectl("", "get", "ingress", "foreign", "-o", "jsonpath={.status.loadBalancer}"); got != "{}" {
		t.Errorf("an Ingress of another class has the status %s", got)
	}
}

// A Secret that comes after the Ingress that names it, changes and goes is followed at
// once: here the users of a route.
func TestSecret(t *testing.T) {
	s := kube.Space(t)
	s.Kubectl(bed.Ingress("shut", s.Host("shut"), "nginx.ingress.kubernetes.io/auth-type: basic, nginx.ingress.kubernetes.io/auth-secret: users"), "apply", "-f", "-")
	s.Answers(5*time.Second, s.Host("shut"), 503, 200)
	s.Kubectl("", "create", "secret", "generic", "users", "--from-literal=auth=joe:{PLAIN}secret")
	s.Answers(5*time.Second, s.Host("shut"), 401, 200)
	s.Kubectl("", "delete", "secret", "users")
	s.Answers(5*time.Second, s.Host("shut"), 503, 200)
	// A Secret that nobody names comes without content; it is fetched when one does.
	s.Kubectl("", "create", "secret", "generic", "others", "--from-literal=auth=joe:{PLAIN}secret")
	s.Kubectl("", "annotate", "ingress", "shut", "--overwrite", "nginx.ingress.kubernetes.io/auth-secret=others")
	s.Answers(5*time.Second, s.Host("shut"), 401, 200)
}

// Endpoints that go are out of the controller within 100 ms of the API's event.
func TestEndpoints(t *testing.T) {
	s := kube.Space(t)
	s.Kubectl(bed.Ingress("app", s.Host("app"), ""), "apply", "-f", "-")
	s.Answers(5*time.Second, s.Host("app"), 200)
	w, err := kube.Client().DiscoveryV1().EndpointSlices(s.Name).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	s.Kubectl("", "scale", "deployment", "echo", "--replicas=0")
	deadline := time.After(30 * time.Second)
	for ready := true; ready; {
		select {
		case e := <-w.ResultChan():
			slice, ok := e.Object.(*discoveryv1.EndpointSlice)
			ready = !ok || slices.ContainsFunc(slice.Endpoints, func(e discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready })
		case <-deadline:
			t.Fatal("the endpoints do not go")
		}
	}
	gone := time.Now()
	for {
		got, err := kube.Status(t.Context(), s.Host("app"))
		if err != nil {
			t.Fatal(err)
		}
		if got == 503 {
			break
		}
		if time.Since(gone) > 100*time.Millisecond {
			t.Fatalf("answered %d %s after the endpoints went", got, time.Since(gone))
		}
	}
	s.Answers(time.Second, s.Host("app"), 503)
}

// While the API server is away all goes on; what was changed meanwhile is live soon
// after its return.
func TestAPIServerAway(t *testing.T) {
	s := kube.Space(t)
	s.Kubectl(bed.Ingress("app", s.Host("away"), ""), "apply", "-f", "-")
	s.Answers(5*time.Second, s.Host("away"), 200)
	api := kube.Program("kube-apiserver")
	if err := api.Kill(); err != nil {
		t.Fatal(err)
	}
	transport := kube.Transport()
	defer transport.CloseIdleConnections()
	until := time.Now().Add(5 * time.Second)
	for n := 0; time.Now().Before(until); n++ {
		if got, err := bed.StatusBy(t.Context(), transport, "http://"+kube.Installed.Host()+"/", s.Host("away")); err != nil || got != http.StatusOK {
			t.Fatalf("request %d without the API server: %d %v", n, got, err)
		}
	}
	if err := api.Start(); err != nil {
		t.Fatal(err)
	}
	s.Eventually(60*time.Second, func() error {
		_, err := kube.RunKubectl(t.Context(), bed.Ingress("later", s.Host("later"), ""), "-n", s.Name, "apply", "-f", "-")
		return err
	})
	s.Answers(2*time.Second+2*time.Second, s.Host("later"), 200, 503)
}

// One Pod leads; when it ends another one takes over, and the addresses stay.
func TestLeader(t *testing.T) {
	s := kube.Space(t)
	holder := func() string {
		return s.KubectlIn(kube.Installed.Namespace, "", "get", "lease", kube.Installed.Lease, "-o", "jsonpath={.spec.holderIdentity}")
	}
	was := ""
	s.Eventually(40*time.Second, func() error {
		if was = holder(); was == "" {
			return fmt.Errorf("nobody leads")
		}
		return nil
	})
	s.Kubectl(bed.Ingress("app", s.Host("led"), ""), "apply", "-f", "-")
	s.Answers(5*time.Second, s.Host("led"), 200)
	s.KubectlIn(kube.Installed.Namespace, "", "delete", "pod", was, "--wait=true")
	s.Eventually(40*time.Second, func() error {
		if now := holder(); now == "" || now == was {
			return fmt.Errorf("%q leads", now)
		}
		return nil
	})
	if got := s.Kubectl("", "get", "ingress", "app", "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}"); got == "" {
		t.Error("the address is gone with the leader")
	}
	s.KubectlIn(kube.Installed.Namespace, "", "rollout", "status", "deployment/"+kube.Installed.Deployment, "--timeout=60s")
	// With the last Pod the addresses go.
	s.KubectlIn(kube.Installed.Namespace, "", "scale", "deployment/"+kube.Installed.Deployment, "--replicas=0")
	s.Prints(30*time.Second, "", "get", "ingress", "app", "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}")
	s.KubectlIn(kube.Installed.Namespace, "", "scale", "deployment/"+kube.Installed.Deployment, "--replicas=2")
	s.KubectlIn(kube.Installed.Namespace, "", "rollout", "status", "deployment/"+kube.Installed.Deployment, "--timeout=60s")
}
