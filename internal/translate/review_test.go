package translate

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pierhead/pierhead/internal/model"
)

// random makes objects that have much to do with each other.
type random struct {
	*rand.Rand
	dense bool // few hosts
}

func pick[T any](r random, all ...T) T { return all[r.IntN(len(all))] }

func (r random) some(odds int, f func()) {
	if r.IntN(odds) == 0 {
		f()
	}
}

func (r random) host() string {
	if r.dense {
		return pick(r, "a.example.com", "b.example.com")
	}
	return pick(r, "a.example.com", "b.example.com", "c.example.com", "www.a.example.com", "A.example.com", "*.example.com", "", "no host")
}

func (r random) backend() networkingv1.IngressBackend {
	b := networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
		Name: pick(r, "one", "two", "far", "missing"), Port: networkingv1.ServiceBackendPort{Number: pick[int32](r, 80, 81)},
	}}
	r.some(12, func() {
		// Names of upstreams that another one may be given, and those of streams.
		b.Service.Port = networkingv1.ServiceBackendPort{Name: pick(r, "80@default", "80@x/internal", "80@tcp", "81@default@HTTPS")}
	})
	r.some(12, func() {
		b = networkingv1.IngressBackend{Resource: &corev1.TypedLocalObjectReference{Kind: "Bucket", Name: "b"}}
	})
	return b
}

func (r random) ingress(name string) *networkingv1.Ingress {
	in := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{
		Namespace: pick(r, "x", "y"), Name: name, Annotations: map[string]string{},
		CreationTimestamp: metav1.NewTime(time.Unix(int64(1000+r.IntN(5)), 0)),
	}}
	notes := map[string][]string{
		"server-alias": {"b.example.com", "alias.example.com", "alias.example.com, other.example.com", "~regex", ""},
		"use-regex":    {"true"}, "rewrite-target": {"/$1", "/"}, "canary": {"true", "false"}, "auth-type": {"basic", "nonsense"},
		"auth-secret": {"users", "pair", "missing"}, "limit-rps": {"5", "many"}, "from-to-www-redirect": {"true"}, "upstream-vhost": {"a b"},
		"default-backend": {"one"}, "ssl-redirct": {"true"}, "enable-websockets": {"true"}, "load-balance": {"ewma"}, "affinity": {"cookie"}, "affinity-mode": {"persistent"}, "ssl-passthrough": {"true"}, "backend-protocol": {"HTTPS", "GRPC", "HTTP"},
	}
	for _, key := range slices.Sorted(maps.Keys(notes)) {
		r.some(8, func() {
			in.Annotations[pick(r, "pierhead.dev", "nginx.ingress.kubernetes.io", "ingress.kubernetes.io", "nginx.ingress.kubernetes.io", "other.example.com")+"/"+key] = pick(r, notes[key]...)
		})
	}
	r.some(3, func() {
		in.Annotations["nginx.ingress.kubernetes.io/server-alias"] = pick(r, "b.example.com", "alias.example.com", "other.example.com")
	})
	switch r.IntN(10) {
	case 0:
		in.Spec.IngressClassName = ptr("foreign")
	case 1:
		in.Annotations[classAnnotation] = pick(r, "nginx", "internal", "foreign")
	case 2:
	case 3:
		in.Spec.IngressClassName = ptr("internal")
	default:
		in.Spec.IngressClassName = ptr("nginx")
	}
	r.some(6, func() { b := r.backend(); in.Spec.DefaultBackend = &b })
	for range r.IntN(4) {
		rule := networkingv1.IngressRule{Host: r.host()}
		r.some(6, func() { in.Spec.Rules = append(in.Spec.Rules, rule) })
		rule.HTTP = &networkingv1.HTTPIngressRuleValue{}
		for range 1 + r.IntN(2) {
			p := networkingv1.HTTPIngressPath{Path: pick(r, "/", "", "/a", "/b", "relative"), Backend: r.backend()}
			p.PathType = pick(r, ptr(networkingv1.PathTypePrefix), ptr(networkingv1.PathTypeExact), ptr(networkingv1.PathTypeImplementationSpecific), nil)
			rule.HTTP.Paths = append(rule.HTTP.Paths, p)
		}
		in.Spec.Rules = append(in.Spec.Rules, rule)
	}
	r.some(3, func() {
		for range 1 + r.IntN(2) {
			t := networkingv1.IngressTLS{SecretName: pick(r, "pair", "garbage", "missing", "")}
			for range r.IntN(3) {
				t.Hosts = append(t.Hosts, r.host())
			}
			in.Spec.TLS = append(in.Spec.TLS, t)
		}
	})
	return in
}

func ptr[T any](v T) *T { return &v }

// controllersOf are the options and workloads of one controller by default or of two
// among the objects.
func (r random) controllersOf() (Options, []runtime.Object) {
	opt := Options{ForeignBalancers: true, Default: &Default{Flags: DefaultFlags()}}
	opt.Default.Flags.ConfigMap = "x/settings"
	r.some(4, func() { opt.Default.Flags.DisableCatchAll = true })
	r.some(4, func() { opt.Default.Flags.WatchNamespace = "x" })
	r.some(4, func() { opt.Default.Flags.WatchWithoutClass = true })
	r.some(6, func() { opt.Default.Flags.AnnotationsPrefix = "other.example.com" })
	if r.IntN(4) != 0 {
		return opt, nil
	}
	var all []runtime.Object
	for name, args := range map[string][]string{
		"external": {"--watch-ingress-without-class"}, "internal": {"--ingress-class=internal", "--controller-class=example.com/internal"},
	} {
		all = append(all, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: name}, Spec: appsv1.DeploymentSpec{
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Args: append([]string{"nginx-ingress-controller"}, args...)}}}},
		}})
	}
	return opt, all
}

// others are the objects that Ingresses refer to.
func others() []runtime.Object {
	all := []runtime.Object{
		&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "nginx"}, Spec: networkingv1.IngressClassSpec{Controller: "k8s.io/ingress-nginx"}},
		&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "internal"}, Spec: networkingv1.IngressClassSpec{Controller: "example.com/internal"}},
		&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "foreign"}, Spec: networkingv1.IngressClassSpec{Controller: "example.com/foreign"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "settings"}, Data: map[string]string{"ssl-redirect": "maybe"}},
	}
	for _, ns := range []string{"x", "y"} {
		meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }
		ports := []corev1.ServicePort{{Port: 80}}
		all = append(all,
			&corev1.Service{ObjectMeta: meta("one"), Spec: corev1.ServiceSpec{Ports: ports}},
			&corev1.Service{ObjectMeta: meta("two"), Spec: corev1.ServiceSpec{Ports: append(ports, corev1.ServicePort{Name: "udp", Port: 81, Protocol: "UDP"})}},
			&corev1.Service{ObjectMeta: meta("far"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"}},
			&corev1.Secret{ObjectMeta: meta("users"), Data: map[string][]byte{"auth": []byte("u:{PLAIN}p\n")}},
			&corev1.Secret{ObjectMeta: meta("garbage"), Data: map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("y")}},
			&corev1.Secret{ObjectMeta: meta("pair"), Data: map[string][]byte{"tls.crt": pairCert, "tls.key": pairKey}},
		)
	}
	return all
}

// TestReviewSaysWhatTranslateSays: for any objects, what a Review says of an Ingress
// that is new or changed is what Translate says of it once it is stored.
func TestReviewSaysWhatTranslateSays(t *testing.T) {
	told := map[string]int{}
	for seed := range uint64(800) {
		r := random{rand.New(rand.NewPCG(seed, 3)), seed%2 == 0}
		opt, workloads := r.controllersOf()
		o := NewObjects()
		for _, obj := range append(others(), workloads...) {
			must(t, o.Add(obj, Place{}))
		}
		for n := range 3 + r.IntN(14) {
			must(t, o.Add(r.ingress(fmt.Sprint("i", n)), Place{}))
		}
		in := r.ingress(fmt.Sprint("i", r.IntN(10)))
		near := o.Review(in, opt, Further{}).Problems()
		got := near.Problems
		if near.Ingresses > len(o.ingresses)+1 {
			t.Errorf("seed %d: %d Ingresses were looked at, there are %d", seed, near.Ingresses, len(o.ingresses))
		}

		must(t, o.Add(in, Place{}))
		cfg, all := Translate(o, opt)
		if a, b := routesOf(cfg, in), routesOf(near.Config, in); !maps.Equal(a, b) {
			t.Errorf("seed %d: the routes are %v, the Review has %v", seed, a, b)
		}
		want := slices.DeleteFunc(all, func(p model.Problem) bool {
			return p.Origin.Kind != "Ingress" || p.Origin.Namespace != in.Namespace || p.Origin.Name != in.Name
		})
		if diff := cmp.Diff(problemLines(want), problemLines(got)); diff != "" {
			t.Fatalf("seed %d: the Review says something else (-Translate +Review):\n%s", seed, diff)
		}
		for _, p := range got {
			told[p.Reason]++
		}
	}
	if len(told) < 40 {
		t.Errorf("only %d different problems came up: the objects are too tame", len(told))
	}
}

// routesOf lists the routes of an Ingress, and whether their paths are regular
// expressions.
func routesOf(cfg *model.Config, in *networkingv1.Ingress) map[string]bool {
	routes := map[string]bool{}
	for _, c := range cfg.Controllers {
		for _, h := range c.Hosts {
			for _, r := range h.Routes {
				if r.Namespace == in.Namespace && r.Ingress == in.Name && !r.Implicit {
					routes[r.ID] = h.Regex
				}
			}
		}
	}
	return routes
}

func problemLines(ps []model.Problem) []string {
	var lines []string
	for _, p := range ps {
		lines = append(lines, p.String())
	}
	return lines
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestIndexFollowsObjects: after any changes the index is that of the objects that are
// there.
func TestIndexFollowsObjects(t *testing.T) {
	for seed := range uint64(50) {
		r := random{rand.New(rand.NewPCG(seed, 4)), false}
		o := NewObjects()
		for range 200 {
			in := r.ingress(fmt.Sprint("i", r.IntN(12)))
			if r.IntN(3) == 0 {
				o.Remove("Ingress", in.Namespace, in.Name)
			} else {
				must(t, o.Add(in, Place{}))
			}
		}
		fresh := NewObjects()
		for _, e := range o.ingresses.sorted() {
			must(t, fresh.Add(e.value, Place{}))
		}
		if diff := cmp.Diff(indexText(fresh.index), indexText(o.index)); diff != "" {
			t.Fatalf("seed %d (-fresh +kept):\n%s", seed, diff)
		}
	}
}

func indexText(x index) map[string][]string {
	all := map[string][]string{}
	write := func(key string, list []member) {
		for _, m := range list {
			all[key] = append(all[key], fmt.Sprint(m.id, m.tls, m.alias))
		}
		if len(list) == 0 {
			all[key] = []string{"an empty list"}
		}
	}
	for k, l := range x.hosts {
		write("host "+k, l)
	}
	for k, l := range x.paths {
		write(fmt.Sprint("path ", k), l)
	}
	for k, l := range x.aliases {
		write("alias "+k, l)
	}
	return all
}

// TestReviewNearness: the cases that random objects seldom make, each decided by one
// Ingress that has neither host nor path in common with the one under review.
func TestReviewNearness(t *testing.T) {
	age := int64(0)
	made := func(name, host string, notes ...string) *networkingv1.Ingress {
		age++
		r := random{Rand: rand.New(rand.NewPCG(1, 1))}
		b := r.backend()
		b.Service, b.Resource = &networkingv1.IngressServiceBackend{Name: "one", Port: networkingv1.ServiceBackendPort{Number: 80}}, nil
		in := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: name, CreationTimestamp: metav1.NewTime(time.Unix(age, 0)), Annotations: map[string]string{}}}
		for i := 0; i < len(notes); i += 2 {
			in.Annotations[notes[i]] = notes[i+1]
		}
		in.Spec.IngressClassName = ptr("nginx")
		in.Spec.Rules = []networkingv1.IngressRule{{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
			Paths: []networkingv1.HTTPIngressPath{{Path: "/" + name, PathType: ptr(networkingv1.PathTypePrefix), Backend: b}},
		}}}}
		return in
	}
	const alias, unread = "nginx.ingress.kubernetes.io/server-alias", "unread.example.com/server-alias"
	for what, c := range map[string]struct {
		stored []*networkingv1.Ingress
		in     *networkingv1.Ingress
		told   bool
	}{
		"an older Ingress of the other host has named its aliases": {
			[]*networkingv1.Ingress{made("first", "b.example.com", alias, "z.example.com"), made("second", "b.example.com", alias, "x.example.com")},
			made("new", "a.example.com", alias, "x.example.com"), false,
		},
		"what it wrote is not read, so that the next one names them": {
			[]*networkingv1.Ingress{
				made("unread", "b.example.com", unread, "q.example.com"), made("first", "b.example.com", alias, "z.example.com"),
				made("second", "b.example.com", alias, "x.example.com"),
			},
			made("new", "a.example.com", alias, "x.example.com"), false,
		},
		"the other host has the alias": {
			[]*networkingv1.Ingress{made("unread", "b.example.com", unread, "q.example.com"), made("second", "b.example.com", alias, "x.example.com")},
			made("new", "a.example.com", alias, "x.example.com"), true,
		},
		"the host was its own, and is another's too": {
			[]*networkingv1.Ingress{made("new", "b.example.com"), made("other", "b.example.com")},
			made("new", "a.example.com", alias, "b.example.com"), true,
		},
		"the host was its own alone": {
			[]*networkingv1.Ingress{made("new", "b.example.com")},
			made("new", "a.example.com", alias, "b.example.com"), false,
		},
	} {
		o := NewObjects()
		for _, obj := range others() {
			must(t, o.Add(obj, Place{}))
		}
		for _, in := range c.stored {
			must(t, o.Add(in, Place{}))
		}
		got := o.Review(c.in, Options{ForeignBalancers: true, Default: &Default{Flags: DefaultFlags()}}, Further{}).Problems().Problems
		if (len(got) > 0) != c.told {
			t.Errorf("%s: told %v, want a problem: %v", what, got, c.told)
		}
	}
}
