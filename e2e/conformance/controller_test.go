package conformance

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// controller is the manifest of a further controller of one Pod, with a class of its own
// that has its name, and with the rights of the installed one.
func controller(name string, args ...string) string {
	args = append([]string{"/nginx-ingress-controller", "--controller-class=example.com/" + name, "--ingress-class=" + name, "--disable-leader-election"}, args...)
	list, err := json.Marshal(args)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: %[1]s}
spec: {controller: example.com/%[1]s}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: ingress-nginx}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      serviceAccountName: ingress-nginx
      terminationGracePeriodSeconds: 0
      containers:
      - name: controller
        image: registry.k8s.io/ingress-nginx/controller:v1.15.1
        args: %[2]s
        env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        readinessProbe: {httpGet: {path: /healthz, port: 10254}, periodSeconds: 1}
`, name, list)
}

// podOf waits until a Deployment's only Pod is ready.
func podOf(t *testing.T, namespace, deployment string) *corev1.Pod {
	t.Helper()
	var found *corev1.Pod
	within(t, 60*time.Second, func() error {
		list, err := kube.Client().CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + deployment})
		if err != nil {
			return err
		}
		for i := range list.Items {
			for _, c := range list.Items[i].Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					found = &list.Items[i]
					return nil
				}
			}
		}
		return fmt.Errorf("%s/%s has %d Pods, none ready", namespace, deployment, len(list.Items))
	})
	return found
}
