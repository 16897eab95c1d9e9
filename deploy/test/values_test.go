package deploy

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// honoured is what known.yaml says of a value that does something.
const honoured = "honoured"

// leaves lists the paths below a tree of values, without going into those that stop says.
func leaves(tree values, stop func(path string) bool) map[string]any {
	out := map[string]any{}
	var walk func(v values, path string)
	walk = func(v values, path string) {
		for key, value := range v {
			p := path + key
			if m, ok := value.(values); ok && len(m) > 0 && !stop(p) {
				walk(m, p+".")
			} else {
				out[p] = value
			}
		}
	}
	walk(tree, "")
	return out
}

func never(string) bool { return false }

// known reads known.yaml: what it says of each path.
func known(t *testing.T) map[string]any { return leaves(readValues(t, chartDir+"/known.yaml"), never) }

// knows tells what known.yaml says of a path or of one above it.
func knows(known map[string]any, path string) (string, bool) {
	for {
		if what, ok := known[path]; ok {
			return what.(string), true
		}
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return "", false
		}
		path = path[:i]
	}
}

// TestKnown holds that known.yaml is complete: every value of our own chart is there and
// honoured, and every value of ingress-nginx's chart is there.
func TestKnown(t *testing.T) {
	all := known(t)
	for path := range leaves(readValues(t, chartDir+"/values.yaml"), never) {
		if what, ok := knows(all, path); !ok || what != honoured {
			t.Errorf("%s is a value of our chart; known.yaml says %q", path, what)
		}
	}
	theirs, err := os.ReadFile("testdata/ingress-nginx-4.15.txt")
	if err != nil {
		t.Fatal(err)
	}
	paths := strings.Fields(string(theirs))
	if len(paths) < 370 {
		t.Fatalf("%d values of ingress-nginx's chart: is the list still whole?", len(paths))
	}
	for _, path := range paths {
		if _, ok := knows(all, path); !ok {
			t.Errorf("%s is a value of ingress-nginx's chart that known.yaml does not have", path)
		}
	}
}

// everything makes as many values as possible matter.
var everything = with(
	"controller.service.internal.enabled", true, "controller.service.internal.annotations", values{"internal": "true"},
	"controller.networkPolicy.enabled", true,
	"controller.metrics.enabled", true, "controller.metrics.serviceMonitor.enabled", true, "controller.metrics.prometheusRule.enabled", true,
	"controller.autoscaling.enabled", true, "controller.autoscaling.minReplicas", 2,
	"defaultBackend.enabled", true, "defaultBackend.autoscaling.enabled", true, "defaultBackend.autoscaling.minReplicas", 2, "defaultBackend.networkPolicy.enabled", true,
	"tcp", values{"9000": "shop/queue:9000"}, "udp", values{"5300": "kube-system/dns:53"},
)

// given is what values below a path need beside everything to matter.
var given = map[string]values{
	"controller.keda":                                  with("controller.keda.enabled", true, "controller.autoscaling.enabled", false),
	"controller.keda.enabled":                          with("controller.autoscaling.enabled", false),
	"controller.replicaCount":                          with("controller.autoscaling.enabled", false),
	"defaultBackend.replicaCount":                      with("defaultBackend.autoscaling.enabled", false),
	"controller.admissionWebhooks.certManager":         with("controller.admissionWebhooks.certManager.enabled", true),
	"controller.admissionWebhooks.certManager.enabled": {},
	"controller.admissionWebhooks.certificate":         with("controller.admissionWebhooks.patch.enabled", false),
	"controller.admissionWebhooks.key":                 with("controller.admissionWebhooks.patch.enabled", false),
	"controller.hostPort.ports":                        with("controller.hostPort.enabled", true),
	"controller.reportNodeInternalIp":                  with("controller.hostNetwork", true),
	"controller.scope.namespace":                       with("controller.scope.enabled", true),
	"controller.metrics.service.nodePort":              with("controller.metrics.service.type", "NodePort"),
	"rbac.scope":                                       with("controller.scope.enabled", true),
}

// samples are values other than the default where the default's type does not say one.
var samples = map[string]any{
	"controller.kind":                                           "DaemonSet",
	"controller.extraEnvs":                                      []any{values{"name": "A", "value": "b"}},
	"controller.extraContainers":                                []any{values{"name": "a", "image": "b"}},
	"controller.extraInitContainers":                            []any{values{"name": "a", "image": "b"}},
	"controller.extraVolumes":                                   []any{values{"name": "a", "emptyDir": values{}}},
	"controller.extraVolumeMounts":                              []any{values{"name": "a", "mountPath": "/a"}},
	"controller.maxUnavailable":                                 1,
	"controller.service.allocateLoadBalancerNodePorts":          false,
	"controller.service.internal.allocateLoadBalancerNodePorts": false,
	"controller.service.healthCheckNodePort":                    30001,
	"controller.service.internal.healthCheckNodePort":           30001,
	"controller.service.nodePorts.tcp":                          values{"9000": 30900},
	"controller.service.nodePorts.udp":                          values{"5300": 30530},
	"controller.service.internal.nodePorts.tcp":                 values{"9000": 30900},
	"controller.service.internal.nodePorts.udp":                 values{"5300": 30530},
	"controller.service.internal.ports":                         values{"http": 8080},
	"controller.service.internal.targetPorts":                   values{"http": 8080},
	"controller.admissionWebhooks.certManager.issuerRef":        values{"name": "mine"},
	"controller.keda.fallback":                                  values{"replicas": 3},
	"controller.livenessProbe":                                  values{"failureThreshold": 9},
	"controller.readinessProbe":                                 values{"failureThreshold": 9},
	"controller.startupProbe":                                   values{"httpGet": values{}},
	"controller.containerPort":                                  values{"http": 8080},
	"defaultBackend.maxUnavailable":                             1,
	"defaultBackend.extraEnvs":                                  []any{values{"name": "A", "value": "b"}},
	"defaultBackend.extraVolumes":                               []any{values{"name": "a", "emptyDir": values{}}},
	"defaultBackend.extraVolumeMounts":                          []any{values{"name": "a", "mountPath": "/a"}},
	"defaultBackend.extraConfigMaps":                            []any{values{"name": "pages", "data": values{"404": "gone"}}},
	"tcp":                                                       values{"9001": "shop/queue:9001"},
	"udp":                                                       values{"5301": "shop/queue:5301"},
}

// another returns a value that is not the default.
func another(path string, usual any) any {
	if s, ok := samples[path]; ok {
		return s
	}
	switch v := usual.(type) {
	case bool:
		return !v
	case float64:
		return v + 1
	case []any:
		return []any{"sample"}
	case values:
		return values{"sample": "value"}
	default:
		return "sample"
	}
}

// merged puts values over others, as Helm does.
func merged(under values, over ...values) values {
	text, _ := yaml.Marshal(under)
	out := values{}
	_ = yaml.Unmarshal(text, &out) // a copy
	for _, o := range over {
		for path, value := range leaves(o, never) {
			put(out, path, value)
		}
	}
	return out
}

// TestHonoured changes every value that is said to be honoured, one at a time: something
// that is installed must change with it.
func TestHonoured(t *testing.T) {
	all, defaults := known(t), readValues(t, chartDir+"/values.yaml")
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if all[path] != honoured {
			continue
		}
		base := everything
		for p := path; ; {
			if g, ok := given[p]; ok {
				base = merged(everything, g)
				break
			}
			i := strings.LastIndexByte(p, '.')
			if i < 0 {
				break
			}
			p = p[:i]
		}
		usual, ok := at(base, path)
		if !ok {
			usual, _ = at(defaults, path)
		}
		value := another(path, usual)
		changed := merged(base)
		put(changed, path, value)
		before, err := cached(base)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		after, err := render(release{values: changed, quiet: true})
		if err != nil {
			t.Errorf("%s=%v: %v", path, value, err)
			continue
		}
		if before == after.manifest() {
			t.Errorf("%s=%v changes nothing", path, value)
		}
	}
}

var manifests = map[string]string{} // by values

// cached renders values once.
func cached(v values) (string, error) {
	key, err := yaml.Marshal(v)
	if err != nil {
		return "", err
	}
	if text, ok := manifests[string(key)]; ok {
		return text, nil
	}
	out, err := render(release{values: v, quiet: true})
	manifests[string(key)] = out.manifest()
	return out.manifest(), err
}

// TestEveryValueOfAUserIsAnswered holds what a user of ingress-nginx's chart is promised:
// each of the values in a file of theirs is honoured, or named in the notes as having no
// effect.
func TestEveryValueOfAUserIsAnswered(t *testing.T) {
	all := known(t)
	r := fullRelease(t)
	out := mustRender(t, r)
	defaults := readValues(t, chartDir+"/values.yaml")
	set := leaves(r.values, func(path string) bool { _, leaf := all[path]; return leaf })
	if len(set) < 60 {
		t.Fatalf("%d values are set; it should be at least 60", len(set))
	}
	did, told := 0, 0
	for path, value := range set {
		what, ok := knows(all, path)
		switch {
		case ok && what == honoured:
			did++
			if named := strings.Contains(out.notes, "- "+path+":"); named {
				t.Errorf("%s is honoured, but the notes say it has no effect", path)
			}
			// Without it something else is installed, unless it says what is so anyway.
			without := merged(r.values)
			remove(without, path)
			rest := mustRender(t, release{name: r.name, namespace: r.namespace, values: without, quiet: true})
			usual, _ := at(defaults, path)
			if same := rest.manifest() == out.manifest(); same && fmt.Sprint(usual) != fmt.Sprint(value) && !strings.HasPrefix(path, "controller.image.") {
				t.Errorf("%s=%v makes no difference", path, value)
			}
		case ok:
			told++
			if !strings.Contains(out.notes, "- "+path+": "+what) {
				t.Errorf("%s has no effect, and the notes do not say so:\n%s", path, out.notes)
			}
		default:
			told++
			above, _, _ := strings.Cut(path, ".")
			if !strings.Contains(out.notes, "unknown") || !strings.Contains(out.notes, "- "+above+"\n") {
				t.Errorf("%s is unknown, and the notes do not say so:\n%s", path, out.notes)
			}
		}
	}
	t.Logf("%d values set: %d honoured, %d named as having no effect", len(set), did, told)
}

// remove takes the value at a path out.
func remove(v values, path string) {
	for {
		key, rest, more := strings.Cut(path, ".")
		if !more {
			delete(v, key)
			return
		}
		v, _ = v[key].(values)
		path = rest
	}
}

// TestNotes holds what the notes say of values that are good by themselves.
func TestNotes(t *testing.T) {
	for _, c := range []struct {
		name, want string // "": nothing is said
		values     values
	}{
		{"default", "", nil},
		{"a name that is wrong further down", "- controller.service.externl\n", with("controller.service.externl", values{"enabled": true})},
		{"a word where a map belongs", "- controller.service.external (it should be a map)", with("controller.service.external", "yes")},
		{"an image of ingress-nginx by its tag", "ghcr.io/pierhead/pierhead:0.1.0-dev is used", with("controller.image.tag", "v1.15.1")},
		{"an image of ours", "", with("controller.image.repository", "mirror.example.com/pierhead", "controller.image.tag", "0.1.0", "controller.image.digest", "sha256:00")},
		{"internal without annotations", "controller.service.internal: without annotations", with("controller.service.internal.enabled", true)},
		{"both scalers", "both are enabled", with("controller.autoscaling.enabled", true, "controller.keda.enabled", true)},
		{"a scaled DaemonSet", "a DaemonSet has a Pod on each node", with("controller.kind", "DaemonSet", "controller.autoscaling.enabled", true)},
		{"monitors without metrics", "controller.metrics.enabled is false", with("controller.metrics.serviceMonitor.enabled", true)},
	} {
		out, err := render(release{values: c.values})
		if err != nil && c.name != "a word where a map belongs" {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if said := strings.Contains(out.notes, "no effect"); err == nil && (said != (c.want != "") || !strings.Contains(out.notes, c.want)) {
			t.Errorf("%s: the notes are\n%s", c.name, out.notes)
		}
	}
}
