package suite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/e2e/node"
)

// single is a Pod of the echo application without a Deployment.
func single(name, spec, container string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {app: single}}
spec:
  %s
  containers:
  - name: echo
    image: pierhead.dev/echo
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
    %s
`, name, spec, container)
}

// ready waits for a Pod and returns it.
func (s *space) ready(name string) *corev1.Pod {
	s.Helper()
	var pod *corev1.Pod
	s.eventually(30*time.Second, func() (err error) {
		if pod, err = kube.Client().CoreV1().Pods(s.name).Get(s.Context(), name, metav1.GetOptions{}); err != nil {
			return err
		}
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("%s is not ready: %+v", name, pod.Status.ContainerStatuses)
	})
	return pod
}

// deleted deletes a Pod and returns how long it stayed.
func (s *space) deleted(name string) time.Duration {
	s.Helper()
	begun := time.Now()
	if err := kube.Client().CoreV1().Pods(s.name).Delete(s.Context(), name, metav1.DeleteOptions{}); err != nil {
		s.Fatal(err)
	}
	s.eventually(30*time.Second, func() error {
		_, err := kube.Client().CoreV1().Pods(s.name).Get(s.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("%s is still there: %v", name, err)
	})
	return time.Since(begun)
}

func TestGrace(t *testing.T) {
	for _, test := range []struct {
		name, spec, container string
		from, to              time.Duration
	}{
		{"obeys", "terminationGracePeriodSeconds: 20", "", 0, 3 * time.Second},
		{"takes-its-time", "terminationGracePeriodSeconds: 20", "args: [-stop-delay=2s]", 2 * time.Second, 6 * time.Second},
		{"prestop-first", "terminationGracePeriodSeconds: 20", "lifecycle: {preStop: {sleep: {seconds: 2}}}", 2 * time.Second, 6 * time.Second},
		{"is-killed", "terminationGracePeriodSeconds: 2", "args: [-stop-delay=60s]", 2 * time.Second, 6 * time.Second},
		{"prestop-by-http", "terminationGracePeriodSeconds: 20", `lifecycle: {preStop: {httpGet: {port: 8080, path: "/?delay=2s"}}}`, 2 * time.Second, 6 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSpace(t)
			s.kubectl(single("one", test.spec, test.container), "apply", "-f", "-")
			s.ready("one")
			if took := s.deleted("one"); took < test.from || took > test.to {
				t.Errorf("gone after %s, want %s to %s", took, test.from, test.to)
			}
		})
	}
}

func TestServesWhileItTerminates(t *testing.T) {
	s := newSpace(t)
	s.kubectl(single("one", "terminationGracePeriodSeconds: 20", "args: [-stop-delay=3s]"), "apply", "-f", "-")
	s.kubectl("", "expose", "pod", "one", "--port=8080")
	pod := s.ready("one")
	s.kubectl("", "delete", "pod", "one", "--wait=false")
	s.eventually(2*time.Second, func() error {
		if ready, all := s.endpoints("one"); ready != 0 || all != 1 {
			return fmt.Errorf("%d of %d endpoints are ready, want 0 of 1", ready, all)
		}
		return nil
	})
	if a, err := ask(t.Context(), "http://"+pod.Status.PodIP+":8080/"); err != nil || a.Pod != "one" {
		t.Errorf("%v, %v, want an answer before the end", a, err)
	}
}

func TestRestart(t *testing.T) {
	s := newSpace(t)
	s.kubectl(single("one", "", ""), "apply", "-f", "-")
	before := s.ready("one")
	s.annotate("one", node.Restart, "1")
	s.eventually(20*time.Second, func() error {
		pod, err := kube.Client().CoreV1().Pods(s.name).Get(t.Context(), "one", metav1.GetOptions{})
		if err != nil {
			return err
		}
		c := pod.Status.ContainerStatuses[0]
		if c.RestartCount != 1 || !c.Ready || c.LastTerminationState.Terminated == nil {
			return fmt.Errorf("%+v, want one restart and ready", c)
		}
		if code := c.LastTerminationState.Terminated.ExitCode; code != 137 {
			t.Errorf("exit code %d, want 137", code)
		}
		if pod.Status.PodIP != before.Status.PodIP {
			t.Errorf("address %s, want %s as before", pod.Status.PodIP, before.Status.PodIP)
		}
		return nil
	})
}

func TestSlow(t *testing.T) {
	s := newSpace(t)
	s.kubectl(single("one", "", ""), "apply", "-f", "-")
	pod := s.ready("one")
	s.annotate("one", node.Slow, "500ms")
	s.eventually(20*time.Second, func() error {
		begun := time.Now()
		if _, err := ask(t.Context(), "http://"+pod.Status.PodIP+":8080/"); err != nil {
			return err
		}
		if took := time.Since(begun); took < 100*time.Millisecond {
			return fmt.Errorf("answered after %s, want some time to pass", took)
		}
		return nil
	})
}

func TestLivenessAndStartup(t *testing.T) {
	s := newSpace(t)
	s.kubectl(single("dies", "terminationGracePeriodSeconds: 1", "livenessProbe: {httpGet: {path: \"/?status=500\", port: 8080}, periodSeconds: 1, failureThreshold: 2}"), "apply", "-f", "-")
	s.kubectl(single("starts", "", "args: [-start-delay=3s]\n    startupProbe: {tcpSocket: {port: 8080}, periodSeconds: 1, failureThreshold: 30}\n"+
		"    livenessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1, failureThreshold: 1}"), "apply", "-f", "-")
	s.eventually(20*time.Second, func() error {
		pod, err := kube.Client().CoreV1().Pods(s.name).Get(t.Context(), "dies", metav1.GetOptions{})
		if err == nil && (len(pod.Status.ContainerStatuses) == 0 || pod.Status.ContainerStatuses[0].RestartCount == 0) {
			err = fmt.Errorf("not restarted yet")
		}
		return err
	})
	if pod := s.ready("starts"); pod.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("%d restarts before the startup probe has succeeded, want 0", pod.Status.ContainerStatuses[0].RestartCount)
	}
}

func TestWhatAContainerSees(t *testing.T) {
	s := newSpace(t)
	s.kubectl("", "create", "configmap", "settings", "--from-literal=color=blue", "--from-literal=shape=round")
	s.kubectl(single("one", `hostname: box
  securityContext: {runAsUser: 65532, runAsGroup: 65532, fsGroup: 2000}
  volumes:
  - {name: late, secret: {secretName: late, defaultMode: 0400}}
  - {name: settings, configMap: {name: settings, items: [{key: shape, path: some/shape}]}}
  - {name: about, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  - {name: empty, emptyDir: {}}`, `env:
    - {name: COLOR, valueFrom: {configMapKeyRef: {name: settings, key: color}}}
    - {name: GREETING, value: "$(COLOR) sky"}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: CORES, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
    envFrom: [{configMapRef: {name: settings}, prefix: FROM_}]
    securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    args: [-listen, ":8080"]
    volumeMounts:
    - {name: late, mountPath: /late}
    - {name: settings, mountPath: /settings}
    - {name: settings, mountPath: /one-file, subPath: some/shape}
    - {name: about, mountPath: /about}
    - {name: empty, mountPath: /empty}`), "apply", "-f", "-")
	s.eventually(10*time.Second, func() error {
		if text := s.kubectl("", "get", "pod", "one", "-o", "jsonpath={.status.containerStatuses[0].state.waiting.message}"); !strings.Contains(text, `"late"`) {
			return fmt.Errorf("message %q, want it to name the missing Secret", text)
		}
		return nil
	})
	s.kubectl("", "create", "secret", "generic", "late", "--from-literal=password=xyzzy")
	pod := s.ready("one")
	base := "http://" + pod.Status.PodIP + ":8080"
	for path, want := range map[string]string{
		"/env": "GREETING=blue sky\n", "/file/late/password": "xyzzy", "/file/settings/some/shape": "round", "/file/one-file": "round",
		"/file/about/labels": `app="single"`, "/file/etc/hostname": "box\n", "/file/etc/resolv.conf": "nameserver 10.96.0.10",
		"/file/proc/1/status": "Uid:\t65532\t65532\t65532\t65532",
		"/file/var/run/secrets/kubernetes.io/serviceaccount/namespace": s.name,
	} {
		if text, err := get(t.Context(), base+path); err != nil || !strings.Contains(text, want) {
			t.Errorf("%s: %q, %v, want %q in it", path, text, err, want)
		}
	}
	text, err := get(t.Context(), base+"/env")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"IP=" + pod.Status.PodIP, "CORES=1", "FROM_shape=round", "KUBERNETES_SERVICE_HOST=10.96.0.1"} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("environment %q, want %q in it", text, want)
		}
	}
	// A change of a Secret reaches the file.
	s.kubectl("", "patch", "secret", "late", "-p", `{"stringData":{"password":"plugh"}}`)
	s.eventually(20*time.Second, func() error {
		if text, err := get(t.Context(), base+"/file/late/password"); err != nil || text != "plugh" {
			return fmt.Errorf("%q, %v, want the new password", text, err)
		}
		return nil
	})
}

func TestUnknownImage(t *testing.T) {
	s := newSpace(t)
	s.kubectl("", "run", "one", "--image=example.com/nowhere:v1")
	s.eventually(10*time.Second, func() error {
		if text := s.kubectl("", "get", "pod", "one", "-o", "jsonpath={.status.containerStatuses[0].state.waiting}"); !strings.Contains(text, "ErrImagePull") ||
			!strings.Contains(text, "example.com/nowhere:v1") {
			return fmt.Errorf("state %s, want ErrImagePull and the image", text)
		}
		return nil
	})
}

func TestLogs(t *testing.T) {
	s := newSpace(t)
	s.kubectl(single("one", "", ""), "apply", "-f", "-")
	s.ready("one")
	if text := s.kubectl("", "logs", "one"); !strings.Contains(text, "listening on") {
		t.Errorf("kubectl logs printed %q, want the first line of the echo", text)
	}
}

func TestJob(t *testing.T) {
	s := newSpace(t)
	for name, args := range map[string]string{"works": "-h", "fails": "-nonsense"} {
		s.kubectl(fmt.Sprintf(`
apiVersion: batch/v1
kind: Job
metadata: {name: %s}
spec:
  backoffLimit: 0
  template: {spec: {restartPolicy: Never, containers: [{name: echo, image: pierhead.dev/echo, args: [%q]}]}}
`, name, args), "apply", "-f", "-")
	}
	s.kubectl("", "wait", "--for=condition=complete", "job/works", "--timeout=20s")
	s.kubectl("", "wait", "--for=condition=failed", "job/fails", "--timeout=20s")
}

func TestHostNetworkAndCommands(t *testing.T) {
	s := newSpace(t)
	s.kubectl(`
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: one}
spec:
  selector: {matchLabels: {app: one}}
  template:
    metadata: {labels: {app: one}}
    spec:
      hostNetwork: true
      initContainers: [{name: first, image: pierhead.dev/echo, args: ["-h"]}]
      containers:
      - name: echo
        image: pierhead.dev/echo
        args: [-listen, ":8088"]
        readinessProbe: {exec: {command: [/echo, "-h"]}, periodSeconds: 1}
`, "apply", "-f", "-")
	s.kubectl("", "rollout", "status", "daemonset/one", "--timeout=60s")
	s.eventually(10*time.Second, func() error {
		a, err := ask(t.Context(), "http://10.244.0.1:8088/")
		if err == nil && a.Pod != "node-0" {
			err = fmt.Errorf("host name %q, want the node's", a.Pod)
		}
		return err
	})
}
