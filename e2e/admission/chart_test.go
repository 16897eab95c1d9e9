package admission

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/e2e/bed"
)

var (
	separator = regexp.MustCompile(`(?m)^---$`)
	foreign   = regexp.MustCompile(`(?m)^apiVersion: (monitoring\.coreos\.com|cert-manager\.io|keda\.sh)/`)
	named     = regexp.MustCompile(`(?m)^kind: (\S+)$`)
	placed    = regexp.MustCompile(`(?m)^  namespace: (\S+)$`)
)

// another renames what is installed already, and leaves out the family of addresses that
// the cluster has not.
var another = strings.NewReplacer("pierhead", "another", "\n  name: nginx\n", "\n  name: another\n", "\n  - IPv6\n", "\n", "\n    - IPv6\n", "\n")

// TestChart: the API server would take every object of every way to install that the
// chart's tests keep, strictly. Kinds of other programs are theirs to judge.
func TestChart(t *testing.T) {
	s := kube.EmptySpace(t)
	files, err := filepath.Glob(bed.Repository + "/deploy/test/testdata/*.golden.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d renderings, %v", len(files), err)
	}
	kinds, others := map[string]int{}, map[string]int{}
	spaces := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var ours []string
		for _, object := range separator.Split(another.Replace(string(text)), -1) {
			kind := named.FindStringSubmatch(object)
			switch {
			case kind == nil:
				continue
			case foreign.MatchString(object):
				others[kind[1]]++
				continue
			}
			kinds[kind[1]]++
			ours = append(ours, object)
			if in := placed.FindStringSubmatch(object); in != nil && !spaces[in[1]] {
				spaces[in[1]] = true
				if s.Kubectl("", "get", "namespace", in[1], "--ignore-not-found", "-o", "name") == "" {
					s.Kubectl("", "create", "namespace", in[1])
				}
			}
		}
		if _, err := kube.RunKubectl(t.Context(), strings.Join(ours, "\n---\n"), "create", "--dry-run=server", "--validate=strict", "-f", "-"); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
	for _, kind := range []string{"HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "ValidatingWebhookConfiguration", "Deployment", "DaemonSet"} {
		if kinds[kind] == 0 {
			t.Errorf("no rendering has a %s", kind)
		}
	}
	t.Logf("%d renderings: %v; not judged here: %v", len(files), kinds, others)
}
