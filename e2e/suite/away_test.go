package suite

import (
	"fmt"
	"testing"
	"time"
)

// The world goes on without the control plane: Pods run, Services lead to them, and what
// happened meanwhile is told afterwards.
func TestControlPlaneAway(t *testing.T) {
	s := newSpace(t)
	s.kubectl(echo(2, "", ""), "apply", "-f", "-")
	s.kubectl("", "rollout", "status", "deployment/echo", "--timeout=60s")
	url := "http://echo." + s.name + ".svc.cluster.local/"
	for _, name := range []string{"kube-apiserver", "etcd"} {
		p := kube.Program(name)
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if _, err := ask(t.Context(), url); err != nil {
				t.Errorf("without %s: %v", name, err)
			}
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		s.eventually(60*time.Second, func() error {
			_, err := kube.RunKubectl(t.Context(), "", "-n", s.name, "get", "pods")
			return err
		})
	}
	s.kubectl("", "scale", "deployment/echo", "--replicas=3")
	s.eventually(60*time.Second, func() error {
		if ready, all := s.endpoints("echo"); ready != 3 || all != 3 {
			return fmt.Errorf("%d of %d endpoints are ready, want 3 of 3", ready, all)
		}
		return nil
	})
}

// A program that crashes comes back by itself.
func TestProgramComesBack(t *testing.T) {
	s := newSpace(t)
	p := kube.Program("kube-controller-manager")
	pid := p.Pid()
	if out, err := kube.Command(t.Context(), "kill", "-9", fmt.Sprint(pid)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.eventually(20*time.Second, func() error {
		if now := p.Pid(); now == 0 || now == pid {
			return fmt.Errorf("process %d, want a new one instead of %d", now, pid)
		}
		return nil
	})
	s.kubectl(echo(1, "", ""), "apply", "-f", "-")
	s.kubectl("", "rollout", "status", "deployment/echo", "--timeout=60s")
}
