package deploy

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// podTemplates returns the Pods that workloads make.
func podTemplates(t *testing.T, out rendered) map[string]corev1.PodTemplateSpec {
	t.Helper()
	pods := map[string]corev1.PodTemplateSpec{}
	for _, o := range out.objects {
		if o.kind != "Deployment" && o.kind != "DaemonSet" {
			continue
		}
		var d appsv1.Deployment // a DaemonSet has its template at the same place
		if err := yaml.Unmarshal([]byte(o.text), &d); err != nil {
			t.Fatal(err)
		}
		pods[o.String()] = d.Spec.Template
	}
	return pods
}

// TestPodSecurity asks what the API server would ask in a namespace whose Pod Security
// is "restricted". Pods of the host's network are never allowed there: for them nothing
// else may be wrong.
func TestPodSecurity(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	everyCase(t, func(t *testing.T, name string, out rendered) {
		pods := podTemplates(t, out)
		if len(pods) == 0 {
			t.Fatal("there are no Pods")
		}
		for what, pod := range pods {
			for _, r := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
				host := (name == "daemonset" || name == "surge") && (r.ForbiddenReason == "host namespaces" || r.ForbiddenReason == "hostPort")
				if !r.Allowed && !host {
					t.Errorf("%s: %s: %s", what, r.ForbiddenReason, r.ForbiddenDetail)
				}
			}
		}
	})
}

// TestCapability holds that NET_BIND_SERVICE is there when a port needs it, and only then.
func TestCapability(t *testing.T) {
	high := []any{"controller.containerPort.http", 8080, "controller.containerPort.https", 8443}
	for _, c := range []struct {
		name   string
		values values
		want   bool
	}{
		{"80 and 443", nil, true},
		{"high", with(high...), false},
		{"high by flags", with("controller.extraArgs.http-port", 8080, "controller.extraArgs.https-port", "8443"), false},
		{"low by a flag", with(append(high, "controller.extraArgs.https-port", "443")...), true},
		{"low TCP", with(append(high, "tcp", values{"25": "mail/smtp:25"})...), true},
		{"high UDP", with(append(high, "udp", values{"5353": "kube-system/dns:53"})...), false},
		{"low webhook", with(append(high, "controller.admissionWebhooks.port", 443)...), true},
	} {
		d := find[appsv1.Deployment](t, mustRender(t, release{values: c.values}), "Deployment", "pierhead-controller")
		got := d.Spec.Template.Spec.Containers[0].SecurityContext.Capabilities
		if !slices.Equal(got.Drop, []corev1.Capability{"ALL"}) || (len(got.Add) == 1) != c.want {
			t.Errorf("%s: capabilities are %v", c.name, got)
		}
	}
}

// TestRoles holds the rights that matter: no writing of what is not ours, nothing that a
// narrower scope does not need, and no wildcard.
func TestRoles(t *testing.T) {
	everyCase(t, func(t *testing.T, name string, out rendered) {
		for _, o := range out.objects {
			if o.kind != "Role" && o.kind != "ClusterRole" {
				continue
			}
			var r rbacv1.ClusterRole
			if err := yaml.Unmarshal([]byte(o.text), &r); err != nil {
				t.Fatal(err)
			}
			for _, rule := range r.Rules {
				checkRule(t, o, rule)
				if o.kind == "ClusterRole" && slices.Contains(rule.Resources, "secrets") && (name == "namespaced" || name == "other-namespace") {
					t.Errorf("%s reads the Secrets of all namespaces though one is watched", o)
				}
			}
		}
		if name == "namespaced" && (out.has("ClusterRole") || out.has("ClusterRoleBinding")) {
			t.Error("roles in one namespace were asked for")
		}
	})
}

// mayWrite are the only resources that are written, and how.
var mayWrite = map[string][]string{
	"ingresses/status": {"update"}, "events": {"create", "patch"}, "leases": {"create", "update"},
	"secrets": {"create", "patch"}, "validatingwebhookconfigurations": {"patch"},
}

func checkRule(t *testing.T, o object, rule rbacv1.PolicyRule) {
	t.Helper()
	for _, resource := range rule.Resources {
		for _, verb := range rule.Verbs {
			if strings.Contains(verb+resource+strings.Join(rule.APIGroups, ""), "*") {
				t.Errorf("%s: a wildcard in %v", o, rule)
			}
			read := verb == "get" || verb == "list" || verb == "watch"
			if !read && !slices.Contains(mayWrite[resource], verb) {
				t.Errorf("%s: may %s %s", o, verb, resource)
			}
			named := resource == "secrets" || resource == "leases" && verb == "update" || resource == "validatingwebhookconfigurations"
			if named && !read && len(rule.ResourceNames) != 1 {
				t.Errorf("%s: may %s every one of %s", o, verb, resource)
			}
		}
	}
}

// TestMetricsFrom: who may reach health check, metrics and state is who is named, whether
// metrics are asked for or not; the ports of requests are open to everybody.
func TestMetricsFrom(t *testing.T) {
	prometheus := []any{values{"namespaceSelector": values{"matchLabels": values{"kubernetes.io/metadata.name": "monitoring"}}}}
	for _, c := range []struct {
		name        string
		values      []any
		open, named bool // the port, for all and for those
	}{
		{"nobody asks for metrics", nil, false, false},
		{"metrics for all", []any{"controller.metrics.enabled", true}, true, false},
		{"named", []any{"controller.metrics.enabled", true, "controller.networkPolicy.metricsFrom", prometheus}, false, true},
		{"named without metrics", []any{"controller.networkPolicy.metricsFrom", prometheus}, false, true},
	} {
		p := find[networkingv1.NetworkPolicy](t, mustRender(t, release{values: with(append(c.values, "controller.networkPolicy.enabled", true)...)}), "NetworkPolicy", "pierhead-controller")
		open, named, web := false, false, false
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				switch {
				case port.Port.IntValue() == 443:
					web = len(rule.From) == 0
				case port.Port.IntValue() == 10254 && len(rule.From) == 0:
					open = true
				case port.Port.IntValue() == 10254:
					named = rule.From[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"] == "monitoring"
				}
			}
		}
		if open != c.open || named != c.named || !web {
			t.Errorf("%s: open %v, for those that are named %v, web %v", c.name, open, named, web)
		}
	}
}
