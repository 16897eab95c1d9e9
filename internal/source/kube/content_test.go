package kube

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

func secret(name, version, content string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: meta(name), Data: map[string][]byte{"auth": []byte(content)}}
	s.ResourceVersion = version
	return s
}

// withUsers asks for the users of a Secret.
func withUsers(name string) func(*networkingv1.Ingress) {
	return func(in *networkingv1.Ingress) {
		in.Annotations = map[string]string{"nginx.ingress.kubernetes.io/auth-type": "basic", "nginx.ingress.kubernetes.io/auth-secret": name}
	}
}

// content returns what is kept of a Secret.
func (b *bed) content(name string) string {
	s, _ := b.find(ref{"Secret", "a/" + name}).(*corev1.Secret)
	if s == nil {
		return "nothing"
	}
	return string(s.Data["auth"])
}

// closed returns why the routes of a host are closed.
func (b *bed) closed(host string) string {
	cfg, _ := b.translated()
	for _, h := range cfg.Controllers[0].Hosts {
		if h.Name == host {
			return h.Routes[0].Closed
		}
	}
	return "there is no such host"
}

const (
	users = "joe:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC\n"
	other = "ann:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC\n"
)

// TestContent: only what an Ingress refers to is kept, from the moment it does until
// it does no more.
func TestContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Options{Secrets: []string{"a/default"}}, class(), ingress("one", withUsers("used")),
			secret("used", "1", users), secret("unused", "1", users), secret("default", "1", users))
		defer b.end()
		if b.content("used") != users || b.content("unused") != "" || b.content("default") != users {
			t.Errorf("contents are %q, %q and %q", b.content("used"), b.content("unused"), b.content("default"))
		}
		if why := b.closed("one.example.com"); why != "" {
			t.Errorf("the route is closed: %s", why)
		}
		api := b.client.CoreV1().Secrets("a")
		b.must(api.Update(t.Context(), secret("unused", "2", other), metav1.UpdateOptions{}))
		b.settle()
		if b.told != 0 {
			t.Error("a Secret that nobody uses makes everybody translate")
		}
		b.must(api.Update(t.Context(), secret("used", "2", other), metav1.UpdateOptions{}))
		b.settle()
		if b.told != 1 || b.content("used") != other {
			t.Errorf("told %d times, content %q", b.told, b.content("used"))
		}
		ins := b.client.NetworkingV1().Ingresses("a")
		b.must(ins.Update(t.Context(), ingress("one", withUsers("unused"), func(in *networkingv1.Ingress) { in.ResourceVersion = "2" }), metav1.UpdateOptions{}))
		b.settle()
		if b.told != 2 || b.content("unused") != other || b.content("used") != "" {
			t.Errorf("told %d times, contents are %q and %q", b.told, b.content("unused"), b.content("used"))
		}
		if why := b.closed("one.example.com"); why != "" {
			t.Errorf("the route is closed: %s", why)
		}
		b.must(nil, api.Delete(t.Context(), "unused", metav1.DeleteOptions{}))
		b.settle()
		if why := b.closed("one.example.com"); !strings.Contains(why, "auth-secret") {
			t.Errorf("without its Secret the route is closed by %q", why)
		}
		b.must(api.Create(t.Context(), secret("unused", "3", users), metav1.CreateOptions{}))
		b.settle()
		if why := b.closed("one.example.com"); why != "" || b.content("unused") != users {
			t.Errorf("with the Secret again: %q, content %q", why, b.content("unused"))
		}
	})
}

// TestContentUnreadable: content that cannot be fetched closes what needs it, says so,
// and is fetched as soon as that is possible.
func TestContentUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bed{t: t, client: fake.NewClientset(class(), secret("users", "1", users))}
		var broken atomic.Bool
		broken.Store(true)
		b.client.PrependReactor("list", "secrets", func(a clienttesting.Action) (bool, runtime.Object, error) {
			return broken.Load() && !a.(clienttesting.ListAction).GetListRestrictions().Fields.Empty(), nil, errors.New("not now")
		})
		b.begin(Options{})
		defer b.end()
		b.must(b.client.NetworkingV1().Ingresses("a").Create(t.Context(), ingress("one", withUsers("users")), metav1.CreateOptions{}))
		b.settle()
		if why := b.closed("one.example.com"); why == "" {
			t.Error("the route is open without its users")
		}
		_, problems := b.translated()
		if !slices.ContainsFunc(problems, func(p model.Problem) bool { return p.Origin.Kind == "Secret" && strings.Contains(p.Reason, "not now") }) {
			t.Errorf("problems are %v", problems)
		}
		broken.Store(false)
		time.Sleep(refetch)
		b.settle()
		if why := b.closed("one.example.com"); why != "" {
			t.Errorf("the route is closed: %s", why)
		}
	})
}

// TestConfigMaps: the controller's own and those that it or an Ingress names.
func TestConfigMaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cm := func(name, version string, data ...string) *corev1.ConfigMap {
			m := &corev1.ConfigMap{ObjectMeta: meta(name), Data: map[string]string{}}
			m.ResourceVersion = version
			for i := 0; i < len(data); i += 2 {
				m.Data[data[i]] = data[i+1]
			}
			return m
		}
		kept := func(b *bed) (names []string) {
			for _, name := range []string{"settings", "first", "second", "kube-root-ca.crt"} {
				if m, _ := b.find(ref{"ConfigMap", "a/" + name}).(*corev1.ConfigMap); m != nil && len(m.Data) > 0 {
					names = append(names, name)
				}
			}
			return names
		}
		b := start(t, Options{ConfigMap: "a/settings"}, class(), cm("settings", "1", "add-headers", "a/first"), cm("first", "1", "X-A", "b"),
			cm("second", "1", "X-C", "d"), cm("kube-root-ca.crt", "1", "ca.crt", "…"))
		defer b.end()
		if got := kept(b); !slices.Equal(got, []string{"settings", "first"}) {
			t.Errorf("kept %q", got)
		}
		b.must(b.client.CoreV1().ConfigMaps("a").Update(t.Context(), cm("settings", "2", "add-headers", "a/second"), metav1.UpdateOptions{}))
		b.settle()
		if got := kept(b); !slices.Equal(got, []string{"settings", "second"}) || b.told == 0 {
			t.Errorf("kept %q, told %d times", got, b.told)
		}
	})
}

// TestFurtherConfigMaps: those of TCP and UDP ports are read with their content, and
// followed.
func TestFurtherConfigMaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ports := func(version, entry string) *corev1.ConfigMap {
			m := &corev1.ConfigMap{ObjectMeta: meta("tcp"), Data: map[string]string{"9000": entry}}
			m.ResourceVersion = version
			return m
		}
		b := start(t, Options{ConfigMaps: []string{"a/tcp"}}, class(), service("app"), service("other"), ports("1", "a/app:80"))
		defer b.end()
		flags := translate.DefaultFlags()
		flags.TCPServices = "a/tcp"
		streams := func() []model.Stream {
			objects, _ := b.Load()
			cfg, _ := translate.Translate(objects, translate.Options{ForeignBalancers: true, Default: &translate.Default{Flags: flags}})
			return cfg.Controllers[0].Streams
		}
		if s := streams(); len(s) != 1 || s[0].Port != 9000 || s[0].Service != "app" {
			t.Fatalf("streams %+v", s)
		}
		b.must(b.client.CoreV1().ConfigMaps("a").Update(t.Context(), ports("2", "a/other:80"), metav1.UpdateOptions{}))
		b.settle()
		if s := streams(); len(s) != 1 || s[0].Service != "other" || b.told != 1 {
			t.Errorf("streams %+v, told %d times", s, b.told)
		}
	})
}

// TestTrim: what is cut off is not read, and cutting twice changes nothing.
func TestTrim(t *testing.T) {
	in := ingress("one", func(in *networkingv1.Ingress) {
		in.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
		in.Annotations = map[string]string{appliedNote: "{}", "kubernetes.io/ingress.class": "nginx"}
	})
	trim(in, true)
	if in.ManagedFields != nil || len(in.Annotations) != 1 || len(in.Spec.Rules) != 1 {
		t.Errorf("left of the Ingress: %v", in)
	}
	s := secret("s", "1", "content")
	trim(s, true)
	if isEmptied(s) || len(s.Data) != 1 {
		t.Errorf("left of a wanted Secret: %v", s)
	}
	trim(s, false)
	if !isEmptied(s) || s.Data != nil || s.Name != "s" {
		t.Errorf("left of an unwanted Secret: %v", s)
	}
	es := slice("x", "app", "1", "10.0.0.1")
	node := "node"
	es.Endpoints[0].NodeName, es.Labels["more"] = &node, "x"
	trim(es, true)
	if es.Endpoints[0].NodeName != nil || len(es.Labels) != 1 || serviceOf(es) != "a/app" {
		t.Errorf("left of the slice: %v", es)
	}
}

// TestSignal: changes are told when no more come, or after the bound.
func TestSignal(t *testing.T) {
	for _, c := range []struct {
		gap  time.Duration
		n    int
		want time.Duration
	}{
		{0, 1, 20 * time.Millisecond},
		{10 * time.Millisecond, 3, 40 * time.Millisecond},
		{19 * time.Millisecond, 100, 200 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(c.n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSignal(20*time.Millisecond, 200*time.Millisecond)
				begin := time.Now()
				go func() {
					for range c.n {
						s.tell()
						time.Sleep(c.gap)
					}
				}()
				if !s.wait(t.Context()) || time.Since(begin) != c.want {
					t.Errorf("told after %v, want %v", time.Since(begin), c.want)
				}
				time.Sleep(10 * time.Second)
			})
		})
	}
}
