package bed

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Space is a namespace of one test, with an application and its Service in it.
type Space struct {
	testing.TB
	Bed  *Bed
	Name string
}

// Space makes a namespace with the application App, which goes away with the test.
func (b *Bed) Space(t testing.TB) *Space {
	t.Helper()
	s := b.EmptySpace(t)
	s.Kubectl(App, "apply", "-f", "-")
	s.Kubectl("", "rollout", "status", "deployment/echo", "--timeout=60s")
	return s
}

// EmptySpace makes a namespace that goes away with the test.
func (b *Bed) EmptySpace(t testing.TB) *Space {
	t.Helper()
	spaces := b.Client().CoreV1().Namespaces()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	made, err := spaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: name + "-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := spaces.Delete(context.Background(), made.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return &Space{t, b, made.Name}
}

// App is the application of the tests.
const App = `
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

// Ingress is the manifest of an Ingress for a host that leads to the application, with
// annotations in YAML's flow style.
func Ingress(name, host, annotations string) string {
	return fmt.Sprintf(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %s, annotations: {%s}}
spec:
  ingressClassName: nginx
  rules:
  - host: %s
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: echo, port: {number: 80}}}}]}
`, name, annotations, host)
}

// Host returns a host of the test's own.
func (s *Space) Host(name string) string { return name + "." + s.Name + ".example.com" }

// Kubectl runs kubectl in the namespace and returns what it prints.
func (s *Space) Kubectl(input string, args ...string) string {
	s.Helper()
	return s.KubectlIn(s.Name, input, args...)
}

// KubectlIn runs kubectl in another namespace.
func (s *Space) KubectlIn(namespace, input string, args ...string) string {
	s.Helper()
	out, err := s.Bed.RunKubectl(s.Context(), input, append([]string{"-n", namespace}, args...)...)
	if err != nil {
		s.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// Eventually repeats check until it returns nil.
func (s *Space) Eventually(limit time.Duration, check func() error) {
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

// Prints waits until kubectl prints this.
func (s *Space) Prints(limit time.Duration, want string, args ...string) {
	s.Helper()
	s.Eventually(limit, func() error {
		if got := s.Kubectl("", args...); got != want {
			return fmt.Errorf("kubectl %s prints %q, want %q", strings.Join(args, " "), got, want)
		}
		return nil
	})
}
