package kube

import (
	"fmt"
	"log/slog"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

// many fills a Source with n Ingresses, Services and EndpointSlices.
func many(b *testing.B, n int) (s *Source, ingresses, slices *feed) {
	s = New(Options{Client: fake.NewClientset(), Log: slog.New(slog.DiscardHandler)})
	lists := map[string][]any{"IngressClass": {class()}}
	for i := range n {
		name := fmt.Sprintf("a%05d", i)
		in := ingress(name, func(in *networkingv1.Ingress) {
			in.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name = name
		})
		lists["Ingress"] = append(lists["Ingress"], in)
		lists["Service"] = append(lists["Service"], service(name))
		lists["EndpointSlice"] = append(lists["EndpointSlice"], slice(name, name, "1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"))
	}
	for _, f := range s.feeds {
		if err := f.Replace(lists[f.kind], "1"); err != nil {
			b.Fatal(err)
		}
		switch f.kind {
		case "Ingress":
			ingresses = f
		case "EndpointSlice":
			slices = f
		}
	}
	return s, ingresses, slices
}

// BenchmarkIngress is one changed Ingress among 10,000: taken, loaded and translated.
func BenchmarkIngress(b *testing.B) {
	s, ingresses, _ := many(b, 10000)
	s.Load()
	opt := translate.Options{ForeignBalancers: true, Default: &translate.Default{Flags: translate.DefaultFlags()}}
	for _, part := range []string{"load", "translate"} {
		b.Run(part, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				in := ingress("changing", func(in *networkingv1.Ingress) {
					in.ResourceVersion, in.Spec.Rules[0].Host = fmt.Sprint(i), fmt.Sprintf("h%d.example.com", i)
				})
				if err := ingresses.Update(in); err != nil {
					b.Fatal(err)
				}
				o, _ := s.Load()
				if part == "translate" {
					translate.Translate(o, opt)
				}
			}
		})
	}
}

// BenchmarkEndpoints is one changed EndpointSlice among 10,000, up to the addresses
// that its upstream has then.
func BenchmarkEndpoints(b *testing.B) {
	s, _, slices := many(b, 10000)
	ups := []model.Upstream{{Name: "u", Namespace: "a", Service: "a00042", Port: "80"}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := slices.Update(slice("a00042", "a00042", fmt.Sprint(i+2), fmt.Sprintf("10.1.%d.%d", i>>8&255, i&255))); err != nil {
			b.Fatal(err)
		}
		if len(s.Endpoints(ups)[0].Endpoints) != 1 {
			b.Fatal("the endpoint is not there")
		}
	}
}
