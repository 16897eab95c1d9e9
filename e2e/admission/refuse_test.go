package admission

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
)

// TestRefused: what ingress-nginx refuses is refused, with the reason, and not stored.
func TestRefused(t *testing.T) {
	s := kube.Space(t)
	apply(s, bed.Ingress("taken", s.Host("taken"), "")).taken(s)
	for what, c := range map[string]struct{ manifest, why string }{
		"overlap":     {bed.Ingress("new", s.Host("taken"), ""), fmt.Sprintf(`host "%s" and path "/" is already defined in ingress %s/taken`, s.Host("taken"), s.Name)},
		"snippet":     {bed.Ingress("new", s.Host("new"), notes+"server-snippet: return"), "Snippet directives are disabled by the Ingress administrator"},
		"deep path":   {strings.Replace(bed.Ingress("new", s.Host("new"), ""), "path: /,", "path: /etc/passwd,", 1), "invalid object: "},
		"strict path": {strings.Replace(bed.Ingress("new", s.Host("new"), ""), "path: /,", "path: '/a(b)',", 1), "ingress contains invalid paths: path /a(b) cannot be used with pathType Prefix"},
		"value":       {bed.Ingress("new", s.Host("new"), notes+"limit-rps: many"), `limit-rps] = "many"`},
	} {
		t.Run(what, func(t *testing.T) {
			s := &bed.Space{TB: t, Bed: s.Bed, Name: s.Name}
			apply(s, c.manifest).refused(s, c.why)
			if got := s.Kubectl("", "get", "ingress", "new", "--ignore-not-found", "-o", "name"); got != "" {
				t.Errorf("%s is stored", got)
			}
		})
	}
}

// TestRefusedTogether: of two in one file the second is judged with the first in sight,
// even where the other replica is asked.
func TestRefusedTogether(t *testing.T) {
	s := kube.Space(t)
	out := apply(s, bed.Ingress("one", s.Host("same"), "")+"---"+bed.Ingress("two", s.Host("same"), ""))
	out.refused(s, "is already defined in ingress "+s.Name+"/one")
}

// TestSettings: what the controller's ConfigMap forbids is refused once it does.
func TestSettings(t *testing.T) {
	s := kube.Space(t)
	try := func(name, annotation string) said {
		return kubectl(s, bed.Ingress(name, s.Host(name), annotation), "apply", "--dry-run=server", "-f", "-")
	}
	const risky, word = notes + "server-alias: alias.example.com", notes + "app-root: /load_module"
	try("risky", risky).taken(s)
	try("word", word).taken(s)
	settings(s, `{"annotations-risk-level": "Medium", "annotation-value-word-blocklist": "load_module"}`, func() error {
		for range 10 { // both replicas
			if try("word", word).done {
				return fmt.Errorf("the word is not refused")
			}
		}
		return nil
	})
	try("risky", risky).refused(s, "annotation group Aliases contains risky annotation based on ingress configuration")
	try("word", word).refused(s, notes+"app-root annotation contains invalid word load_module")
}

// TestUpdate: a change of an Ingress is judged as a new one is, and the old one stays.
func TestUpdate(t *testing.T) {
	s := kube.Space(t)
	apply(s, bed.Ingress("app", s.Host("app"), "")).taken(s)
	apply(s, bed.Ingress("app", s.Host("app"), notes+"ssl-redirect: 'false'")).taken(s)
	kubectl(s, "", "annotate", "ingress", "app", notes+"configuration-snippet=return").refused(s, "configuration-snippet annotation cannot be used")
	if got := s.Kubectl("", "get", "ingress", "app", "-o", `jsonpath={.metadata.annotations.nginx\.ingress\.kubernetes\.io/configuration-snippet}`); got != "" {
		t.Errorf("the annotation is %q", got)
	}
	s.Answers(5*time.Second, s.Host("app"), 200)
}

// TestForeign: what another controller serves passes.
func TestForeign(t *testing.T) {
	s := kube.Space(t)
	apply(s, bed.Ingress("taken", s.Host("taken"), "")).taken(s)
	foreign := strings.Replace(bed.Ingress("foreign", s.Host("taken"), notes+"server-snippet: return"), "ingressClassName: nginx", "ingressClassName: foreign", 1)
	if out := apply(s, foreign); !out.done || len(out.warnings) > 0 {
		t.Errorf("kubectl says %q, warnings %q", out.errors, out.warnings)
	}
}

// TestWarnings: what else is wrong is a warning that kubectl prints.
func TestWarnings(t *testing.T) {
	s := kube.Space(t)
	if out := apply(s, bed.Ingress("good", s.Host("good"), "")); !out.done || len(out.warnings) > 0 {
		t.Errorf("of a good one kubectl says %q, warnings %q", out.errors, out.warnings)
	}
	s.Kubectl("", "create", "secret", "generic", "users", "--from-literal=auth=joe:{PLAIN}secret")
	if out := apply(s, bed.Ingress("users", s.Host("users"), notes+"auth-type: basic, "+notes+"auth-secret: users")); !out.done || len(out.warnings) > 0 {
		t.Errorf("with a Secret that nobody named before kubectl says %q, warnings %q", out.errors, out.warnings)
	}
	for what, c := range map[string]struct{ manifest, want string }{
		"misspelt":  {bed.Ingress("new", s.Host("new"), notes+"ssl-redirct: 'true'"), `did you mean "ssl-redirect"?`},
		"bad value": {bed.Ingress("new", s.Host("new"), notes+"proxy-body-size: much"), "much"},
		"Service":   {strings.Replace(bed.Ingress("new", s.Host("new"), ""), "name: echo,", "name: nobody,", 1), "nobody does not exist"},
		"Secret":    {bed.Ingress("new", s.Host("new"), notes+"auth-type: basic, "+notes+"auth-secret: nobody"), "nobody does not exist"},
	} {
		out := kubectl(s, c.manifest, "apply", "--dry-run=server", "-f", "-")
		if !out.done || len(out.warnings) != 1 || !strings.Contains(out.warnings[0], c.want) {
			t.Errorf("%s: done %v, %q, warnings %q, want one about %q", what, out.done, out.errors, out.warnings, c.want)
		}
	}
}

var measured = regexp.MustCompile(`(?m)^apiserver_admission_webhook_admission_duration_seconds_(sum|count)\{name="validate\.nginx\.ingress\.kubernetes\.io",operation="CREATE",rejected="(?:true|false)",type="validating"\} (\S+)$`)

// TestLatency prints how long the API server waits for an answer, as it measures itself.
func TestLatency(t *testing.T) {
	s := kube.Space(t)
	manifests := ""
	for n := range 50 {
		manifests += "---" + bed.Ingress(fmt.Sprint("i", n), s.Host(fmt.Sprint("h", n)), notes+"proxy-body-size: 8m")
	}
	apply(s, manifests).taken(s)
	var sum, count float64
	for _, m := range measured.FindAllStringSubmatch(s.Kubectl("", "get", "--raw", "/metrics"), -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		if m[1] == "sum" {
			sum += v
		} else {
			count += v
		}
	}
	if count < 50 {
		t.Fatalf("the API server has asked %v times", count)
	}
	t.Logf("%v questions, %.1f ms each on average", count, sum/count*1000)
	if sum/count > 1 {
		t.Errorf("an answer takes %.1f s", sum/count)
	}
}
