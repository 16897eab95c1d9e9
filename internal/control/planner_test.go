package control

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/lb"
	"github.com/pierhead/pierhead/internal/translate"
)

// TestPlannerIsMake: whatever changes, a planner that goes on makes the plan that a
// fresh one makes, and what is explained of it is the same.
func TestPlannerIsMake(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 11))
		m := &many{tb: t, objects: translate.NewObjects(), n: 5}
		rules := Rules{Translate: translate.Options{Standalone: true, Default: &translate.Default{Flags: translate.DefaultFlags()}}}
		rules.Balancers = lb.Rules{External: lb.DefaultExternal, Internal: lb.DefaultInternal}
		rules.Translate.Default.Flags.ConfigMap = "front/settings"
		rules.Translate.Default.Flags.WatchWithoutClass = true
		plans := newPlanner(rules)
		var had lb.State
		for step := range 60 {
			i := r.IntN(6)
			switch r.IntN(6) {
			case 0:
				m.ingress(i, step)
			case 1:
				m.service(i, step)
			case 2:
				m.balanced(i, r)
			case 3:
				m.slice(i, step)
			case 4:
				m.settings(i, step)
			case 5:
				meta := m.meta(i)
				m.objects.Remove([]string{"Ingress", "Service", "EndpointSlice"}[r.IntN(3)], meta.Namespace, meta.Name)
			}
			got, want := plans.make(m.objects, nil, had), Make(m.objects, nil, rules, had)
			if a, b := planText(t, got), planText(t, want); a != b {
				t.Fatalf("seed %d, step %d: the planner says\n%s\nwant\n%s", seed, step, a, b)
			}
			had = got.Allocations
		}
	}
}

// balanced makes Service i one of type LoadBalancer that asks for a name.
func (m *many) balanced(i int, r *rand.Rand) {
	svc := &corev1.Service{ObjectMeta: m.meta(i)}
	svc.Spec.Type, svc.Spec.Ports = corev1.ServiceTypeLoadBalancer, []corev1.ServicePort{{Port: int32(80 + r.IntN(2))}}
	svc.Annotations = map[string]string{"external-dns.alpha.kubernetes.io/hostname": fmt.Sprintf("lb-%d.example.com", r.IntN(3))}
	m.put(svc)
}

// planText prints a plan and what it does with some requests.
func planText(t *testing.T, p *Plan) string {
	t.Helper()
	all := []any{p.Config, p.Endpoints, p.Allocations, p.Zones, p.Problems}
	for i := range 6 {
		u := &url.URL{Scheme: "http", Host: fmt.Sprintf("app-%d.example.com", i), Path: "/x"}
		all = append(all, Explain(p, "", &admin.Request{URL: u}))
	}
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
