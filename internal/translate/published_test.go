package translate

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestPublished: in a cluster the Service of the controller is told what nobody does of
// what it asks for; other Services are not ours to speak of.
func TestPublished(t *testing.T) {
	service := func(name string, notes map[string]string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Annotations: notes}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}
	}
	for _, c := range []struct {
		name    string
		service string
		notes   map[string]string
		config  map[string]string
		cluster bool
		want    []string
	}{
		{"names of the mapper", "ours", map[string]string{mapperNote: "a.example.com"}, nil, true, []string{
			`Service a/ours: metadata.annotations[domainName] = "a.example.com": Pierhead writes no DNS records in a cluster`,
			"external-dns.alpha.kubernetes.io/hostname: a.example.com"}},
		{"names of external-dns", "ours", map[string]string{externalDNSNotes[1]: "a.example.com"}, nil, true, nil},
		{"PROXY protocol nobody expects", "ours", map[string]string{proxyNote: "*"}, nil, true, []string{"metadata.annotations[" + proxyNote + "]", `use-proxy-protocol: "true"`}},
		{"PROXY protocol", "ours", map[string]string{proxyNote: "*"}, map[string]string{"use-proxy-protocol": "true"}, true, nil},
		{"another Service", "other", map[string]string{mapperNote: "a.example.com", proxyNote: "*"}, nil, true, nil},
		{"in a folder records are written", "ours", map[string]string{mapperNote: "a.example.com"}, nil, false, nil},
	} {
		o := NewObjects()
		must(t, o.Add(service("ours", nil), Place{}))
		must(t, o.Add(service(c.service, c.notes), Place{}))
		must(t, o.Add(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "settings"}, Data: c.config}, Place{}))
		f := DefaultFlags()
		f.PublishService, f.ConfigMap = "a/ours", "a/settings"
		_, problems := Translate(o, Options{ForeignBalancers: c.cluster, Default: &Default{Flags: f}})
		var told []string
		for _, p := range problems {
			if p.Origin.Name == c.service && (p.Field == noteField(mapperNote) || p.Field == noteField(proxyNote)) && c.cluster {
				told = append(told, p.String())
			}
			if !c.cluster && strings.Contains(p.Reason, "in a cluster") {
				told = append(told, p.String())
			}
		}
		if text := strings.Join(told, "\n"); (text == "") != (c.want == nil) {
			t.Errorf("%s: told %q, want %q", c.name, told, c.want)
		} else {
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%s: told %q, want %q in it", c.name, told, want)
				}
			}
		}
	}
}
