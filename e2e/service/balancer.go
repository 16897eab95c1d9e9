package service

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
)

// A Balancer gives addresses of a prefix to Services of type LoadBalancer that name no
// class, as the controller of a cloud would: of its lower half, or of its upper half when
// AWS would make an internal one. The Proxy then listens on them.
type Balancer struct {
	Table  *Table
	Client kubernetes.Interface
	Prefix netip.Prefix
	Log    *slog.Logger
}

// Run looks at the Services every 100 ms until ctx is done.
func (b *Balancer) Run(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := b.apply(ctx); err != nil && ctx.Err() == nil {
				b.Log.Error("load balancers", "error", err)
			}
		}
	}
}

// apply writes the status of each Service that lacks its address or has one too many.
func (b *Balancer) apply(ctx context.Context) error {
	services, err := b.Table.services.List(labels.Everything())
	if err != nil {
		return err
	}
	used := map[netip.Addr]bool{}
	for _, s := range services {
		if a, ok := b.given(s); ok && wants(s) {
			used[a] = true
		}
	}
	for _, s := range services {
		_, has := b.given(s)
		if wants(s) == has {
			continue
		}
		s = s.DeepCopy()
		s.Status.LoadBalancer = corev1.LoadBalancerStatus{}
		if wants(s) {
			a, err := b.choose(s, used)
			if err != nil {
				return fmt.Errorf("service %s/%s: %w", s.Namespace, s.Name, err)
			}
			used[a] = true
			mode := corev1.LoadBalancerIPModeVIP
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: a.String(), IPMode: &mode}}
		}
		_, err := b.Client.CoreV1().Services(s.Namespace).UpdateStatus(ctx, s, metav1.UpdateOptions{})
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// wants says whether the Service is one that gets an address here.
func wants(s *corev1.Service) bool {
	return s.Spec.Type == corev1.ServiceTypeLoadBalancer && s.Spec.LoadBalancerClass == nil && s.DeletionTimestamp == nil
}

// given returns the address of the prefix that the Service has.
func (b *Balancer) given(s *corev1.Service) (netip.Addr, bool) {
	for _, i := range s.Status.LoadBalancer.Ingress {
		if a, err := netip.ParseAddr(i.IP); err == nil && b.Prefix.Contains(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// choose returns the address that the Service asks for, or the first free one.
func (b *Balancer) choose(s *corev1.Service, used map[netip.Addr]bool) (netip.Addr, error) {
	if text := s.Spec.LoadBalancerIP; text != "" {
		a, err := netip.ParseAddr(text)
		if err != nil || !b.Prefix.Contains(a) || used[a] {
			return a, fmt.Errorf("loadBalancerIP %q: must be a free address of %s", text, b.Prefix)
		}
		return a, nil
	}
	half := b.half(isInternal(s))
	for a := half.Addr().Next(); half.Contains(a); a = a.Next() {
		if !used[a] {
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("prefix %s: no address is free", half)
}

// half returns the lower or the upper half of the prefix.
func (b *Balancer) half(upper bool) netip.Prefix {
	p := b.Prefix.Masked()
	if p.IsSingleIP() {
		return p
	}
	first := p.Addr().AsSlice()
	if upper {
		first[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	}
	a, _ := netip.AddrFromSlice(first)
	return netip.PrefixFrom(a, p.Bits()+1)
}
