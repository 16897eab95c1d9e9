package kube

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// makeFeeds returns a feed for everything that is read.
func (s *Source) makeFeeds() []*feed {
	c := s.opt.Client
	classes := newFeed(s, "IngressClass", "", &networkingv1.IngressClass{}, c.NetworkingV1().IngressClasses())
	classes.needless = true // then the annotation alone says whose an Ingress is
	fs := []*feed{classes, newFeed(s, "Ingress", s.opt.Namespace, &networkingv1.Ingress{}, c.NetworkingV1().Ingresses(s.opt.Namespace))}
	if s.opt.Namespaces {
		fs = append(fs, newFeed(s, "Namespace", "", &corev1.Namespace{}, c.CoreV1().Namespaces()))
	}
	for i, ns := range s.scopes() {
		more := []*feed{
			newFeed(s, "Service", ns, &corev1.Service{}, c.CoreV1().Services(ns)),
			newFeed(s, "EndpointSlice", ns, &discoveryv1.EndpointSlice{}, c.DiscoveryV1().EndpointSlices(ns)),
			newFeed(s, "ConfigMap", ns, &corev1.ConfigMap{}, c.CoreV1().ConfigMaps(ns)),
			newFeed(s, "Secret", ns, &corev1.Secret{}, c.CoreV1().Secrets(ns)),
		}
		for _, f := range more {
			f.needless = i > 0
		}
		fs = append(fs, more...)
	}
	return fs
}

// scopes lists the namespaces of what Ingresses and flags refer to; "" is all.
func (s *Source) scopes() []string {
	scopes := []string{s.opt.Namespace}
	if s.opt.Namespace == "" {
		return scopes
	}
	for _, ns := range s.opt.Others {
		if ns != "" && !slices.Contains(scopes, ns) {
			scopes = append(scopes, ns)
		}
	}
	return scopes
}
