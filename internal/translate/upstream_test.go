package translate

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// TestSharedService: Ingresses that lead to one Service port. The first that asks for
// affinity gets it, also when an older one does not ask; each gets the protocol it asks
// for, else that of the port.
func TestSharedService(t *testing.T) {
	type asks struct{ host, affinity, mode, protocol string }
	for _, c := range []struct {
		name string
		app  string // appProtocol of the port
		asks []asks // the oldest first
		want map[string]string
	}{
		{"the same for both", "", []asks{{host: "a"}, {host: "b"}}, map[string]string{"a": "x-app-80 HTTP ", "b": "x-app-80 HTTP "}},
		{"a later one asks for affinity", "", []asks{{host: "a"}, {host: "b", affinity: "cookie"}},
			map[string]string{"a": "x-app-80 HTTP balanced", "b": "x-app-80 HTTP balanced"}},
		{"two modes", "", []asks{{host: "a", affinity: "cookie", mode: "persistent"}, {host: "b", affinity: "cookie"}},
			map[string]string{"a": "x-app-80 HTTP persistent", "b": "x-app-80 HTTP persistent"}},
		{"two protocols", "", []asks{{host: "a"}, {host: "b", protocol: "HTTPS"}, {host: "c", protocol: "GRPCS"}, {host: "d", protocol: "HTTPS"}},
			map[string]string{"a": "x-app-80 HTTP ", "b": "x-app-80@default HTTPS ", "c": "x-app-80@default@GRPCS GRPCS ", "d": "x-app-80@default HTTPS "}},
		{"affinity is of one protocol", "", []asks{{host: "a"}, {host: "b", protocol: "HTTPS", affinity: "cookie"}},
			map[string]string{"a": "x-app-80 HTTP ", "b": "x-app-80@default HTTPS balanced"}},
		{"HTTP/2 by the port", "kubernetes.io/h2c", []asks{{host: "a"}, {host: "b", protocol: "HTTPS"}, {host: "c", affinity: "cookie"}, {host: "d", protocol: "GRPC"}},
			map[string]string{"a": "x-app-80 H2C balanced", "b": "x-app-80@default HTTPS ", "c": "x-app-80 H2C balanced", "d": "x-app-80@default@GRPC GRPC "}},
		{"an Ingress says otherwise", "kubernetes.io/h2c", []asks{{host: "a"}, {host: "b", protocol: "HTTP"}}, map[string]string{"a": "x-app-80 HTTP ", "b": "x-app-80 HTTP "}},
		{"a WebSocket", "kubernetes.io/ws", []asks{{host: "a"}}, map[string]string{"a": "x-app-80 HTTP "}},
		{"a word that changes nothing", "https", []asks{{host: "a"}}, map[string]string{"a": "x-app-80 HTTP "}},
	} {
		o := NewObjects()
		port := corev1.ServicePort{Port: 80}
		if c.app != "" {
			port.AppProtocol = &c.app
		}
		must(t, o.Add(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "app"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{port}}}, Place{}))
		for i, a := range c.asks {
			notes := map[string]string{"kubernetes.io/ingress.class": "nginx"}
			for key, v := range map[string]string{"affinity": a.affinity, "affinity-mode": a.mode, "backend-protocol": a.protocol} {
				if v != "" {
					notes["nginx.ingress.kubernetes.io/"+key] = v
				}
			}
			in := &networkingv1.Ingress{
				ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: a.host, Annotations: notes, CreationTimestamp: metav1.NewTime(time.Unix(int64(i), 0))},
				Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{Host: a.host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
					Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: ptr(networkingv1.PathTypePrefix), Backend: networkingv1.IngressBackend{
						Service: &networkingv1.IngressServiceBackend{Name: "app", Port: networkingv1.ServiceBackendPort{Number: 80}}}}}}}}}},
			}
			must(t, o.Add(in, Place{}))
		}
		cfg, problems := Translate(o, Options{Default: &Default{Flags: DefaultFlags()}})
		told := slices.ContainsFunc(problems, func(p model.Problem) bool {
			return p.Field == "spec.ports[0].appProtocol" && p.Severity == model.Info && p.Origin.Kind == "Service"
		})
		if want := c.app == appProtocolH2C; told != want {
			t.Errorf("%s: that another protocol is spoken than by ingress-nginx is told: %v, want %v", c.name, told, want)
		}
		ups := map[string]string{}
		for _, u := range cfg.Upstreams {
			mode := ""
			if u.Sticky != nil {
				mode = u.Sticky.Mode
			}
			ups[u.Name] = fmt.Sprintf("%s %s %s", u.Name, u.Protocol, mode)
		}
		for _, h := range cfg.Controllers[0].Hosts {
			if want, ok := c.want[h.Name]; ok && ups[h.Routes[0].Upstream] != want {
				t.Errorf("%s: host %s leads to %q, want %q", c.name, h.Name, ups[h.Routes[0].Upstream], want)
			}
			delete(c.want, h.Name)
		}
		if len(c.want) > 0 {
			t.Errorf("%s: no hosts %v", c.name, c.want)
		}
	}
}
