package translate

import (
	"slices"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
)

func TestSliceProblems(t *testing.T) {
	es := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4}
	for _, n := range []int32{0, 1, 65535, 65536, -1} {
		es.Ports = append(es.Ports, discoveryv1.EndpointPort{Port: &n})
	}
	es.Ports = append(es.Ports, discoveryv1.EndpointPort{}) // any
	var fields []string
	for _, p := range SliceProblems(es) {
		fields = append(fields, p.Field+"="+p.Value)
	}
	if want := []string{"ports[0].port=0", "ports[3].port=65536", "ports[4].port=-1"}; !slices.Equal(fields, want) {
		t.Errorf("the problems are about %q, want %q", fields, want)
	}
	es = &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeFQDN}
	if ps := SliceProblems(es); len(ps) != 1 || ps[0].Field != "addressType" {
		t.Errorf("names give %v", ps)
	}
}
