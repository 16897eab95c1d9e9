package status

import (
	"context"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
)

// revisionLabels differ between the Pods of one controller.
var revisionLabels = []string{"controller-revision-hash", "pod-template-generation", "pod-template-hash"}

// siblings lists the Pods of the same controller, the own one among them.
func siblings(ctx context.Context, client kubernetes.Interface, pod string) ([]corev1.Pod, error) {
	ns, name, _ := strings.Cut(pod, "/")
	api := client.CoreV1().Pods(ns)
	own, err := api.List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()})
	if err != nil {
		return nil, err
	}
	set := labels.Set{}
	for i := range own.Items {
		if own.Items[i].Name == name {
			maps.Copy(set, own.Items[i].Labels)
		}
	}
	if len(set) == 0 {
		return nil, fmt.Errorf("pod %s: there is none of this name with labels", pod)
	}
	for _, k := range revisionLabels {
		delete(set, k)
	}
	all, err := api.List(ctx, metav1.ListOptions{LabelSelector: set.String()})
	if err != nil {
		return nil, err
	}
	return all.Items, nil
}

// otherPods tells whether other Pods of the same controller run that are not about to
// end.
func otherPods(ctx context.Context, client kubernetes.Interface, pod string) (bool, error) {
	all, err := siblings(ctx, client, pod)
	if err != nil {
		return false, err
	}
	_, name, _ := strings.Cut(pod, "/")
	for i := range all {
		p := &all[i]
		if p.Name != name && p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			return true, nil
		}
	}
	return false, nil
}
