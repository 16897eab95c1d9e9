package translate

import (
	appsv1 "k8s.io/api/apps/v1"
	appsv1beta1 "k8s.io/api/apps/v1beta1"
	appsv1beta2 "k8s.io/api/apps/v1beta2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	networkingv1 "k8s.io/api/networking/v1"
	networkingv1beta1 "k8s.io/api/networking/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// readable are the kinds that are read, by apiVersion and kind.
var readable = map[[2]string]func() runtime.Object{
	{"v1", "Service"}:                             func() runtime.Object { return new(corev1.Service) },
	{"v1", "Endpoints"}:                           func() runtime.Object { return new(corev1.Endpoints) }, //nolint:staticcheck // manifests of old hold them
	{"v1", "Secret"}:                              func() runtime.Object { return new(corev1.Secret) },
	{"v1", "ConfigMap"}:                           func() runtime.Object { return new(corev1.ConfigMap) },
	{"v1", "Namespace"}:                           func() runtime.Object { return new(corev1.Namespace) },
	{"discovery.k8s.io/v1", "EndpointSlice"}:      func() runtime.Object { return new(discoveryv1.EndpointSlice) },
	{"extensions/v1beta1", "Ingress"}:             func() runtime.Object { return new(extensionsv1beta1.Ingress) },
	{"networking.k8s.io/v1beta1", "Ingress"}:      func() runtime.Object { return new(networkingv1beta1.Ingress) },
	{"networking.k8s.io/v1", "Ingress"}:           func() runtime.Object { return new(networkingv1.Ingress) },
	{"networking.k8s.io/v1beta1", "IngressClass"}: func() runtime.Object { return new(networkingv1beta1.IngressClass) },
	{"networking.k8s.io/v1", "IngressClass"}:      func() runtime.Object { return new(networkingv1.IngressClass) },
	{"apps/v1", "Deployment"}:                     func() runtime.Object { return new(appsv1.Deployment) },
	{"apps/v1beta2", "Deployment"}:                func() runtime.Object { return new(appsv1beta2.Deployment) },
	{"apps/v1beta1", "Deployment"}:                func() runtime.Object { return new(appsv1beta1.Deployment) },
	{"extensions/v1beta1", "Deployment"}:          func() runtime.Object { return new(extensionsv1beta1.Deployment) },
	{"apps/v1", "DaemonSet"}:                      func() runtime.Object { return new(appsv1.DaemonSet) },
	{"apps/v1beta2", "DaemonSet"}:                 func() runtime.Object { return new(appsv1beta2.DaemonSet) },
	{"extensions/v1beta1", "DaemonSet"}:           func() runtime.Object { return new(extensionsv1beta1.DaemonSet) },
}

// New returns an empty object of that version and kind, or nil when the kind is not
// read.
func New(apiVersion, kind string) runtime.Object {
	if f := readable[[2]string{apiVersion, kind}]; f != nil {
		return f()
	}
	return nil
}

// Versions lists the versions in which a kind is read, the newest first. It is empty
// for kinds that are not read.
func Versions(kind string) []string {
	var vs []string
	for _, v := range []string{
		"v1", "apps/v1", "networking.k8s.io/v1", "discovery.k8s.io/v1",
		"networking.k8s.io/v1beta1", "apps/v1beta2", "apps/v1beta1", "extensions/v1beta1",
	} {
		if readable[[2]string{v, kind}] != nil {
			vs = append(vs, v)
		}
	}
	return vs
}

// Namespaced tells whether objects of a kind that is read belong to a namespace.
func Namespaced(kind string) bool { return kind != "IngressClass" && kind != "Namespace" }

// Current returns an object in the version that translation reads. Who adds an object
// again and again converts it once: a Memo knows objects by their identity.
func Current(obj runtime.Object) runtime.Object {
	if in := ingressOf(obj); in != nil {
		return in
	}
	if class := classOf(obj); class != nil {
		return class
	}
	return obj
}

// ingressOf returns the Ingress of any version in the form of networking.k8s.io/v1,
// or nil.
func ingressOf(obj runtime.Object) *networkingv1.Ingress {
	switch v := obj.(type) {
	case *networkingv1.Ingress:
		return v
	case *networkingv1beta1.Ingress:
		return betaIngress(v)
	case *extensionsv1beta1.Ingress:
		return betaIngress(fromExtensions(v))
	}
	return nil
}

// fromExtensions rewrites the first Ingress version as the second; they differ in
// their package only.
func fromExtensions(v *extensionsv1beta1.Ingress) *networkingv1beta1.Ingress {
	out := &networkingv1beta1.Ingress{TypeMeta: v.TypeMeta, ObjectMeta: v.ObjectMeta}
	out.Spec.IngressClassName = v.Spec.IngressClassName
	out.Spec.Backend = extensionsBackend(v.Spec.Backend)
	for _, t := range v.Spec.TLS {
		out.Spec.TLS = append(out.Spec.TLS, networkingv1beta1.IngressTLS{Hosts: t.Hosts, SecretName: t.SecretName})
	}
	for _, rule := range v.Spec.Rules {
		r := networkingv1beta1.IngressRule{Host: rule.Host}
		if rule.HTTP != nil {
			r.HTTP = &networkingv1beta1.HTTPIngressRuleValue{}
			for _, p := range rule.HTTP.Paths {
				r.HTTP.Paths = append(r.HTTP.Paths, networkingv1beta1.HTTPIngressPath{
					Path: p.Path, PathType: (*networkingv1beta1.PathType)(p.PathType), Backend: *extensionsBackend(&p.Backend),
				})
			}
		}
		out.Spec.Rules = append(out.Spec.Rules, r)
	}
	return out
}

func extensionsBackend(b *extensionsv1beta1.IngressBackend) *networkingv1beta1.IngressBackend {
	if b == nil {
		return nil
	}
	return &networkingv1beta1.IngressBackend{ServiceName: b.ServiceName, ServicePort: b.ServicePort, Resource: b.Resource}
}

// betaIngress rewrites the second Ingress version as the last.
func betaIngress(v *networkingv1beta1.Ingress) *networkingv1.Ingress {
	out := &networkingv1.Ingress{TypeMeta: v.TypeMeta, ObjectMeta: v.ObjectMeta}
	out.Spec.IngressClassName = v.Spec.IngressClassName
	if v.Spec.Backend != nil {
		b := betaBackend(v.Spec.Backend)
		out.Spec.DefaultBackend = &b
	}
	for _, t := range v.Spec.TLS {
		out.Spec.TLS = append(out.Spec.TLS, networkingv1.IngressTLS{Hosts: t.Hosts, SecretName: t.SecretName})
	}
	for _, rule := range v.Spec.Rules {
		r := networkingv1.IngressRule{Host: rule.Host}
		if rule.HTTP != nil {
			r.HTTP = &networkingv1.HTTPIngressRuleValue{}
			for _, p := range rule.HTTP.Paths {
				r.HTTP.Paths = append(r.HTTP.Paths, networkingv1.HTTPIngressPath{
					Path: p.Path, PathType: (*networkingv1.PathType)(p.PathType), Backend: betaBackend(&p.Backend),
				})
			}
		}
		out.Spec.Rules = append(out.Spec.Rules, r)
	}
	return out
}

func betaBackend(b *networkingv1beta1.IngressBackend) networkingv1.IngressBackend {
	out := networkingv1.IngressBackend{Resource: b.Resource}
	if b.ServiceName != "" {
		out.Service = &networkingv1.IngressServiceBackend{Name: b.ServiceName}
		if b.ServicePort.Type == intstr.Int {
			out.Service.Port.Number = b.ServicePort.IntVal
		} else {
			out.Service.Port.Name = b.ServicePort.StrVal
		}
	}
	return out
}

// classOf returns the IngressClass of any version, or nil.
func classOf(obj runtime.Object) *networkingv1.IngressClass {
	switch v := obj.(type) {
	case *networkingv1.IngressClass:
		return v
	case *networkingv1beta1.IngressClass:
		return &networkingv1.IngressClass{
			ObjectMeta: v.ObjectMeta, Spec: networkingv1.IngressClassSpec{Controller: v.Spec.Controller},
		}
	}
	return nil
}

// workloadOf returns the kind and the pod template of a Deployment or DaemonSet of
// any version, as a Deployment, or nil.
func workloadOf(obj runtime.Object) (string, *appsv1.Deployment) {
	one := int32(1)
	deployment := func(kind string, meta metav1.ObjectMeta, replicas *int32, template corev1.PodTemplateSpec) (string, *appsv1.Deployment) {
		if replicas == nil {
			replicas = &one
		}
		return kind, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: replicas, Template: template}}
	}
	switch v := obj.(type) {
	case *appsv1.Deployment:
		return deployment("Deployment", v.ObjectMeta, v.Spec.Replicas, v.Spec.Template)
	case *appsv1beta2.Deployment:
		return deployment("Deployment", v.ObjectMeta, v.Spec.Replicas, v.Spec.Template)
	case *appsv1beta1.Deployment:
		return deployment("Deployment", v.ObjectMeta, v.Spec.Replicas, v.Spec.Template)
	case *extensionsv1beta1.Deployment:
		return deployment("Deployment", v.ObjectMeta, v.Spec.Replicas, v.Spec.Template)
	case *appsv1.DaemonSet:
		return deployment("DaemonSet", v.ObjectMeta, nil, v.Spec.Template)
	case *appsv1beta2.DaemonSet:
		return deployment("DaemonSet", v.ObjectMeta, nil, v.Spec.Template)
	case *extensionsv1beta1.DaemonSet:
		return deployment("DaemonSet", v.ObjectMeta, nil, v.Spec.Template)
	}
	return "", nil
}
