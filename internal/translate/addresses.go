package translate

import (
	"fmt"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// checkAddresses tells the owners of endpoints whose address is none, which the API
// server would refuse.
func (m *Memo) checkAddresses(o *Objects) {
	if m.same(ofSlice, ofEndpoints) {
		return
	}
	r := &report{}
	o.checkAddresses(r)
	m.addresses = m.telling.tell(m.addresses, r.told())
}

func (o *Objects) checkAddresses(r *report) {
	for _, e := range o.slices {
		if e.value.AddressType == discoveryv1.AddressTypeFQDN {
			r.add(model.Warning, e.at("addressType"), "addressType", "FQDN", "endpoints that are names are left out, as in ingress-nginx", "")
			continue
		}
		if e.value.Labels[discoveryv1.LabelServiceName] == "" {
			r.add(model.Warning, e.origin, "metadata.labels["+discoveryv1.LabelServiceName+"]", "",
				"the slice belongs to no Service and has no effect", "add the label with the name of the Service")
		}
		for i, ep := range e.value.Endpoints {
			for j, a := range ep.Addresses {
				if !isAddress(a) {
					noAddress(r, a, e.at, fmt.Sprintf("endpoints[%d].addresses[%d]", i, j))
				}
			}
		}
	}
	for _, e := range o.endpoints {
		for i, s := range e.value.Subsets {
			for j, a := range s.Addresses {
				if !isAddress(a.IP) {
					noAddress(r, a.IP, e.at, fmt.Sprintf("subsets[%d].addresses[%d].ip", i, j))
				}
			}
		}
	}
}

func noAddress(r *report, text string, at func(string) model.Origin, field string) {
	r.add(model.Error, at(field), field, text, "the endpoint is left out; Kubernetes would answer: must be a valid IP address", "write an address")
}
