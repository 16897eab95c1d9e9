package deploy

import (
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
)

// cases are the ways to install whose every line is kept in a golden file.
var cases = map[string]release{
	"default": {},
	"surge": {values: with("controller.kind", "DaemonSet", "controller.hostNetwork", true, "controller.dnsPolicy", "ClusterFirstWithHostNet", "controller.service.type", "ClusterIP",
		"controller.publishService.enabled", false, "controller.updateStrategy", values{"type": "RollingUpdate", "rollingUpdate": values{"maxSurge": 1, "maxUnavailable": 0}},
		"controller.containerPort", values{"http": 8080, "https": 8443}, "controller.metrics.port", 9254, "controller.admissionWebhooks.port", 9443,
		"controller.metrics.enabled", true, "tcp", values{"9000": "shop/queue:9000"}, "udp", values{"5300": "shop/names:53"})},
	"daemonset":       {values: with("controller.kind", "DaemonSet", "controller.hostNetwork", true, "controller.dnsPolicy", "ClusterFirstWithHostNet", "controller.service.enabled", false)},
	"namespaced":      {values: with("controller.scope.enabled", true, "rbac.scope", true, "controller.ingressClassResource.enabled", false, "controller.admissionWebhooks.enabled", false)},
	"other-namespace": {values: with("controller.scope.enabled", true, "controller.scope.namespace", "shop")},
	"high-ports":      {values: with("controller.containerPort.http", 8080, "controller.containerPort.https", 8443, "controller.admissionWebhooks.port", 9443)},
	"nodes":           {values: with("controller.publishService.enabled", false, "controller.reportNodeInternalIp", true, "controller.enableTopologyAwareRouting", true, "controller.admissionWebhooks.enabled", false)},
	"no-status":       {values: with("controller.extraArgs", values{"update-status": "false"}, "controller.admissionWebhooks.enabled", false)},
	"http3":           {values: with("controller.http3.enabled", true, "controller.networkPolicy.enabled", true, "controller.service.nodePorts.https", 30443)},
	"cert-manager":    {values: with("controller.admissionWebhooks.certManager.enabled", true)},
	"scaled":          {values: with("controller.autoscaling.enabled", true, "controller.autoscaling.minReplicas", 2, "controller.networkPolicy.enabled", true, "controller.metrics.enabled", true, "controller.metrics.serviceMonitor.enabled", true, "controller.metrics.prometheusRule.enabled", true)},
}

// everyCase calls f with each of cases and with the values file of a user.
func everyCase(t *testing.T, f func(t *testing.T, name string, out rendered)) {
	for name, r := range cases {
		t.Run(name, func(t *testing.T) { f(t, name, mustRender(t, r)) })
	}
	t.Run("full", func(t *testing.T) { f(t, "full", mustRender(t, fullRelease(t))) })
}

// fullRelease is what a user of ingress-nginx's chart comes with.
func fullRelease(t *testing.T) release {
	return release{name: "edge", namespace: "ingress", values: readValues(t, "testdata/full.values.yaml")}
}

func TestGolden(t *testing.T) {
	everyCase(t, func(t *testing.T, name string, out rendered) {
		compare(t, "testdata/"+name+".golden.yaml", []byte(out.manifest()))
		compare(t, "testdata/"+name+".notes.txt", []byte(out.notes))
	})
}

func TestLint(t *testing.T) {
	everyCase(t, func(t *testing.T, name string, _ rendered) {
		r := cases[name]
		if name == "full" {
			r = fullRelease(t)
		}
		for _, m := range lint.RunAll(chartDir, r.values, "pierhead").Messages {
			if m.Severity >= support.WarningSev {
				t.Error(m)
			}
		}
	})
}

// TestRefused holds what is said where values contradict each other so that nothing good
// could be installed.
func TestRefused(t *testing.T) {
	for want, v := range map[string]values{
		"controller.kind":          with("controller.kind", "Both"),
		"controller.scope.enabled": with("rbac.scope", true),
	} {
		if _, err := render(release{values: v}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error is %v, which does not name %s", v, err, want)
		}
	}
}
