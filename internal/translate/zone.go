package translate

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// PreferZone has endpoints for a zone go first, from the next time they are asked for,
// where their Service wants that; "": no zone.
func (o *Objects) PreferZone(zone string) {
	o.zone = zone
	o.touch("EndpointSlice", id{})
}

// wantsZones tells whether a Service asks that clients of a zone stay there.
func wantsZones(svc *corev1.Service) bool {
	for _, note := range []string{corev1.AnnotationTopologyMode, corev1.DeprecatedAnnotationTopologyAwareHints} {
		if strings.EqualFold(svc.Annotations[note], "auto") {
			return true
		}
	}
	d := svc.Spec.TrafficDistribution
	return d != nil && (*d == corev1.ServiceTrafficDistributionPreferClose || *d == corev1.ServiceTrafficDistributionPreferSameZone)
}

// inZone returns the slices of a Service without those ready endpoints that are for other
// zones. Where one is for no zone in particular, or none is for ours, all are kept. Those
// that are not ready have no hints: they may drain.
func (o *Objects) inZone(svc *corev1.Service, own []*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	if o.zone == "" || !wantsZones(svc) {
		return own
	}
	var near []*discoveryv1.EndpointSlice
	some := false
	for _, s := range own {
		part := *s
		part.Endpoints = nil
		for _, e := range s.Endpoints {
			ready := e.Conditions.Ready == nil || *e.Conditions.Ready
			if ready && (e.Hints == nil || len(e.Hints.ForZones) == 0) {
				return own
			}
			ours := ready && slices.Contains(e.Hints.ForZones, discoveryv1.ForZone{Name: o.zone})
			if some = some || ours; ours || !ready {
				part.Endpoints = append(part.Endpoints, e)
			}
		}
		near = append(near, &part)
	}
	if !some {
		return own
	}
	return near
}
