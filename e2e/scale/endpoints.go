package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// mover is a Service whose endpoint is now one Pod of the application, now the other.
type mover struct {
	name      string
	m         *measure
	pods      []corev1.Pod
	turn      int
	slice     *discoveryv1.EndpointSlice
	events    watch.Interface
	transport *http.Transport
}

// newMover makes the Service, its slice and an Ingress, and waits until it is served.
func (m *measure) newMover(ctx context.Context, name string) (*mover, error) {
	name = m.named(name)
	list, err := m.Client().CoreV1().Pods(live).List(ctx, metav1.ListOptions{LabelSelector: "app=echo"})
	if err != nil || len(list.Items) != 2 {
		return nil, fmt.Errorf("%d Pods of the application, want 2: %w", len(list.Items), err)
	}
	v := &mover{name: name, m: m, pods: list.Items, transport: m.Transport()}
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}
	if _, err := m.Client().CoreV1().Services(live).Create(ctx, svc, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080))}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{v.pods[0].Status.PodIP}}},
	}
	if v.slice, err = m.Client().DiscoveryV1().EndpointSlices(live).Create(ctx, slice, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	in := newIngress(name)
	in.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name = name
	if _, err := m.Client().NetworkingV1().Ingresses(live).Create(ctx, in, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	if err := m.served(ctx, v.transport, name+".example.com"); err != nil {
		return nil, err
	}
	v.events, err = m.Client().DiscoveryV1().EndpointSlices(live).Watch(ctx, metav1.ListOptions{
		FieldSelector: "metadata.name=" + name, ResourceVersion: v.slice.ResourceVersion,
	})
	return v, err
}

// move changes the endpoint and returns how long it took until the other Pod answered:
// from the request to the API server, and from its event as we see it.
func (v *mover) move(ctx context.Context) (sinceWrite, sinceEvent time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, slowest)
	defer cancel()
	v.turn = 1 - v.turn
	to := v.pods[v.turn]
	v.slice.Endpoints[0].Addresses = []string{to.Status.PodIP}
	seen := make(chan time.Time, 1)
	begun := time.Now()
	written := make(chan error, 1)
	go func() {
		slice, err := v.m.Client().DiscoveryV1().EndpointSlices(live).Update(ctx, v.slice, metav1.UpdateOptions{})
		v.slice = slice
		written <- err
	}()
	go func() {
		for e := range v.events.ResultChan() {
			if es, ok := e.Object.(*discoveryv1.EndpointSlice); ok && es.Endpoints[0].Addresses[0] == to.Status.PodIP {
				break
			}
		}
		seen <- time.Now()
	}()
	for {
		pod, err := v.answers(ctx)
		if err != nil {
			return 0, 0, err
		}
		if pod == to.Name {
			break
		}
		if err := sleep(ctx, poll); err != nil {
			return 0, 0, fmt.Errorf("pod %s is not asked: %w", to.Name, err)
		}
	}
	now := time.Now()
	return now.Sub(begun), max(now.Sub(<-seen), 0), <-written
}

// answers returns which Pod answers.
func (v *mover) answers(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.m.url(), nil)
	if err != nil {
		return "", err
	}
	request.Host = v.name + ".example.com"
	response, err := v.transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("answered %s", response.Status)
	}
	return response.Header.Get("X-Pod"), nil
}

// move changes endpoints n times.
func (m *measure) move(ctx context.Context, n int, name string) (sinceWrite, sinceEvent times, err error) {
	v, err := m.newMover(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	defer v.transport.CloseIdleConnections()
	defer v.events.Stop()
	for range n {
		w, e, err := v.move(ctx)
		if err != nil {
			return nil, nil, err
		}
		sinceWrite, sinceEvent = append(sinceWrite, w), append(sinceEvent, e)
		if err := sleep(ctx, rest); err != nil {
			return nil, nil, err
		}
	}
	return sinceWrite, sinceEvent, nil
}

func (m *measure) otherEndpoints(ctx context.Context) error {
	sinceWrite, sinceEvent, err := m.move(ctx, m.changes, "moved")
	m.table.spread("other endpoint: the API server's event to first answer", 50, sinceEvent)
	m.table.spread("other endpoint: request to the API server to first answer", 0, sinceWrite)
	return err
}
