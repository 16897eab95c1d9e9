package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	"sigs.k8s.io/yaml"

	// The module that has ingress-nginx's chart. Nothing of it is used but the chart.
	_ "k8s.io/ingress-nginx/pkg/util/sets"
)

// theirChart returns the folder of ingress-nginx's chart, in the newest version that Go's
// module proxy has: 4.11. Names, selectors and flags are those of 4.15.
func theirChart(t *testing.T) string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/ingress-nginx").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "charts", "ingress-nginx")
}

// theirs is what ingress-nginx's chart installs, without the jobs that run and go.
func theirs(t *testing.T, name string, v values) rendered {
	t.Helper()
	out := mustRender(t, release{name: name, namespace: "ingress", values: v, chart: theirChart(t), quiet: true})
	out.objects = slices.DeleteFunc(out.objects, func(o object) bool { return strings.Contains(o.text, "helm.sh/hook") })
	return out
}

// TestTakesOverARelease holds that a release of ingress-nginx can become one of Pierhead:
// what it has stays, by kind and name, and what cannot be changed is the same.
func TestTakesOverARelease(t *testing.T) {
	for _, name := range []string{"ingress-nginx", "edge"} {
		old := theirs(t, name, with("controller.metrics.enabled", true, "defaultBackend.enabled", true, "tcp", values{"9000": "shop/queue:9000"}))
		ours := mustRender(t, release{name: name, namespace: "ingress", values: merged(takeOver(t),
			with("controller.metrics.enabled", true, "defaultBackend.enabled", true, "tcp", values{"9000": "shop/queue:9000"}))})
		if len(old.objects) < 15 {
			t.Fatalf("ingress-nginx's chart makes %d objects only", len(old.objects))
		}
		for _, o := range old.objects {
			if !slices.ContainsFunc(ours.objects, func(p object) bool { return p.String() == o.String() }) {
				t.Errorf("%s would be deleted", o)
				continue
			}
			switch o.kind {
			case "Deployment":
				was, is := find[appsv1.Deployment](t, old, o.kind, o.name), find[appsv1.Deployment](t, ours, o.kind, o.name)
				same(t, o, was.Spec.Selector, is.Spec.Selector)
			case "Service":
				was, is := find[corev1.Service](t, old, o.kind, o.name), find[corev1.Service](t, ours, o.kind, o.name)
				same(t, o, was.Spec.Selector, is.Spec.Selector)
				same(t, o, was.Spec.Ports, is.Spec.Ports)
				same(t, o, was.Spec.Type, is.Spec.Type)
			case "IngressClass":
				same(t, o, find[networkingv1.IngressClass](t, old, o.kind, o.name).Spec, find[networkingv1.IngressClass](t, ours, o.kind, o.name).Spec)
			case "RoleBinding", "ClusterRoleBinding":
				same(t, o, find[rbacv1.RoleBinding](t, old, o.kind, o.name).RoleRef, find[rbacv1.RoleBinding](t, ours, o.kind, o.name).RoleRef)
			}
		}
	}
}

func same(t *testing.T, o object, was, is any) {
	t.Helper()
	a, _ := yaml.Marshal(was)
	b, _ := yaml.Marshal(is)
	if string(a) != string(b) {
		t.Errorf("%s: was\n%sand is\n%s", o, a, b)
	}
}

// cluster is the API server that Helm's lookup asks.
type cluster struct{ dynamic.Interface }

func (c cluster) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	gv, err := schema.ParseGroupVersion(apiVersion)
	return c.Resource(gv.WithResource(strings.ToLower(kind) + "s")), true, err
}

// TestRefusesToLoseTheAddress upgrades a release of ingress-nginx without the values that
// keep its names.
func TestRefusesToLoseTheAddress(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := appsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	running := cluster{fake.NewSimpleDynamicClient(scheme, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ingress", Name: "edge-ingress-nginx-controller", Labels: map[string]string{"app.kubernetes.io/name": "ingress-nginx"}},
	})}
	r := release{name: "edge", namespace: "ingress", upgrade: true, client: running}
	if _, err := render(r); err == nil || !strings.Contains(err.Error(), "nameOverride=ingress-nginx") {
		t.Errorf("error is %v, which does not tell what to set", err)
	}
	r.values = takeOver(t)
	if _, err := render(r); err != nil {
		t.Errorf("with the names kept: %v", err)
	}
	r.values, r.name = nil, "other"
	if _, err := render(r); err != nil {
		t.Errorf("another release: %v", err)
	}
}

// program builds Pierhead once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pierhead")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "pierhead")
	out, err := exec.Command("go", "build", "-C", "../..", "-o", path, "./cmd/pierhead").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// starts runs Pierhead with the words of a container until it has read its flags.
func starts(t *testing.T, words []string) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, "$(POD_NAMESPACE)", "ingress")
	}
	out, err := exec.Command(path, append(words, "--version")...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "pierhead") {
		t.Errorf("%q: %v: %s", words, err, out)
	}
	if strings.Contains(string(out), "unknown") {
		t.Errorf("%q: %s", words, out)
	}
}

// TestFlags holds that the program takes every flag that the chart gives it.
func TestFlags(t *testing.T) {
	everyCase(t, func(t *testing.T, _ string, out rendered) {
		for what, pod := range podTemplates(t, out) {
			if c := pod.Spec.Containers[0]; slices.Contains(c.Command, "/pierhead") {
				starts(t, append(slices.Clone(c.Command[1:]), c.Args...))
			} else if !strings.Contains(what, "defaultbackend") {
				t.Errorf("%s runs %q", what, c.Command)
			}
		}
	})
}

// TestOnlyTheImage holds that ingress-nginx's own objects run Pierhead's image: the words
// of its container are taken, and its roles are enough.
func TestOnlyTheImage(t *testing.T) {
	out := theirs(t, "edge", onlyTheImage(t))
	c := podTemplates(t, out)["Deployment ingress/edge-ingress-nginx-controller"].Spec.Containers[0]
	if !strings.HasPrefix(c.Image, "ghcr.io/pierhead/pierhead:") || !strings.HasSuffix(c.Image, "@sha256:"+strings.Repeat("0", 64)) || len(c.Command) != 0 || c.Args[0] != "/nginx-ingress-controller" {
		t.Fatalf("the container is %s %q %q", c.Image, c.Command, c.Args)
	}
	starts(t, slices.Clone(c.Args)) // the image's entrypoint comes before them
	given := rights(t, out)
	ours := mustRender(t, release{name: "edge", namespace: "ingress", values: merged(takeOver(t), with("controller.admissionWebhooks.patch.enabled", false))})
	for right := range rights(t, ours) {
		if !given[right] {
			t.Errorf("Pierhead may need to %s, which ingress-nginx's roles do not allow", right)
		}
	}
}

// rights lists what the roles allow.
func rights(t *testing.T, out rendered) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, o := range out.objects {
		if o.kind != "Role" && o.kind != "ClusterRole" {
			continue
		}
		for _, rule := range find[rbacv1.ClusterRole](t, out, o.kind, o.name).Rules {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					all[fmt.Sprintf("%s: %s %s/%s %v", o.kind, verb, rule.APIGroups[0], resource, rule.ResourceNames)] = true
				}
			}
		}
	}
	return all
}
