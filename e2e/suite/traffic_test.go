package suite

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/e2e/node"
)

func TestDeploymentIsReached(t *testing.T) {
	s := newSpace(t)
	s.kubectl(echo(3, "", ""), "apply", "-f", "-")
	s.kubectl("", "rollout", "status", "deployment/echo", "--timeout=60s")
	if got := s.kubectl("", "get", "deployment", "echo", "-o", "jsonpath={.status.readyReplicas}"); got != "3" {
		t.Errorf("%s replicas are ready, want 3", got)
	}
	pods := s.pods("app=echo")
	if len(pods) != 3 {
		t.Fatalf("%d Pods, want 3", len(pods))
	}
	for _, p := range pods {
		a, err := ask(t.Context(), "http://"+p.Status.PodIP+":8080/by-ip")
		if err != nil {
			t.Fatal(err)
		}
		if a.Pod != p.Name || a.Namespace != s.name {
			t.Errorf("%s answered as %s/%s, want %s/%s", p.Status.PodIP, a.Namespace, a.Pod, s.name, p.Name)
		}
	}
	service, err := kube.Client().CoreV1().Services(s.name).Get(t.Context(), "echo", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{service.Spec.ClusterIP, "echo." + s.name + ".svc.cluster.local"} {
		seen := map[string]bool{}
		s.eventually(10*time.Second, func() error {
			for range 3 {
				a, err := ask(t.Context(), "http://"+host+"/")
				if err != nil {
					return err
				}
				seen[a.Pod] = true
			}
			if len(seen) != 3 {
				return fmt.Errorf("%s: %d Pods have answered, want all 3", host, len(seen))
			}
			return nil
		})
	}
}

func TestProtocolsOfTheEcho(t *testing.T) {
	s := newSpace(t)
	s.kubectl(echo(1, "", ""), "apply", "-f", "-")
	s.kubectl("", "rollout", "status", "deployment/echo", "--timeout=60s")
	ip := s.pods("app=echo")[0].Status.PodIP

	transport := kube.Transport()
	defer transport.CloseIdleConnections()
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetUnencryptedHTTP2(true)
	response, err := (&http.Client{Transport: transport}).Get("http://" + ip + ":8080/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.ProtoMajor != 2 {
		t.Errorf("protocol %s, want HTTP/2", response.Proto)
	}

	raw, err := kube.Dial(t.Context(), "tcp", net.JoinHostPort(ip, "8080"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := websocket.NewConfig("ws://"+ip+":8080/ws", "http://test/")
	if err != nil {
		t.Fatal(err)
	}
	ws, err := websocket.NewClient(config, raw)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	var back string
	if err := websocket.Message.Send(ws, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := websocket.Message.Receive(ws, &back); err != nil || back != "hello" {
		t.Errorf("received %q, %v, want what was sent", back, err)
	}
}

func TestEndpointsFollowReadiness(t *testing.T) {
	s := newSpace(t)
	s.kubectl(echo(2, "", ""), "apply", "-f", "-")
	wait := func(want int) {
		t.Helper()
		s.eventually(30*time.Second, func() error {
			if ready, all := s.endpoints("echo"); ready != want || all != 2 {
				return fmt.Errorf("%d of %d endpoints are ready, want %d of 2", ready, all, want)
			}
			return nil
		})
	}
	wait(2)
	pod := s.pods("app=echo")[0]
	s.annotate(pod.Name, node.Unready, "true")
	wait(1)
	// No request goes to the one that is not ready.
	s.eventually(5*time.Second, func() error {
		for range 10 {
			a, err := ask(t.Context(), "http://echo."+s.name+".svc.cluster.local/")
			if err != nil {
				return err
			}
			if a.Pod == pod.Name {
				return fmt.Errorf("%s has answered, which is not ready", a.Pod)
			}
		}
		return nil
	})
	s.annotate(pod.Name, node.Unready, "false")
	wait(2)
}

func TestRollingRestartLosesNothing(t *testing.T) {
	s := newSpace(t)
	s.kubectl(echo(3, "", `"-stop-delay=1s"`), "apply", "-f", "-")
	s.kubectl("", "rollout", "status", "deployment/echo", "--timeout=60s")
	before := map[string]bool{}
	for _, p := range s.pods("app=echo") {
		before[p.Name] = true
	}
	stop, failed, sent := make(chan struct{}), 0, 0
	var load sync.WaitGroup
	load.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			sent++
			if _, err := ask(t.Context(), "http://echo."+s.name+".svc.cluster.local/"); err != nil {
				t.Log(err)
				failed++
			}
		}
	})
	s.kubectl("", "rollout", "restart", "deployment/echo")
	s.kubectl("", "rollout", "status", "deployment/echo", "--timeout=60s")
	close(stop)
	load.Wait()
	if failed > 0 || sent == 0 {
		t.Errorf("%d of %d requests failed, want none of some", failed, sent)
	}
	for _, p := range s.pods("app=echo") {
		if before[p.Name] {
			t.Errorf("%s is from before the restart", p.Name)
		}
	}
}

func TestLoadBalancerAddress(t *testing.T) {
	s := newSpace(t)
	s.kubectl(echo(1, "", ""), "apply", "-f", "-")
	s.kubectl("", "patch", "service", "echo", "-p", `{"spec":{"type":"LoadBalancer"}}`)
	var service *corev1.Service
	s.eventually(10*time.Second, func() (err error) {
		service, err = kube.Client().CoreV1().Services(s.name).Get(t.Context(), "echo", metav1.GetOptions{})
		if err == nil && len(service.Status.LoadBalancer.Ingress) == 0 {
			err = fmt.Errorf("no address yet")
		}
		return err
	})
	s.kubectl("", "rollout", "status", "deployment/echo", "--timeout=60s")
	for _, addr := range []string{service.Status.LoadBalancer.Ingress[0].IP, fmt.Sprintf("10.244.0.1:%d", service.Spec.Ports[0].NodePort)} {
		s.eventually(10*time.Second, func() error {
			_, err := ask(t.Context(), "http://"+addr+"/")
			return err
		})
	}
}
