package deploy

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// surging is the example of docs/install.md: a DaemonSet in the nodes' network whose new
// Pods start beside the old ones.
func surging(t *testing.T) values { return exampleValues(t)[3] }

// controllerOf returns the DaemonSet of a release and its container.
func controllerOf(t *testing.T, v values) (*appsv1.DaemonSet, *corev1.Container) {
	t.Helper()
	d := find[appsv1.DaemonSet](t, mustRender(t, release{values: v, quiet: true}), "DaemonSet", "pierhead-controller")
	return d, &d.Spec.Template.Spec.Containers[0]
}

var asksItself = []string{"/pierhead", "healthz"}

// TestTakeover holds what two Pods need that take each other's place: the flag, no port
// that only one of them could have, and probes that ask the one they are for.
func TestTakeover(t *testing.T) {
	d, c := controllerOf(t, merged(surging(t), with("controller.startupProbe", values{"httpGet": values{"scheme": "HTTP"}})))
	if u := d.Spec.UpdateStrategy.RollingUpdate; u == nil || u.MaxSurge.IntValue() != 1 || u.MaxUnavailable.IntValue() != 0 {
		t.Errorf("it rolls by %v", u)
	}
	if !slices.Contains(c.Args, "--takeover=true") || len(c.Ports) > 0 {
		t.Errorf("the arguments are %q and the ports %v", c.Args, c.Ports)
	}
	for name, p := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		if p == nil || p.HTTPGet != nil || p.Exec == nil || !slices.Equal(p.Exec.Command, asksItself) || p.TimeoutSeconds != 5 {
			t.Errorf("the %s probe is %v", name, p)
		}
	}
	_, c = controllerOf(t, merged(surging(t), with("controller.livenessProbe.httpGet.port", 9, "controller.readinessProbe", values{"httpGet": nil, "exec": values{"command": []any{"/mine"}}})))
	if p := c.LivenessProbe; p.HTTPGet == nil || p.HTTPGet.Port.IntValue() != 9 || p.Exec != nil {
		t.Errorf("a liveness probe of a user becomes %v", p)
	}
	if p := c.ReadinessProbe; p.HTTPGet != nil || p.Exec == nil || p.Exec.Command[0] != "/mine" || p.TimeoutSeconds != 1 {
		t.Errorf("a readiness probe of a user becomes %v", p)
	}
	if d, _ := controllerOf(t, merged(surging(t), with("controller.updateStrategy", values{"rollingUpdate": values{"maxSurge": "50%"}}))); d.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
		t.Errorf("with maxSurge alone it rolls by %v, which the API server refuses", d.Spec.UpdateStrategy.RollingUpdate)
	}
}

// TestTakeoverPorts holds that every Service of such a release leads to a number.
func TestTakeoverPorts(t *testing.T) {
	out := mustRender(t, release{values: merged(surging(t), with("controller.service.enabled", true, "controller.service.internal.enabled", true, "controller.service.internal.annotations", values{"a": "b"},
		"controller.metrics.enabled", true, "controller.metrics.port", 9254, "controller.containerPort", values{"http": 8080, "https": 8443, "more": 8081}, "controller.service.internal.targetPorts", values{"http": "more", "https": 7},
		"controller.admissionWebhooks.port", 9443, "tcp", values{"9000": "shop/queue:9000"}, "udp", values{"5300": "shop/names:53"})), quiet: true})
	want := map[string][]int{
		"pierhead-controller":           {8080, 8443, 9000, 5300},
		"pierhead-controller-internal":  {8081, 7, 9000, 5300},
		"pierhead-controller-admission": {9443},
		"pierhead-controller-metrics":   {9254},
	}
	for name, ports := range want {
		var got []int
		for _, p := range find[corev1.Service](t, out, "Service", name).Spec.Ports {
			if p.TargetPort.Type != intstr.Int {
				t.Errorf("port %s of %s leads to %s", p.Name, name, p.TargetPort.StrVal)
			}
			got = append(got, p.TargetPort.IntValue())
		}
		if !slices.Equal(got, ports) {
			t.Errorf("%s leads to %v, want %v", name, got, ports)
		}
	}
}

// TestNoTakeover holds that all others stay as they are.
func TestNoTakeover(t *testing.T) {
	for name, v := range map[string]values{
		"no surge":              with("controller.updateStrategy", values{"rollingUpdate": values{"maxSurge": 0, "maxUnavailable": 1}}),
		"a surge of 0%":         with("controller.updateStrategy", values{"rollingUpdate": values{"maxSurge": "0%", "maxUnavailable": 1}}),
		"a network of its own":  with("controller.hostNetwork", false),
		"switched off by users": with("controller.extraArgs", values{"takeover": "false"}),
		"OnDelete":              with("controller.updateStrategy.type", "OnDelete"),
	} {
		_, c := controllerOf(t, merged(surging(t), v))
		if slices.Contains(c.Args, "--takeover=true") || len(c.Ports) == 0 || c.ReadinessProbe.HTTPGet == nil || c.ReadinessProbe.Exec != nil {
			t.Errorf("%s: arguments %q, ports %v, probe %v", name, c.Args, c.Ports, c.ReadinessProbe)
		}
	}
}

// TestHostNotes holds what the notes say of Pods in the nodes' network.
func TestHostNotes(t *testing.T) {
	const replaced, over, shared = "its node refuses connections", "take over the sockets", "WARNING: controller.livenessProbe"
	for _, c := range []struct {
		values values
		says   []string
	}{
		{nil, nil},
		{with("controller.hostPort.enabled", true), []string{"Pod Security"}},
		{with("controller.kind", "DaemonSet", "controller.hostNetwork", true), []string{"Pod Security", replaced}},
		{surging(t), []string{"Pod Security", over}},
		{merged(surging(t), with("controller.livenessProbe.httpGet.path", "/healthz")), []string{"Pod Security", over, shared}},
		{merged(surging(t), with("controller.hostPort.enabled", true)), []string{"Pod Security", over, "controller.hostPort: "}},
	} {
		notes := mustRender(t, release{values: c.values}).notes
		for _, words := range []string{"Pod Security", replaced, over, shared, "controller.hostPort: "} {
			if got, want := strings.Contains(notes, words), slices.Contains(c.says, words); got != want {
				t.Errorf("%v: the notes tell of %q: %v, want %v:\n%s", c.values, words, got, want, notes)
			}
		}
	}
}
