package admission

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
)

// beside renames what is installed already, and gives it classes of its own.
var beside = strings.NewReplacer(
	"ghcr.io/pierhead/pierhead", "ghcr.io/pierhead/pierhead", "- /pierhead\n", "- /pierhead\n",
	"k8s.io/ingress-nginx", "example.test/another", "--ingress-class=nginx", "--ingress-class=another",
	"pierhead", "another", "\n  name: nginx\n", "\n  name: another\n", "\n  - IPv6\n", "\n", "\n    - IPv6\n", "\n",
)

// TestRolesOfRenderings: ways to install that have fewer rights, or others, have what the
// controller asks for and nothing else. Each lives beside the installation for a while.
func TestRolesOfRenderings(t *testing.T) {
	s := kube.EmptySpace(t)
	for _, name := range []string{"another", "shop"} {
		s.Kubectl("", "delete", "namespace", name, "--ignore-not-found", "--timeout=2m") // of another test, which does not wait for its end
		s.Kubectl("", "create", "namespace", name)
		t.Cleanup(func() { kube.RunKubectl(context.Background(), "", "delete", "namespace", name, "--wait=false") })
	}
	for _, tt := range []struct {
		file, served, refused string // refused is what the manual says cannot be read
		has, hasNot           []right
	}{
		{"other-namespace", "shop", "", []right{{"get", "", "namespaces", "shop", ""}}, []right{{"list", "", "secrets", "", ""}, {"list", "", "nodes", "", ""}}},
		{"namespaced", "another", "ingressclasses", []right{{"list", "", "secrets", "another", ""}}, []right{{"list", "networking.k8s.io", "ingressclasses", "", ""}}},
		{"nodes", "another", "", []right{{"get", "", "nodes", "", ""}, {"list", "", "pods", "another", ""}}, nil},
		{"no-status", "another", "", nil, []right{
			{"update", "networking.k8s.io", "ingresses/status", "", ""}, {"get", "networking.k8s.io", "ingresses", "", ""}, {"list", "", "pods", "another", ""}, {"get", "", "nodes", "", ""}}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			const account = "another:another"
			before, err := kube.Asked()
			if err != nil {
				t.Fatal(err)
			}
			s := &bed.Space{TB: t, Bed: kube, Name: tt.served}
			live(s, tt.file)
			given := rights(t, "another", "another")
			for _, r := range tt.has {
				if !given[r] {
					t.Errorf("the roles do not allow to %s", r)
				}
			}
			for _, r := range tt.hasNot {
				if given[r] {
					t.Errorf("the roles allow to %s", r)
				}
			}
			s.Eventually(60*time.Second, func() error { return unused(given, account, len(before)) })
			asked, err := askedBy(account, len(before))
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range asked {
				if a.Refused && (a.Resource != tt.refused || tt.refused == "") {
					t.Errorf("refused: %s", a)
				}
			}
			t.Logf("%d rights, %d requests", len(given), len(asked))
		})
	}
}

// live installs a rendering, has it serve an Ingress that refers to a Secret, tell its owner
// something twice, and end. It is taken away with the test.
func live(s *bed.Space, file string) {
	s.Helper()
	text, err := os.ReadFile(bed.Repository + "/deploy/test/testdata/" + file + ".golden.yaml")
	if err != nil {
		s.Fatal(err)
	}
	manifest := beside.Replace(string(text))
	s.Cleanup(func() {
		if _, err := kube.RunKubectl(context.Background(), manifest, "delete", "--ignore-not-found", "--timeout=60s", "-f", "-"); err != nil {
			s.Error(err)
		}
		if _, err := kube.RunKubectl(context.Background(), "", "-n", s.Name, "delete", "ingress/shut", "secret/users", "--ignore-not-found"); err != nil {
			s.Error(err)
		}
		if _, err := kube.RunKubectl(context.Background(), "", "-n", "another", "delete", "lease/another-leader", "--ignore-not-found"); err != nil {
			s.Error(err)
		}
	})
	if err := kube.Apply(s.Context(), manifest); err != nil {
		s.Fatal(err)
	}
	s.KubectlIn("another", "", "rollout", "status", "deployment/another-controller", "--timeout=60s")
	s.Kubectl("", "create", "secret", "generic", "users", "--from-literal=auth=joe:{PLAIN}secret")
	ingress := bed.Ingress("shut", s.Host("shut"), "kubernetes.io/ingress.class: another, "+notes+"auth-type: basic, "+notes+"auth-secret: users")
	s.Kubectl(strings.Replace(ingress, "  ingressClassName: nginx\n", "", 1), "apply", "-f", "-")
	events := func(count string) {
		s.Helper()
		s.Eventually(60*time.Second, func() error {
			got := s.Kubectl("", "get", "events", "--field-selector=involvedObject.name=shut", "-o", "jsonpath={.items[*].count}")
			if !strings.Contains(got, count) {
				return fmt.Errorf("the Events came %q times, want one %s times", got, count)
			}
			return nil
		})
	}
	events("1")
	s.Kubectl("", "annotate", "ingress", "shut", notes+"proxy-body-size=8m")
	events("2")
	if file != "no-status" {
		s.Eventually(60*time.Second, func() error {
			if s.Kubectl("", "get", "ingress", "shut", "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}") == "" {
				return errors.New("the Ingress has no address")
			}
			return nil
		})
	}
	s.KubectlIn("another", "", "scale", "deployment/another-controller", "--replicas=0")
	s.KubectlIn("another", "", "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=another", "--timeout=90s")
}
