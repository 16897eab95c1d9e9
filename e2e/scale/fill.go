package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/pierhead/pierhead/e2e/bed"
)

// live is the namespace of what is really asked for.
const live = "live"

// fill puts all objects into the cluster, and the application.
func (m *measure) fill(ctx context.Context) error {
	begun := time.Now()
	if err := m.fillNamespaces(ctx); err != nil {
		return err
	}
	if m.published {
		front, err := m.Client().CoreV1().Services(m.Installed.Namespace).Get(ctx, m.Installed.Service, metav1.GetOptions{})
		if err != nil || len(front.Status.LoadBalancer.Ingress) == 0 {
			return fmt.Errorf("service %s has no address: %w", m.Installed.Service, err)
		}
		m.address = front.Status.LoadBalancer.Ingress[0].IP
	}
	store, now := m.newStore(), time.Now()
	const atATime = 30
	if err := each(ctx, (m.ingresses+atATime-1)/atATime, "Services, endpoints and Ingresses", func(batch int) error {
		var objects []stored
		for i := batch * atATime; i < min((batch+1)*atATime, m.ingresses); i++ {
			objects = append(objects, m.storedAt(i, now)...)
		}
		return store.put(ctx, objects)
	}); err != nil {
		return err
	}
	if err := m.visible(ctx); err != nil {
		return err
	}
	m.table.about = append(m.table.about, fmt.Sprintf("%d Ingresses in %d namespaces, %d Services, %d endpoints, %d certificates; filled in %s.",
		m.ingresses, m.namespaces, m.ingresses, 5*m.ingresses, (m.namespaces+4)/5, time.Since(begun).Round(time.Second)))
	return m.application(ctx)
}

// storedAt is everything of number i as the API server would have stored it.
func (m *measure) storedAt(i int, now time.Time) []stored {
	svc, es, in := m.service(i), m.slice(i, 0), m.ingress(i)
	svc.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}
	svc.Spec.Type, svc.Spec.SessionAffinity = corev1.ServiceTypeClusterIP, corev1.ServiceAffinityNone
	svc.Spec.ClusterIP, svc.Spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone} // none that could be given to others
	svc.Spec.IPFamilies, svc.Spec.IPFamilyPolicy = []corev1.IPFamily{corev1.IPv4Protocol}, new(corev1.IPFamilyPolicySingleStack)
	svc.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyCluster)
	for p := range svc.Spec.Ports {
		svc.Spec.Ports[p].Protocol, svc.Spec.Ports[p].TargetPort = corev1.ProtocolTCP, intstr.FromInt32(*es.Ports[p].Port)
	}
	es.TypeMeta = metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"}
	for p := range es.Ports {
		es.Ports[p].Protocol = new(corev1.ProtocolTCP)
	}
	if m.address != "" {
		in.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: m.address}}
	}
	in.TypeMeta = metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"}
	at := in.Namespace + "/" + in.Name
	all := []stored{{"services/specs/" + at, svc}, {"endpointslices/" + at, es}, {"ingress/" + at, in}}
	for _, s := range all {
		meta := s.object.(metav1.Object)
		meta.SetUID(uuid.NewUUID())
		meta.SetCreationTimestamp(metav1.NewTime(now))
		meta.SetGeneration(1)
	}
	return all
}

// visible waits until the API server has seen all of it.
func (m *measure) visible(ctx context.Context) error {
	return until(ctx, 5*time.Minute, func() error {
		list, err := m.Client().NetworkingV1().Ingresses("").List(ctx, metav1.ListOptions{})
		if err == nil && len(list.Items) != m.ingresses {
			err = errors.Join(fmt.Errorf("the API server has %d Ingresses", len(list.Items)), sleep(ctx, time.Second))
		}
		return err
	})
}

// fillNamespaces makes the namespaces and their Secrets.
func (m *measure) fillNamespaces(ctx context.Context) error {
	k, err := newKeys()
	if err != nil {
		return err
	}
	client, store, now := m.Client(), m.newStore(), time.Now()
	return each(ctx, m.namespaces, "namespaces", func(i int) error {
		name, _, _ := m.shape(i)
		if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			return err
		}
		secrets, err := k.secrets(i, name)
		if err != nil {
			return err
		}
		var objects []stored
		for _, s := range secrets {
			s.TypeMeta, s.UID, s.CreationTimestamp = metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, uuid.NewUUID(), metav1.NewTime(now)
			s.Type = cmp.Or(s.Type, corev1.SecretTypeOpaque)
			objects = append(objects, stored{"secrets/" + name + "/" + s.Name, s})
		}
		return store.put(ctx, objects)
	})
}

// application starts the Pods that are asked for, with some hosts that lead to them.
func (m *measure) application(ctx context.Context) error {
	if _, err := m.RunKubectl(ctx, "", "create", "namespace", live); err != nil {
		return err
	}
	manifest := bed.App
	for _, host := range hosts() {
		manifest += "---" + bed.Ingress(host, host+".example.com", "")
	}
	if _, err := m.RunKubectl(ctx, manifest, "-n", live, "apply", "-f", "-"); err != nil {
		return err
	}
	_, err := m.RunKubectl(ctx, "", "-n", live, "rollout", "status", "deployment/echo", "--timeout=120s")
	return err
}

// hosts are the names of Ingresses that lead to the application all the time.
func hosts() (names []string) {
	for i := range 20 {
		names = append(names, fmt.Sprintf("steady-%d", i))
	}
	return names
}

// each calls do for 0 to n-1, some at a time.
func each(ctx context.Context, n int, what string, do func(int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					cancel(fmt.Errorf("%s: number %d: %w", what, i, err))
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
