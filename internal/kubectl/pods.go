package kubectl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/internal/translate"
)

// usualSelector finds the controllers that the charts install.
const usualSelector = "app.kubernetes.io/component=controller,app.kubernetes.io/name in (pierhead,ingress-nginx)"

// usualNamespaces are looked through when nobody says which one.
var usualNamespaces = []string{"pierhead", "ingress-nginx"}

// controllerPod is a Pod that runs a controller.
type controllerPod struct {
	*corev1.Pod
	container string
	port      int // of health check and API
}

// controllerPods finds the Pods that the flags name, by name.
func (k *call) controllerPods(ctx context.Context) ([]controllerPod, error) {
	places := []string{k.cluster.namespace}
	if !k.chosen {
		places = append(places, usualNamespaces...)
	}
	if k.pod != "" {
		return k.onePod(ctx, places)
	}
	selector := k.selector
	if selector == "" && k.deployment == "" {
		selector = usualSelector
	}
	var first error
	for _, ns := range places {
		list, err := k.client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		if pods := k.controllersOf(list.Items); len(pods) > 0 {
			k.cluster.namespace = ns
			return pods, nil
		}
	}
	if first != nil {
		return nil, first
	}
	return nil, k.noPods(places, selector)
}

// onePod finds the Pod that --pod names.
func (k *call) onePod(ctx context.Context, places []string) ([]controllerPod, error) {
	name := strings.TrimPrefix(k.pod, "pod/")
	for _, ns := range places {
		p, err := k.client.CoreV1().Pods(ns).Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			k.cluster.namespace = ns
			return []controllerPod{k.asController(p)}, nil
		}
		if !apierrors.IsNotFound(err) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("there is no pod %q in %s: give its namespace with -n", name, inNamespaces(places))
}

// inNamespaces names namespaces.
func inNamespaces(places []string) string {
	if len(places) == 1 {
		return "namespace " + places[0]
	}
	return "namespaces " + strings.Join(places, ", ")
}

// noPods says where Pods were looked for, and how to look elsewhere.
func (k *call) noPods(places []string, selector string) error {
	what := fmt.Sprintf("with the labels %q", selector)
	switch {
	case k.deployment != "" && selector == "":
		what = fmt.Sprintf("of the Deployment or DaemonSet %q", k.deployment)
	case k.deployment != "":
		what += fmt.Sprintf(" of the Deployment or DaemonSet %q", k.deployment)
	}
	return fmt.Errorf("no running controller %s in %s: say where it is with -n, and which it is with --deployment, -l or --pod", what, inNamespaces(places))
}

// controllersOf picks the Pods that run and belong to the Deployment that is asked for.
func (k *call) controllersOf(items []corev1.Pod) (pods []controllerPod) {
	for i := range items {
		p := &items[i]
		if p.Status.Phase != corev1.PodRunning && p.Status.Phase != corev1.PodPending {
			continue
		}
		if k.deployment == "" || ownedBy(p, strings.TrimPrefix(strings.TrimPrefix(k.deployment, "deployment/"), "daemonset/")) {
			pods = append(pods, k.asController(p))
		}
	}
	slices.SortFunc(pods, func(a, b controllerPod) int { return strings.Compare(a.Name, b.Name) })
	return pods
}

// ownedBy tells whether a Pod is of a Deployment or DaemonSet. Its ReplicaSet has the
// Deployment's name and the hash of the Pod's template.
func ownedBy(p *corev1.Pod, name string) bool {
	for _, o := range p.OwnerReferences {
		if o.Name == name || o.Kind == "ReplicaSet" && o.Name == name+"-"+p.Labels["pod-template-hash"] {
			return true
		}
	}
	return false
}

// asController finds the container that is the controller, and its port.
func (k *call) asController(p *corev1.Pod) controllerPod {
	pod := controllerPod{Pod: p, container: k.container}
	n, words := translate.ControllerIn(&p.Spec)
	if n < 0 {
		n = max(0, slices.IndexFunc(p.Spec.Containers, func(c corev1.Container) bool { return c.Name == "controller" }))
	}
	if pod.container == "" && n < len(p.Spec.Containers) {
		pod.container = p.Spec.Containers[n].Name
	}
	pod.port = translate.ReadProcessFlags(words, nil).Int("healthz-port")
	return pod
}

// ready tells whether a Pod is ready.
func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil
		}
	}
	return false
}
