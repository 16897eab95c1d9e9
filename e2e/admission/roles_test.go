package admission

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/e2e/bed"
)

// right is one thing that a role allows; empty namespace or name is any.
type right struct{ verb, group, resource, namespace, name string }

func (r right) String() string {
	text := strings.TrimSpace(r.verb + " " + strings.Trim(r.group+"/"+r.resource, "/") + " " + r.name)
	return text + " in " + cmp.Or(r.namespace, "all namespaces")
}

// covers tells whether a request needs this right.
func (r right) covers(a bed.Asked) bool {
	return r.verb == a.Verb && r.group == a.Group && r.resource == a.Resource &&
		(r.namespace == "" || r.namespace == a.Namespace) && (r.name == "" || r.name == a.Name)
}

// unseen are rights that the audit log cannot show, with the reason.
func unseen(r right) string {
	switch {
	case r.verb == "list" && r.group != "" || r.verb == "list" && r.resource == "services":
		return "an API server that can send the first list with the watch is not asked for one; others are"
	case r.verb == "list" && (r.resource == "configmaps" || r.resource == "secrets"):
		return "for the same reason, and to fetch one that nothing referred to before"
	case r.verb == "create" && r.resource == "secrets":
		return "the API server asks for it itself when a patch makes the Secret: TestSecretDeleted fails without"
	}
	return ""
}

// rights lists what the roles allow a ServiceAccount, as its bindings say.
func rights(t *testing.T, namespace, account string) map[right]bool {
	t.Helper()
	api, all := kube.Client().RbacV1(), map[right]bool{}
	add := func(where string, rules []rbacv1.PolicyRule) {
		for _, rule := range rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						for _, name := range append(rule.ResourceNames, make([]string, max(0, 1-len(rule.ResourceNames)))...) {
							all[right{verb, group, resource, where, name}] = true
						}
					}
				}
			}
		}
	}
	bound := func(subjects []rbacv1.Subject) bool {
		return slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool {
			return s.Kind == "ServiceAccount" && s.Namespace == namespace && s.Name == account
		})
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	everywhere, err := api.ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	must(err)
	for _, b := range everywhere.Items {
		if bound(b.Subjects) {
			role, err := api.ClusterRoles().Get(t.Context(), b.RoleRef.Name, metav1.GetOptions{})
			must(err)
			add("", role.Rules)
		}
	}
	some, err := api.RoleBindings("").List(t.Context(), metav1.ListOptions{})
	must(err)
	for _, b := range some.Items {
		if bound(b.Subjects) {
			role, err := api.Roles(b.Namespace).Get(t.Context(), b.RoleRef.Name, metav1.GetOptions{})
			must(err)
			add(b.Namespace, role.Rules)
		}
	}
	return all
}

// askedBy lists what an account has asked for behind the first entries of the log.
func askedBy(account string, first int) ([]bed.Asked, error) {
	all, err := kube.Asked()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all[first:], func(a bed.Asked) bool { return a.Account != account }), nil
}

// unused tells which rights an account has never asked for, but for those that the log
// cannot show; nil: none.
func unused(given map[right]bool, account string, first int) error {
	asked, err := askedBy(account, first)
	if err != nil {
		return err
	}
	left := maps.Clone(given)
	maps.DeleteFunc(left, func(r right, _ bool) bool { return unseen(r) != "" || slices.ContainsFunc(asked, r.covers) })
	if len(left) > 0 {
		return fmt.Errorf("never asked for: %v", slices.Collect(maps.Keys(left)))
	}
	return nil
}

// TestRoles: in a life with everything in it the controller asks for all that its roles
// allow, and for nothing else.
func TestRoles(t *testing.T) {
	s := kube.Space(t)
	in := kube.Installed
	given := rights(t, in.Namespace, "pierhead")
	if len(given) < 20 {
		t.Fatalf("the roles allow %d things only", len(given))
	}
	// Content that nothing referred to before; a status; an Event, and the same again.
	s.Kubectl("", "create", "secret", "generic", "users", "--from-literal=auth=joe:{PLAIN}secret")
	apply(s, bed.Ingress("shut", s.Host("shut"), notes+"auth-type: basic, "+notes+"auth-secret: users")).taken(s)
	s.Answers(20*time.Second, s.Host("shut"), 401)
	s.Kubectl("", "annotate", "ingress", "shut", notes+"proxy-body-size=8m")
	// The last one to end takes the addresses back; the first one makes a Lease again, and
	// a Secret.
	s.KubectlIn(in.Namespace, "", "delete", "secret", "pierhead-webhook")
	s.KubectlIn(in.Namespace, "", "scale", "deployment/"+in.Deployment, "--replicas=0")
	s.Prints(60*time.Second, "", "get", "ingress", "shut", "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}")
	s.KubectlIn(in.Namespace, "", "delete", "lease", in.Lease, "--ignore-not-found")
	s.KubectlIn(in.Namespace, "", "scale", "deployment/"+in.Deployment, "--replicas=2")
	s.KubectlIn(in.Namespace, "", "rollout", "status", "deployment/"+in.Deployment, "--timeout=120s")

	s.Eventually(60*time.Second, func() error { return unused(given, in.Namespace+":pierhead", 0) })
	asked, err := askedBy(in.Namespace+":pierhead", 0)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, a := range asked {
		kinds[a.Verb+" "+a.Resource]++
		if a.Refused {
			t.Errorf("refused: %s", a)
		}
	}
	t.Logf("%d rights, asked for %v", len(given), kinds)
	for r := range given {
		if why := unseen(r); why != "" && !slices.ContainsFunc(asked, r.covers) {
			t.Logf("not seen: %s: %s", r, why)
		}
	}
	answers(s, 30*time.Second)
}

// TestPodSecurity: the controller runs in a namespace that takes no Pod of more rights.
func TestPodSecurity(t *testing.T) {
	in := kube.Installed
	s := &bed.Space{TB: t, Bed: kube, Name: in.Namespace}
	if got := s.Kubectl("", "get", "namespace", in.Namespace, "-o", `jsonpath={.metadata.labels.pod-security\.kubernetes\.io/enforce}`); got != "restricted" {
		t.Fatalf("the level is %q", got)
	}
	if out := kubectl(s, "", "run", "other", "--image=pierhead.dev/echo", "--dry-run=server"); out.done || !strings.Contains(out.errors, "violates PodSecurity") {
		t.Errorf("a Pod of more rights: done %v, kubectl says %q", out.done, out.errors)
	}
	if got := s.Kubectl("", "get", "deployment", in.Deployment, "-o", "jsonpath={.status.readyReplicas}"); got != "2" {
		t.Errorf("%s Pods are ready", got)
	}
}
