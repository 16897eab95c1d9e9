// Package service makes Services work in a network namespace: a proxy on every cluster IP,
// node port and load balancer address, and the cluster's DNS. It is all done in this
// process, so it needs nothing of the kernel; TCP only, and the Pod sees the node as its
// client.
package service

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// A Table knows the Services and their endpoints as the API server last told them.
type Table struct {
	services  corelisters.ServiceLister
	slices    discoverylisters.EndpointSliceLister
	changed   chan struct{} // holds one item when a Service has changed
	hasSynced []cache.InformerSynced
}

// NewTable watches Services and EndpointSlices with informers of f, which the caller
// starts afterwards.
func NewTable(f informers.SharedInformerFactory) (*Table, error) {
	services, slices := f.Core().V1().Services(), f.Discovery().V1().EndpointSlices()
	t := &Table{services: services.Lister(), slices: slices.Lister(), changed: make(chan struct{}, 1)}
	notify := func() {
		select {
		case t.changed <- struct{}{}:
		default:
		}
	}
	_, err := services.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { notify() }, UpdateFunc: func(_, _ any) { notify() }, DeleteFunc: func(any) { notify() },
	})
	t.hasSynced = []cache.InformerSynced{services.Informer().HasSynced, slices.Informer().HasSynced}
	return t, err
}

// Wait returns when the first list is there.
func (t *Table) Wait(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), t.hasSynced...) {
		return fmt.Errorf("services: %w", context.Cause(ctx))
	}
	return nil
}

// An endpoint is one address that a Service port leads to.
type endpoint struct {
	addr  netip.AddrPort
	name  string // the Pod's host name, where the slice says one
	ready bool
}

// endpoints returns the ready endpoints of a Service port, or those that still serve while
// they terminate when there is no other, as kube-proxy does. all adds what is not ready.
func (t *Table) endpoints(namespace, name, port string, all bool) ([]endpoint, error) {
	list, err := t.slices.EndpointSlices(namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: name}))
	if err != nil {
		return nil, err
	}
	var ready, leaving, rest []endpoint
	for _, slice := range list {
		for _, p := range slice.Ports {
			if p.Port == nil || p.Name != nil && *p.Name != port {
				continue
			}
			for _, e := range slice.Endpoints {
				is := func(condition *bool, otherwise bool) bool {
					return condition == nil && otherwise || condition != nil && *condition
				}
				for _, text := range e.Addresses {
					addr, err := netip.ParseAddr(text)
					if err != nil {
						continue // an FQDN slice
					}
					out := endpoint{addr: netip.AddrPortFrom(addr, uint16(*p.Port)), ready: is(e.Conditions.Ready, true)}
					if e.Hostname != nil {
						out.name = *e.Hostname
					}
					switch {
					case out.ready:
						ready = append(ready, out)
					case is(e.Conditions.Serving, false) && is(e.Conditions.Terminating, false):
						leaving = append(leaving, out)
					default:
						rest = append(rest, out)
					}
				}
			}
		}
	}
	if all {
		return append(append(ready, leaving...), rest...), nil
	}
	if len(ready) > 0 {
		return ready, nil
	}
	return leaving, nil
}

// otherProxy is the label of a Service that is not for kube-proxy.
const otherProxy = "service.kubernetes.io/service-proxy-name"

// fronts returns where the ports of a Service are to be reached, besides its DNS name:
// nowhere where another proxy than the node's is asked for.
func fronts(s *corev1.Service, node netip.Addr, balancers netip.Prefix) map[netip.AddrPort]corev1.ServicePort {
	out := map[netip.AddrPort]corev1.ServicePort{}
	if s.Labels[otherProxy] != "" {
		return out
	}
	var addrs []netip.Addr
	for _, ip := range s.Spec.ClusterIPs {
		if a, err := netip.ParseAddr(ip); err == nil { // "None" is not
			addrs = append(addrs, a)
		}
	}
	if s.Spec.LoadBalancerClass == nil {
		for _, i := range s.Status.LoadBalancer.Ingress {
			if a, err := netip.ParseAddr(i.IP); err == nil && balancers.IsValid() && balancers.Contains(a) {
				addrs = append(addrs, a)
			}
		}
	}
	for _, p := range s.Spec.Ports {
		if p.Protocol != corev1.ProtocolTCP && p.Protocol != "" {
			continue
		}
		for _, a := range addrs {
			out[netip.AddrPortFrom(a, uint16(p.Port))] = p
		}
		if p.NodePort != 0 {
			out[netip.AddrPortFrom(node, uint16(p.NodePort))] = p
		}
	}
	return out
}
