package badinput

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
)

// TestBadInput gives the controller everything bad in turn, while requests for a good
// host run, and removes it again: no request fails, no Pod starts again, and heap,
// goroutines and descriptors are what they were.
func TestBadInput(t *testing.T) {
	good := kube.Space(t)
	good.Kubectl(bed.Ingress("good", good.Host("good"), ""), "apply", "-f", "-")
	good.Answers(20*time.Second, good.Host("good"), 200)
	warm(good)
	before := usages(t)
	steady := kube.Steady("http://"+kube.Installed.Host()+"/", []string{good.Host("good")}, 100)
	var spaces []string
	for _, test := range []struct {
		name string
		run  func(*place)
	}{
		{"huge annotations", hugeAnnotations}, {"a thousand rules", manyRules}, {"long hosts", longHosts}, {"garbage in Secrets", garbage},
		{"no ports", noPorts}, {"names in a circle", circles}, {"duplicate hosts", duplicates}, {"a huge ConfigMap", hugeSettings},
		{"a class that goes", classGoes}, {"a namespace that goes", namespaceGoes}, {"a namespace that cannot go", namespaceStays},
		{"a hundred changes a second", storm}, {"rights that go", rightsGo},
	} {
		t.Run(test.name, func(t *testing.T) {
			begun := time.Now()
			p := &place{kube.Space(t)}
			spaces = append(spaces, p.Name)
			test.run(p)
			t.Logf("took %s", time.Since(begun).Round(100*time.Millisecond))
		})
	}
	tally := steady.Stop()
	if err := tally.Err(); err != nil {
		t.Error(err)
	}
	t.Logf("%d requests beside it, the slowest took %s", tally.Sent, tally.Slowest)
	for _, file := range logFiles(t) {
		if n, longest := problemLines(t, file); n > 3000 || longest > 5000 {
			t.Errorf("the log has %d lines, the longest of %d bytes", n, longest)
		}
	}
	gone(good, spaces...)
	forgets(good, before)
}

// warm has the controller once hold as much as it ever will: maps and buffers that have
// grown stay as large, which is no leak. What grows with every time is one.
func warm(good *bed.Space) {
	t := good.TB.(*testing.T)
	var name string
	t.Run("warm", func(t *testing.T) {
		p := &place{kube.Space(t)}
		name = p.Name
		for _, do := range []func(*place){hugeAnnotations, manyRules, garbage, duplicates, hugeSettings} {
			do(p)
		}
	})
	gone(good, name)
}

// refused runs kubectl and returns what the API server has against it.
func (p *place) refused(input string, args ...string) string {
	p.Helper()
	out, err := kube.RunKubectl(p.Context(), input, append([]string{"-n", p.Name}, args...)...)
	if err == nil {
		p.Fatalf("kubectl %s is not refused: %s", strings.Join(args, " "), out)
	}
	return err.Error()
}

// annotated is an Ingress with an annotation of so many bytes, name included.
func annotated(name, host, key string, bytes int, unit string) string {
	value := strings.Repeat(unit, bytes/len(unit)+1)[:bytes-len(key)]
	return bed.Ingress(name, host, fmt.Sprintf("%q: %q", key, value))
}

// An object may have 256 KiB of annotations. Whatever they hold, the Event and the log
// stay short.
func hugeAnnotations(p *place) {
	const all = 256 << 10
	if why := p.refused(annotated("huge", p.Host("huge"), "example.com/blob", 1<<20, "x"), "create", "-f", "-"); !strings.Contains(why, "Too long") {
		p.Errorf("the API server says %.300q", why)
	}
	p.Kubectl(annotated("blob", p.Host("blob"), "example.com/blob", all, "x"), "create", "-f", "-")
	p.Answers(5*time.Second, p.Host("blob"), 200)
	for i, test := range []struct{ key, unit, text string }{
		{"limit-rps", "9", "limit-rps"},
		{"configuration-snippet", "more_set_headers x; ", "configuration-snippet"},
		{"server-alias", "no name!, ", "server-alias"},
		{"whitelist-source-range", "10.0.0.0/8, 1.2.3.400, ", "whitelist-source-range"},
		{"auth-url", "http://a.example.com/%zz", "auth-url"},
	} {
		name := fmt.Sprintf("huge-%d", i)
		p.Kubectl(annotated(name, p.Host(name), "nginx.ingress.kubernetes.io/"+test.key, all, test.unit), "create", "-f", "-")
		p.tells("Ingress/"+name, test.text)
	}
}

// ingressOf is an Ingress with these hosts.
func ingressOf(name string, hosts []string, service string) string {
	text := "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " + name + "}\nspec:\n  ingressClassName: nginx\n  rules:\n"
	for _, host := range hosts {
		text += "  - {host: " + host + ", http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: " + service + ", port: {number: 80}}}}]}}\n"
	}
	return text
}

// Many rules are no mistake; many mistakes in one object are told without burying those
// of others.
func manyRules(p *place) {
	var hosts []string
	for i := range 1000 {
		hosts = append(hosts, p.Host(fmt.Sprint("r", i)))
	}
	p.Kubectl(ingressOf("many", hosts, "echo"), "create", "-f", "-")
	p.Answers(10*time.Second, hosts[999], 200)
	for i := range hosts {
		hosts[i] = "lost-" + hosts[i]
	}
	p.Kubectl(ingressOf("lost", hosts, "missing"), "create", "-f", "-")
	p.Answers(10*time.Second, hosts[999], 503)
	p.tells("Ingress/lost", "missing does not exist")
	p.Kubectl(bed.Ingress("other", p.Host("other"), `nginx.ingress.kubernetes.io/limit-rps: "many"`), "apply", "-f", "-")
	p.tells("Ingress/other", "limit-rps")
}

// A name has 253 bytes at most.
func longHosts(p *place) {
	host := strings.Repeat("long.", 60) + "example.com"
	if why := p.refused(bed.Ingress("long", host, ""), "create", "-f", "-"); !strings.Contains(why, "253") {
		p.Errorf("the API server says %.300q", why)
	}
	host = host[len(host)-253:]
	if host[0] == '.' {
		host = "x" + host[1:]
	}
	p.Kubectl(bed.Ingress("long", host, ""), "create", "-f", "-")
	p.Answers(5*time.Second, host, 200)
}

// A Secret whose content is not what its name says.
func garbage(p *place) {
	p.Kubectl(`
apiVersion: v1
kind: Secret
metadata: {name: pair}
type: kubernetes.io/tls
stringData: {tls.crt: "\0\x01garbage", tls.key: garbage}
---
apiVersion: v1
kind: Secret
metadata: {name: opaque}
stringData: {something: else}
---
apiVersion: v1
kind: Secret
metadata: {name: users}
stringData: {auth: "\0:::\n\xff"}
`, "apply", "-f", "-")
	for _, name := range []string{"pair", "opaque"} {
		host := p.Host(name)
		text := bed.Ingress(name, host, `nginx.ingress.kubernetes.io/ssl-redirect: "false"`)
		p.Kubectl(text+"  tls: [{hosts: ["+host+"], secretName: "+name+"}]\n", "apply", "-f", "-")
		p.Answers(5*time.Second, host, 200)
	}
	p.tells("Secret/pair", "tls.crt")
	p.tells("Secret/opaque", "tls.crt")
	p.Kubectl(bed.Ingress("users", p.Host("users"), "nginx.ingress.kubernetes.io/auth-type: basic, nginx.ingress.kubernetes.io/auth-secret: users"), "apply", "-f", "-")
	p.Answers(5*time.Second, p.Host("users"), 503, 200)
	p.tells("Ingress/users", "auth-secret")
}

// Two Ingresses want the same path; the older one has it.
func duplicates(p *place) {
	p.Kubectl(bed.Ingress("first", p.Host("same"), ""), "apply", "-f", "-")
	p.Answers(5*time.Second, p.Host("same"), 200)
	p.Eventually(5*time.Second, func() error { // ages count in seconds
		p.Kubectl(bed.Ingress("second", p.Host("same"), ""), "apply", "-f", "-")
		out, err := kube.RunKubectl(p.Context(), "", "-n", p.Name, "get", "ingress", "first", "second", "-o", "jsonpath={.items[*].metadata.creationTimestamp}")
		if ages := strings.Fields(out); err == nil && len(ages) == 2 && ages[0] == ages[1] {
			p.Kubectl("", "delete", "ingress", "second")
			return fmt.Errorf("both were made at %s", ages[0])
		}
		return err
	})
	p.tells("Ingress/second", "already served by Ingress "+p.Name+"/first")
}
