package translate

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// TestPreferZone: only where the Service wants it, every endpoint says its zones, and one
// of ours is ready.
func TestPreferZone(t *testing.T) {
	no, yes := false, true
	auto := map[string]string{corev1.AnnotationTopologyMode: "Auto"}
	close := corev1.ServiceTrafficDistributionPreferClose
	for name, c := range map[string]struct {
		zone  string
		notes map[string]string
		dist  *string
		zones []string // of the endpoints; "": none, "-x": of x and terminating
		want  string   // endpoints, and those that drain
	}{
		"no zone":        {"", auto, nil, []string{"a", "b"}, "[10.0.0.1:80 10.0.0.2:80] []"},
		"not asked for":  {"a", nil, nil, []string{"a", "b"}, "[10.0.0.1:80 10.0.0.2:80] []"},
		"by annotation":  {"a", auto, nil, []string{"a", "b", "a"}, "[10.0.0.1:80 10.0.0.3:80] []"},
		"by the field":   {"b", nil, &close, []string{"a", "b"}, "[10.0.0.2:80] []"},
		"one is without": {"a", auto, nil, []string{"a", ""}, "[10.0.0.1:80 10.0.0.2:80] []"},
		"none of ours":   {"c", auto, nil, []string{"a", "b"}, "[10.0.0.1:80 10.0.0.2:80] []"},
		"none is ready":  {"a", auto, nil, []string{"-a", "b"}, "[10.0.0.2:80] [10.0.0.1:80]"},
		"one drains":     {"a", auto, nil, []string{"a", "b", "-"}, "[10.0.0.1:80] [10.0.0.3:80]"},
	} {
		o := NewObjects()
		svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "s", Annotations: c.notes}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}, TrafficDistribution: c.dist}}
		port := int32(80)
		es := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "s-1", Labels: map[string]string{discoveryv1.LabelServiceName: "s"}}, Ports: []discoveryv1.EndpointPort{{Port: &port}}}
		for i, zone := range c.zones {
			e := discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.0.0.%d", i+1)}}
			if zone != "" && zone[0] == '-' {
				zone, e.Conditions = zone[1:], discoveryv1.EndpointConditions{Ready: &no, Serving: &yes, Terminating: &yes}
			}
			if zone != "" {
				e.Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: zone}}}
			}
			es.Endpoints = append(es.Endpoints, e)
		}
		if o.Add(svc, Place{}) != nil || o.Add(es, Place{}) != nil {
			t.Fatal("not added")
		}
		o.PreferZone(c.zone)
		set := Endpoints(o, &model.Config{Upstreams: []model.Upstream{{Name: "u", Namespace: "n", Service: "s", Port: "80"}}})[0]
		if got := fmt.Sprint(set.Endpoints, set.Draining); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
