package badinput

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pierhead/pierhead/e2e/bed"
)

// How fast and how long objects change.
const (
	stormRate = 100 // a second, of each kind
	stormTime = 3 * time.Second
)

// Objects that change all the time, some of them for the worse: what stands at the end
// is what is served.
func storm(p *place) {
	p.Kubectl(bed.Ingress("wild", p.Host("wild"), "nginx.ingress.kubernetes.io/auth-type: basic, nginx.ingress.kubernetes.io/auth-secret: wild"), "apply", "-f", "-")
	p.Kubectl("", "create", "secret", "generic", "wild", "--from-literal=auth=joe:{PLAIN}secret")
	p.Kubectl("\napiVersion: v1\nkind: Service\nmetadata: {name: wild}\nspec: {ports: [{name: http, port: 80}]}\n---"+slice("wild", "[{name: http, port: 8080}]")+"---"+
		strings.Replace(leading(p, "wild"), "metadata: {name: wild", "metadata: {name: moving", 1), "apply", "-f", "-")
	p.Answers(5*time.Second, p.Host("wild"), 401, 200)
	client := kube.Client()
	var wg sync.WaitGroup
	for _, change := range []func(n int) error{
		func(n int) error {
			rps := fmt.Sprint(n + 1)
			if n%3 == 0 {
				rps = "many"
			}
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"nginx.ingress.kubernetes.io/limit-rps":%q}}}`, rps)
			_, err := client.NetworkingV1().Ingresses(p.Name).Patch(p.Context(), "wild", types.MergePatchType, patch, metav1.PatchOptions{})
			return err
		},
		func(n int) error {
			patch := fmt.Appendf(nil, `{"stringData":{"auth":"joe:{PLAIN}%d\n"}}`, n)
			_, err := client.CoreV1().Secrets(p.Name).Patch(p.Context(), "wild", types.MergePatchType, patch, metav1.PatchOptions{})
			return err
		},
		func(n int) error {
			patch := fmt.Appendf(nil, `{"endpoints":[{"addresses":["10.244.1.%d"]}],"ports":[{"name":"http","port":%d}]}`, n%250+1, n%3)
			_, err := client.DiscoveryV1().EndpointSlices(p.Name).Patch(p.Context(), "wild", types.MergePatchType, patch, metav1.PatchOptions{})
			return err
		},
	} {
		wg.Go(func() {
			tick := time.NewTicker(time.Second / stormRate)
			defer tick.Stop()
			for n := range int(stormTime.Seconds() * stormRate) {
				<-tick.C
				if err := change(n); err != nil {
					p.Errorf("change %d: %v", n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	p.Kubectl("", "annotate", "ingress", "wild", "nginx.ingress.kubernetes.io/limit-rps-", "nginx.ingress.kubernetes.io/auth-type-", "nginx.ingress.kubernetes.io/auth-secret-")
	p.Answers(5*time.Second, p.Host("wild"), 200)
}

// Without rights to read, what is known is served on and the Pod says so; what was
// missed is seen when they are given back. A watch that is open stays so whatever
// becomes of the rights, so the API server is started anew.
func rightsGo(p *place) {
	p.Kubectl("", "create", "secret", "generic", "late", "--from-literal=auth=joe:{PLAIN}secret")
	p.Kubectl(bed.Ingress("served", p.Host("served"), ""), "apply", "-f", "-")
	p.Answers(5*time.Second, p.Host("served"), 200)
	all := p.rules(func(rules []rbacv1.PolicyRule) {
		for i := range rules {
			rules[i].Resources = slices.DeleteFunc(rules[i].Resources, func(r string) bool { return r == "secrets" })
		}
	})

	// Secrets alone: one that nobody has named so far cannot be read.
	p.Kubectl(bed.Ingress("late", p.Host("late"), "nginx.ingress.kubernetes.io/auth-type: basic, nginx.ingress.kubernetes.io/auth-secret: late"), "apply", "-f", "-")
	p.Answers(10*time.Second, p.Host("late"), 503, 200)
	p.tells("Secret/late", "cannot be read")
	p.tells("Ingress/late", "could not be read")
	p.rules(func(rules []rbacv1.PolicyRule) { copy(rules, all) })
	p.Answers(20*time.Second, p.Host("late"), 401, 200)

	role := kube.Installed.Namespace
	p.Kubectl("", "delete", "clusterrolebinding", role)
	api := kube.Program("kube-apiserver")
	if err := api.Kill(); err != nil {
		p.Fatal(err)
	}
	if err := api.Start(); err != nil {
		p.Fatal(err)
	}
	p.Eventually(60*time.Second, func() error {
		_, err := kube.RunKubectl(p.Context(), bed.Ingress("unseen", p.Host("unseen"), ""), "-n", p.Name, "apply", "-f", "-")
		return err
	})
	pods, err := kube.Pods(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	p.logs("the API server does not give what is asked for")
	p.Eventually(40*time.Second, func() error {
		var told string
		for _, pod := range pods { // the one that leads tells
			told += p.KubectlIn(kube.Installed.Namespace, "", "get", "events", "--field-selector", "type=Warning,involvedObject.name="+pod.Name, "-o", "jsonpath={.items[*].message}")
		}
		if !strings.Contains(told, "changes are not seen") {
			return fmt.Errorf("the Events of the Pods say %q", told)
		}
		return nil
	})
	p.Answers(5*time.Second, p.Host("served"), 200)
	p.Answers(5*time.Second, p.Host("unseen"), 404)
	p.Kubectl("", "create", "clusterrolebinding", role, "--clusterrole="+role, "--serviceaccount="+role+":"+role)
	p.Answers(20*time.Second, p.Host("unseen"), 200, 503)
}

// rules changes what the controller may do, and returns what it might before.
func (p *place) rules(change func([]rbacv1.PolicyRule)) []rbacv1.PolicyRule {
	p.Helper()
	roles := kube.Client().RbacV1().ClusterRoles()
	role, err := roles.Get(p.Context(), kube.Installed.Namespace, metav1.GetOptions{})
	if err != nil {
		p.Fatal(err)
	}
	had := role.DeepCopy().Rules
	change(role.Rules)
	if _, err := roles.Update(p.Context(), role, metav1.UpdateOptions{}); err != nil {
		p.Fatal(err)
	}
	return had
}
