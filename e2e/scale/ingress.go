package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/e2e/bed"
)

const (
	slowest = 20 * time.Second      // that anything may take
	poll    = time.Millisecond      // between two questions
	rest    = 50 * time.Millisecond // between two changes, so that each is one
)

// url is where the controller's Pod answers.
func (m *measure) url() string { return "http://" + m.pod.IP + "/" }

// newIngress is one more Ingress, for the application.
func newIngress(name string) *networkingv1.Ingress {
	return &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: live, Name: name, Annotations: map[string]string{note + "proxy-body-size": "8m"}},
		Spec: networkingv1.IngressSpec{IngressClassName: new("nginx"), Rules: []networkingv1.IngressRule{{
			Host: name + ".example.com", IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
				Paths: []networkingv1.HTTPIngressPath{httpPath("/", networkingv1.PathTypePrefix, "echo")},
			}},
		}}},
	}
}

// served waits for the first 200 of a host and fails at a 5xx before it.
func (m *measure) served(ctx context.Context, transport *http.Transport, host string) error {
	ctx, cancel := context.WithTimeout(ctx, slowest)
	defer cancel()
	for {
		status, err := bed.StatusBy(ctx, transport, m.url(), host)
		switch {
		case err != nil:
			return err
		case status == http.StatusOK:
			return nil
		case status != http.StatusNotFound:
			return fmt.Errorf("host %s is answered %d before it is served", host, status)
		}
		if err := sleep(ctx, poll); err != nil {
			return fmt.Errorf("host %s is not served: %w", host, err)
		}
	}
}

// createIngresses makes one Ingress after the other and returns how long each took from
// the request to the API server to the first 200.
func (m *measure) createIngresses(ctx context.Context, n int, prefix string) (ts times, err error) {
	transport := m.Transport()
	defer transport.CloseIdleConnections()
	for i := range n {
		in := newIngress(fmt.Sprintf("%s-%d", m.named(prefix), i))
		begun := time.Now()
		if _, err := m.Client().NetworkingV1().Ingresses(live).Create(ctx, in, metav1.CreateOptions{}); err != nil {
			return nil, err
		}
		if err := m.served(ctx, transport, in.Name+".example.com"); err != nil {
			return nil, err
		}
		ts = append(ts, time.Since(begun))
		if err := sleep(ctx, rest); err != nil {
			return nil, err
		}
	}
	return ts, nil
}

func (m *measure) newIngresses(ctx context.Context) error {
	ts, err := m.createIngresses(ctx, m.changes, "new")
	m.table.spread("new Ingress: request to the API server to first 200", 300, ts)
	return err
}

// byKubectl measures what a person sees, the start of kubectl included.
func (m *measure) byKubectl(ctx context.Context) error {
	transport := m.Transport()
	defer transport.CloseIdleConnections()
	var ts, served times
	for i := range max(m.changes/5, 1) {
		host := fmt.Sprintf("%s-%d", m.named("kubectl"), i)
		begun := time.Now()
		if _, err := m.RunKubectl(ctx, bed.Ingress(host, host+".example.com", ""), "-n", live, "apply", "-f", "-"); err != nil {
			return err
		}
		applied := time.Now()
		if err := m.served(ctx, transport, host+".example.com"); err != nil {
			return err
		}
		ts, served = append(ts, time.Since(begun)), append(served, time.Since(applied))
	}
	m.table.spread("new Ingress: start of kubectl apply to first 200", 0, ts)
	m.table.add("of that, after the end of kubectl, median", "%.3g ms", ms(served.at(0.5)))
	return nil
}
