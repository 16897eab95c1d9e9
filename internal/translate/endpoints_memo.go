package translate

import (
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// EndpointMemo remembers the endpoints of each upstream and what they were made from.
// It is for one caller at a time.
type EndpointMemo struct {
	view
	ups  []model.Upstream
	sets []model.EndpointSet
	made [][]read // by upstream
}

// Endpoints returns what the function of that name returns. A set whose Service and
// slices did not change has the list that it had the last time, and when no set
// changed, all of it is the list of the last time. Nobody may change them.
func (m *EndpointMemo) Endpoints(o *Objects, cfg *model.Config) []model.EndpointSet {
	m.look(o)
	ups := cfg.Upstreams
	if m.sets != nil && model.Identical(ups, m.ups) && m.same(ofService, ofSlice, ofEndpoints) {
		return m.sets
	}
	noting := o.noting()
	sets, made := make([]model.EndpointSet, len(ups)), make([][]read, len(ups))
	changed := len(ups) != len(m.ups)
	for i, j := 0, 0; i < len(ups); i++ {
		for j < len(m.ups) && strings.Compare(m.ups[j].Name, ups[i].Name) < 0 {
			j++
		}
		if j < len(m.ups) && sameEndpoints(&m.ups[j], &ups[i]) && m.hold(m.made[j]) {
			sets[i], made[i] = m.sets[j], m.made[j]
			continue
		}
		sets[i] = noting.endpointsOf(&ups[i])
		made[i], changed = noting.noted(), true
		if j < len(m.ups) && m.ups[j].Name == ups[i].Name && slices.Equal(m.sets[j].Endpoints, sets[i].Endpoints) && slices.Equal(m.sets[j].Draining, sets[i].Draining) {
			sets[i] = m.sets[j]
		}
	}
	m.ups, m.made = ups, made
	if changed || m.sets == nil {
		m.sets = sets
	}
	return m.sets
}

// sameEndpoints tells whether two upstreams have the same endpoints whatever these are.
func sameEndpoints(a, b *model.Upstream) bool {
	return a.Name == b.Name && a.Namespace == b.Namespace && a.Service == b.Service && a.Port == b.Port &&
		a.ServiceIP == b.ServiceIP && isStream(a.Protocol) == isStream(b.Protocol) && (a.Protocol == "UDP") == (b.Protocol == "UDP") && (a.External == "") == (b.External == "")
}
