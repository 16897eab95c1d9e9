package translate

import (
	"fmt"
	"strconv"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// SliceProblems tells what of an EndpointSlice can never be an endpoint, though the API
// server takes it.
func SliceProblems(es *discoveryv1.EndpointSlice) []model.Problem {
	origin := model.Origin{Kind: "EndpointSlice", Namespace: es.Namespace, Name: es.Name}
	var r report
	if es.AddressType == discoveryv1.AddressTypeFQDN {
		r.add(model.Warning, origin, "addressType", string(es.AddressType), "names are not resolved: none of its endpoints is used",
			"write addresses, or make the Service one of type ExternalName")
	}
	for i, p := range es.Ports {
		if p.Port != nil && (*p.Port < 1 || *p.Port > 65535) {
			r.add(model.Warning, origin, fmt.Sprintf("ports[%d].port", i), strconv.Itoa(int(*p.Port)), "it is no port that can be connected to: no endpoint has it",
				"write a number from 1 to 65535, or none for that of the Service")
		}
	}
	return r.problems
}
