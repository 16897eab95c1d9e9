package daemonset

import (
	"fmt"
	"maps"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/e2e/bed"
	"github.com/pierhead/pierhead/e2e/load"
)

// The ports that Pierhead has on the node. Those of Services are taken there: the test bed
// serves their addresses in the node's network.
const httpPort, httpsPort, healthPort, webhookPort = ":8080", ":8443", ":9254", ":9443"

// pods returns the controller's Pods by name, those that end among them.
func pods(t *testing.T) map[string]corev1.Pod {
	t.Helper()
	list, err := kube.Client().CoreV1().Pods(kube.Installed.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: kube.Installed.Selector})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]corev1.Pod{}
	for _, p := range list.Items {
		all[p.Name] = p
	}
	return all
}

// one returns the name and the node's address of the one Pod that does not end.
func one(t *testing.T) (name, node string) {
	t.Helper()
	all := pods(t)
	maps.DeleteFunc(all, func(_ string, p corev1.Pod) bool { return p.DeletionTimestamp != nil })
	for name, p := range all {
		if len(all) == 1 && p.Spec.HostNetwork && p.Status.PodIP == p.Status.HostIP {
			return name, p.Status.HostIP
		}
	}
	t.Fatalf("there are %d Pods, want one in its node's network", len(all))
	return "", ""
}

// The DaemonSet is rolled, again and again: each Pod takes the sockets of the one before,
// and no client notices.
func TestRolled(t *testing.T) {
	s := kube.Space(t)
	host := s.Host("app")
	s.Kubectl(bed.Ingress("app", host, `nginx.ingress.kubernetes.io/ssl-redirect: "false"`), "apply", "-f", "-")
	s.Answers(10*time.Second, host, 200)
	last, node := one(t)
	in := kube.Installed
	// WebSockets are closed by their clients before the limit of the drain is.
	l := load.Start(t.Context(), load.Options{
		Dial: kube.Dial, HTTP: node + httpPort, TLS: node + httpsPort, Host: host, Rate: 200, Sockets: 10, Age: drainLimit / 2, Posts: true,
	})
	defer l.Stop() // when the test fails before its end
	k := knock(t.Context(), map[string]string{"http": "http://" + node + httpPort + "/", "health": "http://" + node + healthPort + "/healthz", "webhook": "https://" + node + webhookPort + "/"}, host)
	sent(t, l, 300)
	rolls, begin := bed.Number(t, "ROLLS", 3), time.Now()
	for n := range rolls {
		s.KubectlIn(in.Namespace, "", "rollout", "restart", in.Workload())
		s.KubectlIn(in.Namespace, "", "rollout", "status", in.Workload(), "--timeout=180s")
		now, _ := one(t)
		if now == last {
			t.Fatalf("roll %d: Pod %s is still the same", n+1, now)
		}
		last = now
		sent(t, l, 200)
		if n == 0 { // what is written goes through the new Pod's webhook, and is served
			s.Kubectl(bed.Ingress("later", s.Host("later"), `nginx.ingress.kubernetes.io/ssl-redirect: "false"`), "apply", "-f", "-")
			s.Answers(10*time.Second, s.Host("later"), 200)
		}
	}
	s.Eventually(120*time.Second, func() error {
		if all := pods(t); len(all) != 1 {
			return fmt.Errorf("%d Pods are there, want one", len(all))
		}
		return nil
	})
	took := time.Since(begin)
	sent(t, l, 300)
	r := l.Stop()
	t.Log(r)
	for _, kind := range []string{load.Kept, load.Fresh, load.H2, load.H2C, load.Socket} {
		if r.Rows[kind].Sent == 0 {
			t.Errorf("nothing was sent over %s", kind)
		}
	}
	if len(r.Failures) > 0 {
		t.Errorf("%d of %d requests failed, want none", len(r.Failures), r.Sent())
	}
	for port, c := range k.stop() {
		t.Logf("port %s: %d connections, %d failed", port, c.made, len(c.failed))
		if c.made < 200 {
			t.Errorf("port %s: %d connections are too few to tell", port, c.made)
		}
		for _, f := range c.failed {
			t.Errorf("port %s: %s", port, f)
		}
	}
	if p := pods(t)[last]; p.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("the container of %s was started %d times more", last, p.Status.ContainerStatuses[0].RestartCount)
	}
	t.Logf("rolled %d times in %s", rolls, took.Round(time.Second))
}

// sent waits for so many further requests.
func sent(t *testing.T, l *load.Load, n int) {
	t.Helper()
	if err := l.More(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}
