package translate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pierhead/pierhead/internal/model"
)

// change is one random change of objects.
func (r random) change(t testing.TB, o *Objects) {
	namespace := pick(r, "x", "y")
	switch r.IntN(13) {
	case 0, 1, 2, 3:
		must(t, o.Add(r.ingress(fmt.Sprint("i", r.IntN(10))), Place{}))
	case 4:
		o.Remove("Ingress", namespace, fmt.Sprint("i", r.IntN(10)))
	case 5:
		name := pick(r, "one", "two", "far", "missing")
		if r.IntN(4) == 0 {
			o.Remove("Service", namespace, name)
			return
		}
		must(t, o.Add(r.service(namespace, name), Place{}))
	case 6, 7:
		name := fmt.Sprint("s", r.IntN(6))
		if r.IntN(3) == 0 {
			o.Remove("EndpointSlice", namespace, name)
			return
		}
		must(t, o.Add(r.slice(namespace, name), Place{}))
	case 8:
		name := pick(r, "users", "pair", "garbage", "missing")
		switch r.IntN(5) {
		case 0:
			o.Remove("Secret", namespace, name)
		case 1:
			o.Refuse(model.Origin{Kind: "Secret", Namespace: namespace, Name: name})
		default:
			must(t, o.Add(r.secret(namespace, name), Place{}))
		}
	case 9:
		if r.IntN(4) == 0 {
			o.Remove("ConfigMap", "x", "settings")
			return
		}
		must(t, o.Add(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "settings"}, Data: map[string]string{
			pick(r, "ssl-redirect", "hsts", "proxy-body-size", "use-proxy-protocol", "no-such-key"): pick(r, "true", "false", "8m", "maybe"),
		}}, Place{}))
	case 10:
		if r.IntN(3) == 0 {
			o.Remove("IngressClass", "", pick(r, "nginx", "internal", "foreign"))
			return
		}
		class := &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: pick(r, "nginx", "internal", "foreign")}}
		class.Spec.Controller = pick(r, "k8s.io/ingress-nginx", "k8s.io/ingress-nginx", "example.com/internal", "example.com/foreign")
		r.some(3, func() { class.Annotations = map[string]string{defaultAnnotation: "true"} })
		must(t, o.Add(class, Place{}))
	case 11:
		must(t, o.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{"team": pick(r, "a", "b")}}}, Place{}))
		r.some(6, func() {
			must(t, o.Add(&networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "plain"}}, Place{Version: "extensions/v1beta1"}))
		})
		r.some(4, func() {
			w := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "external"}}
			w.Spec.Template.Spec.Containers = []corev1.Container{{Args: []string{"nginx-ingress-controller", pick(r, "--watch-ingress-without-class", "--watch-namespace=x", "--ingress-class=internal")}}}
			must(t, o.Add(w, Place{}))
		})
		r.some(4, func() { o.Remove("Deployment", "x", "external") })
	case 12:
		name := pick(r, "tcp", "udp")
		if r.IntN(4) == 0 {
			o.Remove("ConfigMap", "x", name)
			return
		}
		must(t, o.Add(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: name}, Data: map[string]string{
			pick(r, "9000", "9001", "80", "none"): pick(r, "x/one:80", "x/two:81", "x/far:80", "x/missing:80", "x/one"),
		}}, Place{}))
	}
}

func (r random) service(namespace, name string) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	svc.Spec.Ports = []corev1.ServicePort{{Port: pick[int32](r, 80, 81), AppProtocol: pick(r, nil, nil, ptr("kubernetes.io/h2c"), ptr("http"))}}
	r.some(5, func() {
		svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Name: "other", Port: 81, Protocol: pick(r, corev1.ProtocolTCP, corev1.ProtocolUDP)})
	})
	r.some(5, func() {
		svc.Spec.Type, svc.Spec.ExternalName = corev1.ServiceTypeExternalName, pick(r, "localhost", "far.example.com", "10.0.0.1", "one.x.svc.cluster.local", "two.x.svc.cluster.local")
	})
	r.some(5, func() {
		svc.Spec.Type, svc.Labels = corev1.ServiceTypeLoadBalancer, map[string]string{mapperLabel: "route53"}
		svc.Annotations = map[string]string{mapperNote: pick(r, "a.example.com", "b.example.com", "no name")}
	})
	return svc
}

func (r random) slice(namespace, name string) *discoveryv1.EndpointSlice {
	port := int32(8080)
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Ports: []discoveryv1.EndpointPort{{Port: &port}}}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: pick(r, "one", "two", "missing", "")}
	for range r.IntN(3) {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{pick(r, "10.0.0.1", "10.0.0.2", "10.0.0.3", "no address")}})
	}
	return s
}

func (r random) secret(namespace, name string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: pick(r, corev1.SecretTypeTLS, corev1.SecretTypeOpaque)}
	s.Data = pick(r,
		map[string][]byte{"tls.crt": pairCert, "tls.key": pairKey},
		map[string][]byte{"tls.crt": otherCert, "tls.key": otherKey},
		map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("y")},
		map[string][]byte{"auth": []byte("u:{PLAIN}p\n")},
		map[string][]byte{"auth": []byte("v:{PLAIN}p\n")},
	)
	return s
}

// otherCert and otherKey are a key pair for some more hosts.
var otherCert, otherKey = makePair("www.a.example.com")

// TestIncremental: after any sequence of changes, what a Memo helps to make is what is
// made without one, and the Memo holds no more than one that has just been filled.
// What was handed out before has not changed.
func TestIncremental(t *testing.T) {
	const sequences, steps = 100, 100
	hosts, reasons := 0, map[string]bool{}
	for seed := range uint64(sequences) {
		r := random{rand.New(rand.NewPCG(seed, 5)), seed%2 == 0}
		opt, workloads := r.controllersOf()
		opt.ForeignBalancers = r.IntN(2) == 0
		opt.Standalone = r.IntN(2) == 0
		r.some(4, func() { opt.Default.Flags.WatchNamespaceSelector = "team=a" })
		r.some(4, func() { opt.Default.Flags.DefaultBackendService = "x/one" })
		r.some(4, func() { opt.Default.Flags.DefaultSSLCertificate = "x/pair" })
		r.some(2, func() { opt.Default.Flags.SSLPassthrough = true })
		r.some(2, func() { opt.Default.Flags.TCPServices, opt.Default.Flags.UDPServices = "x/tcp", "x/udp" })
		o := NewObjects()
		for _, obj := range append(others(), workloads...) {
			must(t, o.Add(obj, Place{}))
		}
		memory, ends := NewMemo(), &EndpointMemo{}
		var before *model.Config
		text := ""
		for step := range steps {
			for range 1 + r.IntN(3)*r.IntN(2) {
				r.change(t, o)
			}
			r.some(30, func() { // more than are looked at one by one
				for range 2 * few {
					r.change(t, o)
				}
			})
			r.some(10, func() { o = reloaded(t, o) })
			opt.Memo = memory
			got, gotProblems := Translate(o, opt)
			gotEnds := ends.Endpoints(o, got)
			if step%3 != 0 {
				continue // what was missed then is missing later
			}

			fresh := NewMemo()
			opt.Memo = fresh
			want, wantProblems := Translate(o, opt)
			wantEnds := Endpoints(o, want)
			at := fmt.Sprintf("seed %d, step %d", seed, step)
			if !reflect.DeepEqual(got, want) || step%15 == 0 && printed(t, got) != printed(t, want) {
				t.Fatalf("%s: the Config differs (-fresh +incremental):\n%s", at, cmp.Diff(printed(t, want), printed(t, got)))
			}
			if !reflect.DeepEqual(gotProblems, wantProblems) {
				t.Fatalf("%s: the problems differ (-fresh +incremental):\n%s", at, cmp.Diff(problemLines(wantProblems), problemLines(gotProblems)))
			}
			if !reflect.DeepEqual(gotEnds, wantEnds) {
				t.Fatalf("%s: the endpoints are %v, want %v", at, gotEnds, wantEnds)
			}
			for i := range got.Controllers {
				hosts += len(got.Controllers[i].Hosts)
			}
			for i := range gotProblems {
				reasons[gotProblems[i].Reason] = true
			}
			if a, b := memory.size(), fresh.size(); a != b {
				t.Fatalf("%s: the Memo holds %s, want %s", at, a, b)
			}
			if step%15 == 0 {
				if before != nil && printed(t, before) != text {
					t.Fatalf("%s: a Config that was handed out has changed", at)
				}
				before, text = got, printed(t, got)
			}
		}
		again, _ := Translate(o, withMemo(opt, memory))
		if more, _ := Translate(o, withMemo(opt, memory)); more != again {
			t.Errorf("seed %d: nothing changed, and the Config is another one", seed)
		}
	}
	if hosts < sequences*steps/3*2 || len(reasons) < 80 {
		t.Errorf("%d hosts and %d different problems came up: the objects are too tame", hosts, len(reasons))
	}
}

// TestManyChanges: a Memo that has not seen more changes than are remembered is right all
// the same.
func TestManyChanges(t *testing.T) {
	r := random{rand.New(rand.NewPCG(1, 6)), false}
	opt, _ := r.controllersOf()
	o, memory := NewObjects(), NewMemo()
	for _, obj := range others() {
		must(t, o.Add(obj, Place{}))
	}
	for _, n := range []int{1, remembered - 1, remembered, 2 * remembered, 2*remembered + 1, 5 * remembered, 3} {
		for range n {
			r.change(t, o)
		}
		got, gotProblems := Translate(o, withMemo(opt, memory))
		want, wantProblems := Translate(o, opt)
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(gotProblems, wantProblems) {
			t.Fatalf("after %d changes at once: -fresh +incremental\n%s", n, cmp.Diff(printed(t, want), printed(t, got)))
		}
		if len(o.journal.list) > 2*remembered {
			t.Errorf("%d changes are remembered", len(o.journal.list))
		}
	}
}

// reloaded returns the same objects in another collection, as a folder gives them.
func reloaded(t testing.TB, o *Objects) *Objects {
	out := NewObjects()
	add(t, out, o.ingresses, func(v *ingress) runtime.Object { return v })
	add(t, out, o.classes, func(v *networkingv1.IngressClass) runtime.Object { return v })
	add(t, out, o.services, func(v *corev1.Service) runtime.Object { return v })
	add(t, out, o.slices, func(v *discoveryv1.EndpointSlice) runtime.Object { return v })
	add(t, out, o.secrets, func(v *corev1.Secret) runtime.Object { return v })
	add(t, out, o.configMaps, func(v *corev1.ConfigMap) runtime.Object { return v })
	add(t, out, o.namespaces, func(v *corev1.Namespace) runtime.Object { return v })
	add(t, out, o.workloads["Deployment"], func(v *appsv1.Deployment) runtime.Object { return v })
	for _, origin := range o.refused {
		out.Refuse(origin)
	}
	return out
}

func add[T any](t testing.TB, o *Objects, all set[T], object func(*T) runtime.Object) {
	for _, e := range all {
		must(t, o.Add(object(e.value), Place{Version: e.version}))
	}
}

func withMemo(opt Options, m *Memo) Options {
	opt.Memo = m
	return opt
}

// size says how much a Memo holds.
func (m *Memo) size() string {
	text := fmt.Sprint(len(m.readings), len(m.pairs), len(m.upstreams), len(m.ledgers), len(m.telling.lines), len(m.groups), len(m.served.list), len(m.used.list))
	for _, c := range m.controllers {
		k := m.ledgers[c.name]
		text += fmt.Sprint("; ", c.name, len(k.leads), len(k.hosts), len(k.twins), len(k.roll.list), len(k.list), len(k.sources.list), len(k.aliased), len(k.twinned))
	}
	return text
}

func printed(t testing.TB, cfg *model.Config) string {
	t.Helper()
	b, err := json.MarshalIndent(cfg, "", " ")
	must(t, err)
	return string(b)
}

// TestMemoForgets: when all objects have gone the Memo is as good as empty.
func TestMemoForgets(t *testing.T) {
	o, memory := manyObjects(t, 50), NewMemo()
	opt := Options{Default: &Default{Flags: DefaultFlags()}, Memo: memory}
	Translate(o, opt)
	full := memory.size()
	for _, e := range o.ingresses.sorted() {
		o.Remove("Ingress", e.id.namespace, e.id.name)
	}
	Translate(o, opt)
	empty := NewMemo()
	Translate(NewObjects(), withMemo(opt, empty))
	if got, want := memory.size(), empty.size(); got != want || got == full {
		t.Errorf("the Memo holds %s, want %s", got, want)
	}
}

// TestOneOfMany: a change of one Ingress among many costs a small part of a whole
// translation, and shares everything else with the answer before.
func TestOneOfMany(t *testing.T) {
	o := manyObjects(t, 10000)
	opt := Options{Default: &Default{Flags: DefaultFlags()}}
	var whole, one time.Duration = time.Hour, time.Hour
	for range 2 {
		start := cpu(t)
		Translate(o, opt)
		whole = min(whole, cpu(t)-start)
	}
	opt.Memo = NewMemo()
	had, _ := Translate(o, opt)
	for n := range 5 {
		touchIngress(t, o, fmt.Sprint("app-", n))
		start := cpu(t)
		has, _ := Translate(o, opt)
		one = min(one, cpu(t)-start)
		differ := 0
		for i := range has.Controllers[0].Hosts {
			if !model.Identical(has.Controllers[0].Hosts[i].Routes, had.Controllers[0].Hosts[i].Routes) {
				differ++
			}
		}
		if differ != 1 || !model.Identical(has.Upstreams, had.Upstreams) {
			t.Fatalf("%d hosts have other routes, want 1", differ)
		}
		had = has
	}
	t.Logf("a whole translation takes %v of CPU, one change %v", whole, one)
	if one > whole/50 {
		t.Errorf("one change of 10,000 takes %v of CPU, a whole translation %v", one, whole)
	}
}

// touchIngress replaces an Ingress of manyObjects by another version of it.
func touchIngress(t testing.TB, o *Objects, name string) {
	for _, e := range o.index.hosts[name+".example.com"] {
		in := e.value.DeepCopy()
		in.Annotations["nginx.ingress.kubernetes.io/proxy-body-size"] += "1"
		must(t, o.Add(in, Place{}))
		return
	}
	t.Fatalf("there is no Ingress %s", name)
}
