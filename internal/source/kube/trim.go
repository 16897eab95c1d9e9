package kube

import (
	"maps"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Object is any Kubernetes object.
type Object interface {
	runtime.Object
	metav1.Object
}

// appliedNote is where kubectl keeps a second copy of an object.
const appliedNote = "kubectl.kubernetes.io/last-applied-configuration"

// trim takes from an object what nothing here reads. The object must be nobody else's.
// Of Secrets and ConfigMaps whose content is not wanted the name is left.
func trim(obj Object, wanted bool) {
	obj.SetManagedFields(nil)
	obj.SetOwnerReferences(nil)
	obj.SetFinalizers(nil)
	if notes := obj.GetAnnotations(); notes[appliedNote] != "" {
		delete(notes, appliedNote)
	}
	switch v := obj.(type) {
	case *discoveryv1.EndpointSlice:
		service := v.Labels[discoveryv1.LabelServiceName]
		v.Annotations, v.Labels = nil, nil
		if service != "" {
			v.Labels = map[string]string{discoveryv1.LabelServiceName: service}
		}
		for i := range v.Endpoints {
			e := &v.Endpoints[i]
			e.TargetRef, e.NodeName, e.Hostname, e.DeprecatedTopology = nil, nil, nil, nil
		}
	case *networkingv1.Ingress:
		v.Labels = nil
	case *corev1.Namespace:
		v.Annotations, v.Spec, v.Status = nil, corev1.NamespaceSpec{}, corev1.NamespaceStatus{}
	case *corev1.Secret:
		v.Annotations, v.Labels = nil, nil
		if !wanted {
			v.Data, v.StringData, v.Annotations = nil, nil, emptied
		}
	case *corev1.ConfigMap:
		v.Annotations, v.Labels, v.BinaryData = nil, nil, nil
		if !wanted {
			v.Data, v.Annotations = nil, emptied
		}
	}
}

// emptied marks an object whose content was left out. All share the one map.
var emptied = map[string]string{"pierhead.dev/content": "left out"}

// isEmptied tells whether the content of an object was left out.
func isEmptied(obj Object) bool {
	return obj.GetAnnotations()["pierhead.dev/content"] != "" && (len(obj.GetAnnotations()) == 1)
}

// same tells whether two versions of an object mean the same to translation.
func same(a, b Object) bool {
	if !maps.Equal(a.GetAnnotations(), b.GetAnnotations()) || !maps.Equal(a.GetLabels(), b.GetLabels()) || a.GetUID() != b.GetUID() {
		return false
	}
	switch x := a.(type) {
	case *networkingv1.Ingress:
		return reflect.DeepEqual(x.Spec, b.(*networkingv1.Ingress).Spec)
	case *networkingv1.IngressClass:
		return reflect.DeepEqual(x.Spec, b.(*networkingv1.IngressClass).Spec)
	case *corev1.Service:
		return reflect.DeepEqual(x.Spec, b.(*corev1.Service).Spec)
	case *discoveryv1.EndpointSlice:
		y := b.(*discoveryv1.EndpointSlice)
		return x.AddressType == y.AddressType && reflect.DeepEqual(x.Ports, y.Ports) && slices.EqualFunc(x.Endpoints, y.Endpoints, sameEndpoint)
	case *corev1.Secret:
		y := b.(*corev1.Secret)
		return x.Type == y.Type && maps.EqualFunc(x.Data, y.Data, slices.Equal)
	case *corev1.ConfigMap:
		return maps.Equal(x.Data, b.(*corev1.ConfigMap).Data)
	case *corev1.Namespace:
		return true
	}
	return false
}

func sameEndpoint(a, b discoveryv1.Endpoint) bool {
	return slices.Equal(a.Addresses, b.Addresses) && reflect.DeepEqual(a.Conditions, b.Conditions) && reflect.DeepEqual(a.Zone, b.Zone) && reflect.DeepEqual(a.Hints, b.Hints)
}

// sameStatus tells whether two versions of an object are published alike.
func sameStatus(a, b Object) bool {
	switch x := a.(type) {
	case *networkingv1.Ingress:
		return reflect.DeepEqual(x.Status, b.(*networkingv1.Ingress).Status)
	case *corev1.Service:
		return reflect.DeepEqual(x.Status.LoadBalancer, b.(*corev1.Service).Status.LoadBalancer)
	}
	return true
}
