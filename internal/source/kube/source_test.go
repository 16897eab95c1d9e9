package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"go.uber.org/goleak"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

func TestMain(m *testing.M) {
	utilruntime.ErrorHandlers = nil // they compare the clock of a bubble with that of the machine
	goleak.VerifyTestMain(m)
}

// bed is a started Source on an API server that is none, and what it told.
type bed struct {
	*Source
	t         *testing.T
	client    *fake.Clientset
	told      int      // calls of Watch's changed
	endpoints []string // what WatchEndpoints told
	seen      []string // what Seen was told
	end       func()
}

// start starts a Source on the objects. It must run in a synctest bubble.
func start(t *testing.T, opt Options, objects ...runtime.Object) *bed {
	t.Helper()
	b := &bed{t: t, client: fake.NewClientset(objects...)}
	b.begin(opt)
	return b
}

func (b *bed) begin(opt Options) {
	b.t.Helper()
	opt.Client, opt.Log = b.client, slog.New(slog.DiscardHandler)
	opt.Seen = func(had, has Object) {
		name := "nothing"
		if has != nil {
			name = keyOf(has)
		}
		b.seen = append(b.seen, name)
	}
	b.Source = New(opt)
	ctx, cancel := context.WithCancel(b.t.Context())
	if err := b.Start(ctx); err != nil {
		b.t.Fatal(err)
	}
	done := make(chan error, 2)
	go func() { done <- b.Watch(ctx, func() { b.told++ }) }()
	go func() {
		done <- b.WatchEndpoints(ctx, func(services []string) { b.endpoints = append(b.endpoints, services...) })
	}()
	b.end = func() {
		cancel()
		<-done
		<-done
	}
	b.settle()
	b.told, b.endpoints, b.seen = 0, nil, nil
}

// settle lets pass the time in which changes are gathered.
func (b *bed) settle() {
	time.Sleep(2 * patience) // of the bubble
	synctest.Wait()
}

func (b *bed) must(_ any, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// translated returns the routes' hosts and the problems of what Load gives now.
func (b *bed) translated() (*model.Config, []model.Problem) {
	objects, problems := b.Load()
	cfg, more := translate.Translate(objects, translate.Options{ForeignBalancers: true, Default: &translate.Default{Flags: translate.DefaultFlags()}})
	return cfg, append(problems, more...)
}

func hosts(cfg *model.Config) (names []string) {
	for _, h := range cfg.Controllers[0].Hosts {
		names = append(names, h.Name)
	}
	return names
}

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "a", Name: name, ResourceVersion: "1"}
}

func ingress(name string, change ...func(*networkingv1.Ingress)) *networkingv1.Ingress {
	class, kind := "nginx", networkingv1.PathTypePrefix
	backend := networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "app", Port: networkingv1.ServiceBackendPort{Number: 80}}}
	in := &networkingv1.Ingress{ObjectMeta: meta(name), Spec: networkingv1.IngressSpec{IngressClassName: &class, Rules: []networkingv1.IngressRule{{
		Host: name + ".example.com", IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
			Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: &kind, Backend: backend}},
		}},
	}}}}
	for _, f := range change {
		f(in)
	}
	return in
}

func class() *networkingv1.IngressClass {
	return &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "nginx"}, Spec: networkingv1.IngressClassSpec{Controller: "k8s.io/ingress-nginx"}}
}

func service(name string) *corev1.Service {
	return &corev1.Service{ObjectMeta: meta(name), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
}

func slice(name, service, version string, addrs ...string) *discoveryv1.EndpointSlice {
	port := int32(8080)
	es := &discoveryv1.EndpointSlice{ObjectMeta: meta(name), AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Port: &port}}}
	es.ResourceVersion, es.Labels = version, map[string]string{discoveryv1.LabelServiceName: service}
	for _, a := range addrs {
		es.Endpoints = append(es.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}})
	}
	return es
}

// TestChanges: what comes, changes and goes is told once and loaded.
func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Options{}, class(), ingress("one"))
		defer b.end()
		if cfg, _ := b.translated(); !slices.Equal(hosts(cfg), []string{"", "one.example.com"}) {
			t.Fatalf("hosts are %q", hosts(cfg))
		}
		api := b.client.NetworkingV1().Ingresses("a")
		for _, name := range []string{"two", "three"} {
			b.must(api.Create(t.Context(), ingress(name), metav1.CreateOptions{}))
		}
		b.settle()
		if cfg, _ := b.translated(); b.told != 1 || !slices.Equal(hosts(cfg), []string{"", "one.example.com", "three.example.com", "two.example.com"}) {
			t.Errorf("told %d times, hosts are %q", b.told, hosts(cfg))
		}
		b.must(api.Update(t.Context(), ingress("two", func(in *networkingv1.Ingress) {
			in.ResourceVersion, in.Spec.Rules[0].Host = "2", "other.example.com"
		}), metav1.UpdateOptions{}))
		b.must(nil, api.Delete(t.Context(), "one", metav1.DeleteOptions{}))
		b.settle()
		if cfg, _ := b.translated(); b.told != 2 || !slices.Equal(hosts(cfg), []string{"", "other.example.com", "three.example.com"}) {
			t.Errorf("told %d times, hosts are %q", b.told, hosts(cfg))
		}
		if !slices.Equal(b.seen, []string{"a/two", "a/three", "a/two", "nothing"}) {
			t.Errorf("seen %q", b.seen)
		}
	})
}

// TestStatusIsNoChange: writing a status makes nobody translate, and is known.
func TestStatusIsNoChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Options{}, class(), ingress("one"))
		defer b.end()
		in := ingress("one", func(in *networkingv1.Ingress) {
			in.ResourceVersion = "2"
			in.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.1"}}
		})
		b.must(b.client.NetworkingV1().Ingresses("a").UpdateStatus(t.Context(), in, metav1.UpdateOptions{}))
		b.settle()
		if b.told != 0 || !slices.Equal(b.seen, []string{"a/one"}) {
			t.Errorf("told %d times, seen %q", b.told, b.seen)
		}
		if got := b.Ingress("a/one"); got == nil || len(got.Status.LoadBalancer.Ingress) != 1 {
			t.Errorf("the Ingress is %v", got)
		}
		if ref := b.Reference(model.Origin{Kind: "Ingress", Namespace: "a", Name: "one"}); ref == nil || ref.ResourceVersion != "2" || ref.APIVersion != "networking.k8s.io/v1" {
			t.Errorf("the reference is %v", ref)
		}
		if b.Reference(model.Origin{Kind: "Ingress", Namespace: "a", Name: "two"}) != nil {
			t.Error("an Ingress that is not there has a reference")
		}
	})
}

// TestEndpoints: endpoints go their own way, and fast, and translation hears nothing.
func TestEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Options{}, class(), ingress("one"), service("app"), slice("x", "app", "1", "10.0.0.1"))
		defer b.end()
		ups := []model.Upstream{{Name: "a-app-80", Namespace: "a", Service: "app", Port: "80"}}
		addrs := func() (out []string) {
			for _, a := range b.Endpoints(ups)[0].Endpoints {
				out = append(out, a.String())
			}
			return out
		}
		if got := addrs(); !slices.Equal(got, []string{"10.0.0.1:8080"}) {
			t.Fatalf("endpoints are %q", got)
		}
		api := b.client.DiscoveryV1().EndpointSlices("a")
		b.must(api.Update(t.Context(), slice("x", "app", "2", "10.0.0.2"), metav1.UpdateOptions{}))
		b.must(api.Create(t.Context(), slice("y", "app", "1", "10.0.0.3"), metav1.CreateOptions{}))
		time.Sleep(patienceEndpoints + time.Millisecond)
		synctest.Wait()
		if got := addrs(); !slices.Equal(got, []string{"10.0.0.2:8080", "10.0.0.3:8080"}) || !slices.Equal(b.endpoints, []string{"a/app"}) {
			t.Errorf("endpoints are %q, told %q", got, b.endpoints)
		}
		b.must(api.Update(t.Context(), slice("y", "other", "2", "10.0.0.3"), metav1.UpdateOptions{}))
		b.settle()
		if got := addrs(); !slices.Equal(got, []string{"10.0.0.2:8080"}) || !slices.Equal(b.endpoints[1:], []string{"a/app", "a/other"}) {
			t.Errorf("endpoints are %q, told %q", got, b.endpoints)
		}
		b.must(nil, api.Delete(t.Context(), "x", metav1.DeleteOptions{}))
		b.settle()
		if got := addrs(); len(got) != 0 || b.told != 0 {
			t.Errorf("endpoints are %q, told %d times", got, b.told)
		}
	})
}

// TestForbiddenClasses: who may not read IngressClasses starts all the same, serves by
// the annotation, says so, and reads them when that is allowed.
func TestForbiddenClasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byNote := ingress("note", func(in *networkingv1.Ingress) {
			in.Spec.IngressClassName, in.Annotations = nil, map[string]string{"kubernetes.io/ingress.class": "nginx"}
		})
		b := &bed{t: t, client: fake.NewClientset(class(), ingress("one"), byNote)}
		var forbidden atomic.Bool
		forbidden.Store(true)
		b.client.PrependReactor("list", "ingressclasses", func(clienttesting.Action) (bool, runtime.Object, error) {
			return forbidden.Load(), nil, apierrors.NewForbidden(schema.GroupResource{Resource: "ingressclasses"}, "", errors.New("not for you"))
		})
		b.begin(Options{})
		defer b.end()
		if cfg, _ := b.translated(); !slices.Equal(hosts(cfg), []string{"", "note.example.com"}) {
			t.Errorf("hosts are %q", hosts(cfg))
		}
		time.Sleep(trouble)
		b.settle()
		if _, problems := b.translated(); b.told == 0 || !slices.ContainsFunc(problems, func(p model.Problem) bool {
			return p.Origin.Kind == "Watch" && p.Origin.Name == "IngressClass" && strings.Contains(p.Reason, "not for you")
		}) {
			t.Errorf("problems are %v", problems)
		}
		forbidden.Store(false)
		time.Sleep(2 * retryRefused)
		b.settle()
		if cfg, problems := b.translated(); !slices.Equal(hosts(cfg), []string{"", "note.example.com", "one.example.com"}) ||
			slices.ContainsFunc(problems, func(p model.Problem) bool { return p.Origin.Kind == "Watch" }) {
			t.Errorf("hosts are %q, problems %v", hosts(cfg), problems)
		}
	})
}

// TestRefusal: what has just been refused is asked for again at once, and what stays
// refused seldom.
func TestRefusal(t *testing.T) {
	f, now := &feed{}, time.Now()
	for _, c := range []struct {
		after   time.Duration
		refused bool
		want    time.Duration
	}{
		{0, true, retryFirst}, {retryFirst, true, retryFirst}, {time.Second, true, time.Second}, {time.Minute, true, retryRefused},
		{time.Minute, false, 0}, {time.Minute, true, retryFirst}, {time.Minute + 2*time.Second, true, 2 * time.Second},
	} {
		if got := f.refusal(c.refused, now.Add(c.after)); got != c.want {
			t.Errorf("after %s, refused %v: %s, want %s", c.after, c.refused, got, c.want)
		}
	}
}

// TestWaiting: a kind that cannot be read keeps the Source from starting, and it says
// which and why.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		client.PrependReactor("list", "services", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, errors.New("no way")
		})
		s := New(Options{Client: client, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := s.Start(ctx)
		if err == nil || !strings.Contains(err.Error(), "Service (no way)") || strings.Contains(err.Error(), "Ingress") {
			t.Errorf("Start returns %v", err)
		}
		s.running.Wait()
	})
}

// TestAway: while the API server is away the last state stays, a problem says so, and
// what changed meanwhile is seen within two seconds of its return.
func TestAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bed{t: t, client: fake.NewClientset(class(), ingress("one"))}
		var away atomic.Bool
		var asked atomic.Int32
		var watches []*watch.RaceFreeFakeWatcher
		b.client.PrependReactor("list", "ingresses", func(clienttesting.Action) (bool, runtime.Object, error) {
			if away.Load() {
				asked.Add(1)
			}
			return away.Load(), nil, syscall.ECONNREFUSED
		})
		b.client.PrependWatchReactor("ingresses", func(clienttesting.Action) (bool, watch.Interface, error) {
			if away.Load() {
				asked.Add(1)
				return true, nil, syscall.ECONNREFUSED
			}
			w := watch.NewRaceFreeFake()
			watches = append(watches, w)
			return true, w, nil
		})
		b.begin(Options{})
		defer b.end()
		away.Store(true)
		expired := apierrors.NewResourceExpired("too old")
		watches[len(watches)-1].Error(&expired.ErrStatus)
		time.Sleep(time.Minute)
		b.settle()
		cfg, problems := b.translated()
		if !slices.Equal(hosts(cfg), []string{"", "one.example.com"}) || b.told == 0 || len(problems) == 0 {
			t.Errorf("hosts are %q, told %d times, problems %v", hosts(cfg), b.told, problems)
		}
		if n := asked.Load(); n < 60 || n > 200 {
			t.Errorf("asked %d times in a minute", n)
		}
		if err := b.client.Tracker().Add(ingress("two")); err != nil {
			t.Fatal(err)
		}
		away.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		if cfg, _ := b.translated(); !slices.Equal(hosts(cfg), []string{"", "one.example.com", "two.example.com"}) {
			t.Errorf("hosts are %q a second after the return", hosts(cfg))
		}
	})
}

// TestNamespace: a Source of one namespace sees no other, but for what flags name.
func TestNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := func(o Object) Object { o.SetNamespace("b"); return o }
		settings := far(&corev1.ConfigMap{ObjectMeta: meta("settings"), Data: map[string]string{"k": "v"}})
		b := start(t, Options{Namespace: "a", Others: []string{"b", "a", ""}, ConfigMap: "b/settings"},
			class(), ingress("one"), far(ingress("two")), settings, far(service("front")))
		defer b.end()
		if b.Ingress("a/one") == nil || b.Ingress("b/two") != nil {
			t.Error("the Ingresses are not those of the namespace")
		}
		if b.Service("b/front") == nil {
			t.Error("a Service that a flag may name is not there")
		}
		if cm, _ := b.find(ref{"ConfigMap", "b/settings"}).(*corev1.ConfigMap); cm == nil || cm.Data["k"] != "v" {
			t.Errorf("the settings are %v", cm)
		}
	})
}

// TestSliceProblems: what is wrong with endpoints is told once, and no more when it is
// right again.
func TestSliceProblems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Options{}, class(), ingress("one"), slice("x", "app", "1", "10.0.0.1"))
		defer b.end()
		told := func() (n int) {
			_, problems := b.Load()
			for _, p := range problems {
				if p.Origin.Kind == "EndpointSlice" && p.Origin.Name == "x" {
					n++
				}
			}
			return n
		}
		for i, port := range []int32{0, 0, 8080} {
			es := slice("x", "app", fmt.Sprint(i+2), fmt.Sprintf("10.0.1.%d", i))
			es.Ports[0].Port = &port
			b.must(b.client.DiscoveryV1().EndpointSlices("a").Update(t.Context(), es, metav1.UpdateOptions{}))
			b.settle()
			if want := []struct{ told, problems int }{{1, 1}, {1, 1}, {2, 0}}[i]; b.told != want.told || told() != want.problems {
				t.Errorf("port %d: told %d times, %d problems, want %v", port, b.told, told(), want)
			}
		}
	})
}
