package controller

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A space is a namespace of one test, with an application and its Service in it.
type space struct {
	*testing.T
	name string
}

// newSpace makes a namespace that goes away with the test.
func newSpace(t *testing.T) *space {
	t.Helper()
	spaces := kube.Client().CoreV1().Namespaces()
	made, err := spaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: strings.ToLower(t.Name()) + "-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := spaces.Delete(context.Background(), made.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	s := &space{t, made.Name}
	s.kubectl(app, "apply", "-f", "-")
	s.kubectl("", "rollout", "status", "deployment/echo", "--timeout=60s")
	return s
}

// app is the application of the tests.
const app = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers:
      - name: echo
        image: pierhead.dev/echo:latest
        env: [{name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  selector: {app: echo}
  ports: [{name: http, port: 80, targetPort: http}]
`

// ingress is the manifest of an Ingress for a host that leads to the application.
func ingress(name, host, notes string) string {
	return fmt.Sprintf(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %s, annotations: {%s}}
spec:
  ingressClassName: nginx
  rules:
  - host: %s
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: echo, port: {number: 80}}}}]}
`, name, notes, host)
}

// host returns a host of the test's own.
func (s *space) host(name string) string { return name + "." + s.name + ".example.com" }

// kubectl runs kubectl in the namespace and returns what it prints.
func (s *space) kubectl(input string, args ...string) string {
	s.Helper()
	return s.kubectlIn(s.name, input, args...)
}

func (s *space) kubectlIn(namespace, input string, args ...string) string {
	s.Helper()
	out, err := kube.RunKubectl(s.Context(), input, append([]string{"-n", namespace}, args...)...)
	if err != nil {
		s.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// eventually repeats check until it returns nil.
func (s *space) eventually(limit time.Duration, check func() error) {
	s.Helper()
	deadline, tick := time.NewTimer(limit), time.NewTicker(10*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			s.Fatalf("not within %s: %v", limit, err)
		}
	}
}

// prints waits until kubectl prints this.
func (s *space) prints(limit time.Duration, want string, args ...string) {
	s.Helper()
	s.eventually(limit, func() error {
		if got := s.kubectl("", args...); got != want {
			return fmt.Errorf("kubectl %s prints %q, want %q", strings.Join(args, " "), got, want)
		}
		return nil
	})
}

// front is the controller's address inside of the cluster.
const front = "http://ingress-nginx-controller.ingress-nginx.svc.cluster.local/"

// status asks the controller for a host on a connection of its own.
func status(ctx context.Context, host string) (int, error) {
	transport := kube.Transport()
	transport.DisableKeepAlives = true
	return statusBy(ctx, transport, front, host)
}

func statusBy(ctx context.Context, transport *http.Transport, url, host string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	request.Host = host
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// answers waits until a host is answered with a status by all Pods: as many times in a
// row as makes that likely. No status of never may come meanwhile.
func (s *space) answers(limit time.Duration, host string, want int, never ...int) {
	s.Helper()
	row := 0
	s.eventually(limit, func() error {
		for ; row < 10; row++ {
			got, err := status(s.Context(), host)
			for _, no := range never {
				if got == no {
					s.Fatalf("host %s is answered %d on the way to %d", host, got, want)
				}
			}
			if err != nil || got != want {
				row = 0
				return fmt.Errorf("host %s is answered %d (%v), want %d", host, got, err, want)
			}
		}
		return nil
	})
}
