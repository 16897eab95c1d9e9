package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// often is the time between two changes whose CPU is measured: each is a change of its
// own to the controller, which gathers those that come together.
const often = 150 * time.Millisecond

// changeOf changes object number i in one way, v being another one each time.
type changeOf func(ctx context.Context, i, v int) error

// changesOf are the changes whose CPU is measured.
func (m *measure) changesOf() map[string]changeOf {
	client := m.Client()
	return map[string]changeOf{
		"Ingress": func(ctx context.Context, i, v int) error {
			ns, name, _ := m.shape(i)
			in, err := client.NetworkingV1().Ingresses(ns).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			in.Annotations[note+"proxy-next-upstream-timeout"] = fmt.Sprint(v + 1)
			_, err = client.NetworkingV1().Ingresses(ns).Update(ctx, in, metav1.UpdateOptions{})
			return err
		},
		"EndpointSlice": func(ctx context.Context, i, v int) error {
			es := m.slice(i, v+1)
			_, err := client.DiscoveryV1().EndpointSlices(es.Namespace).Update(ctx, es, metav1.UpdateOptions{})
			return err
		},
		"Service": func(ctx context.Context, i, v int) error {
			ns, name, _ := m.shape(i)
			svc, err := client.CoreV1().Services(ns).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			svc.Spec.Ports = append(svc.Spec.Ports[:2:2], corev1.ServicePort{Name: "more", Port: int32(1000 + v%50000)})
			_, err = client.CoreV1().Services(ns).Update(ctx, svc, metav1.UpdateOptions{})
			return err
		},
	}
}

// cost measures what one change costs.
func (m *measure) cost(ctx context.Context) error {
	for _, kind := range []string{"Ingress", "EndpointSlice", "Service"} {
		if kind == "Ingress" && m.profiles != "" {
			done := make(chan error, 1)
			go func() { done <- m.profile(ctx, "profile?seconds=10", "cpu-ingress.pb.gz") }()
			defer func() { <-done }()
		}
		cpu, err := m.costOf(ctx, m.changesOf()[kind], often, 0)
		if err != nil {
			return err
		}
		if kind == "Ingress" {
			m.table.most("CPU per changed Ingress", 20, ms(cpu), "ms")
		} else {
			m.table.add("CPU per changed "+kind, "%.3g ms", ms(cpu))
		}
	}
	cpu, err := m.costOf(ctx, m.changesOf()["Ingress"], 0, 250)
	m.table.add("CPU per changed Ingress, as fast as one client changes them", "%.3g ms", ms(cpu))
	return err
}

// costOf returns the CPU time that the controller spends on one change beyond what it
// does when idle. shift makes the changes others than those before.
func (m *measure) costOf(ctx context.Context, change changeOf, pause time.Duration, shift int) (time.Duration, error) {
	before, err := m.pod.CPU()
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	for v := range m.changes {
		if err := change(ctx, v*97%m.ingresses, 1000*m.round+shift+v); err != nil {
			return 0, err
		}
		if err := sleep(ctx, pause); err != nil {
			return 0, err
		}
	}
	if err := sleep(ctx, 2*time.Second); err != nil { // Events and the like
		return 0, err
	}
	after, err := m.pod.CPU()
	if err != nil {
		return 0, err
	}
	idle := m.idleCPU * float64(time.Since(begun))
	return max(after-before-time.Duration(idle), 0) / time.Duration(m.changes), nil
}

// underLoad repeats all changes while requests run.
func (m *measure) underLoad(ctx context.Context) error {
	var names []string
	for _, host := range hosts() {
		names = append(names, host+".example.com")
	}
	steady := m.Steady(m.url(), names, m.perSecond)
	created, moved, err := m.changeAll(ctx)
	tally := steady.Stop()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("with %d requests a second: ", m.perSecond)
	m.table.spread(what+"new Ingress", 300, created)
	m.table.spread(what+"other endpoint, from the event", 50, moved)
	failed := 0
	for _, n := range tally.Failed {
		failed += n
	}
	rest := fmt.Sprintf(" of %d, the slowest took %.3g ms", tally.Sent, ms(tally.Slowest))
	if failed > 0 {
		rest += fmt.Sprint(": ", tally.Err())
	}
	m.table.none(what+"requests that were not answered 200", failed, rest)
	return nil
}

// changeAll makes new Ingresses, moves endpoints and changes objects of all kinds.
func (m *measure) changeAll(ctx context.Context) (created, moved times, err error) {
	if created, err = m.createIngresses(ctx, m.changes, "loaded"); err != nil {
		return nil, nil, err
	}
	if _, moved, err = m.move(ctx, m.changes, "loaded-moved"); err != nil {
		return nil, nil, err
	}
	for _, change := range m.changesOf() {
		for v := range m.changes {
			if err := change(ctx, v*89%m.ingresses, 1000*m.round+500+v); err != nil {
				return nil, nil, err
			}
		}
	}
	return created, moved, nil
}
