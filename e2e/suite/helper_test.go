package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pierhead/pierhead/e2e/bed"
)

// A space is a namespace of one test.
type space struct {
	*testing.T
	name string
}

// newSpace makes a namespace that goes away with the test.
func newSpace(t *testing.T) *space {
	t.Helper()
	name := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	spaces := kube.Client().CoreV1().Namespaces()
	if _, err := spaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := spaces.Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return &space{t, name}
}

// kubectl runs kubectl in the namespace and returns what it prints.
func (s *space) kubectl(input string, args ...string) string {
	s.Helper()
	out, err := kube.RunKubectl(s.Context(), input, append([]string{"-n", s.name}, args...)...)
	if err != nil {
		s.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// pods returns the names and addresses of the Pods that match the selector and are not
// being deleted.
func (s *space) pods(selector string) []corev1.Pod {
	s.Helper()
	list, err := kube.Client().CoreV1().Pods(s.name).List(s.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		s.Fatal(err)
	}
	var out []corev1.Pod
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			out = append(out, p)
		}
	}
	return out
}

// annotate sets an annotation of a Pod.
func (s *space) annotate(pod, key, value string) {
	s.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, key, value)
	_, err := kube.Client().CoreV1().Pods(s.name).Patch(s.Context(), pod, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		s.Fatal(err)
	}
}

// endpoints returns how many endpoints of the Service are ready and how many there are.
func (s *space) endpoints(service string) (ready, all int) {
	s.Helper()
	list, err := kube.Client().DiscoveryV1().EndpointSlices(s.name).List(s.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		s.Fatal(err)
	}
	for _, slice := range list.Items {
		for _, e := range slice.Endpoints {
			if all++; e.Conditions.Ready != nil && *e.Conditions.Ready {
				ready++
			}
		}
	}
	return ready, all
}

// eventually repeats check until it returns nil.
func (s *space) eventually(limit time.Duration, check func() error) {
	s.Helper()
	(&bed.Space{TB: s.T}).Eventually(limit, check)
}

// answer is what the echo application says.
type answer struct {
	Pod, Namespace, Client, Proto, Host, URI string
}

// ask sends a request from inside the cluster's network on a connection of its own.
func ask(ctx context.Context, url string) (answer, error) {
	text, err := get(ctx, url)
	if err != nil {
		return answer{}, err
	}
	var a answer
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return a, fmt.Errorf("%s: %w: %s", url, err, text)
	}
	return a, nil
}

// get returns the body of an answer 200.
func get(ctx context.Context, url string) (string, error) {
	transport := kube.Transport()
	transport.DisableKeepAlives = true
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: transport, Timeout: 10 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", url, response.Status)
	}
	return string(text), nil
}

// echo is the manifest of a Deployment of the echo application with its Service; more goes
// into the Pod's spec and args into its command line.
func echo(replicas int, more, args string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: %d
  selector: {matchLabels: {app: echo}}
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      terminationGracePeriodSeconds: 10
      %s
      containers:
      - name: echo
        image: pierhead.dev/echo:latest
        args: [%s]
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
`, replicas, more, args)
}
