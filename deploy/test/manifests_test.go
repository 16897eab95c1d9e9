package deploy

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const manifestsDir = "../manifests"

// plain is what the manifests are made with.
var plain = release{values: with("controller.replicaCount", 2, "controller.networkPolicy.enabled", true, "controller.metrics.enabled", true)}

// manifestFiles says which file a kind is in.
var manifestFiles = []struct {
	file  string
	kinds []string
}{
	{"namespace.yaml", []string{"Namespace"}},
	{"rbac.yaml", []string{"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}},
	{"config.yaml", []string{"ConfigMap", "IngressClass"}},
	{"controller.yaml", []string{"Deployment", "PodDisruptionBudget", "NetworkPolicy"}},
	{"services.yaml", []string{"Service"}},
	{"webhook.yaml", []string{"ValidatingWebhookConfiguration", "Secret"}},
}

const madeFrom = "# Made from the Helm chart by make update. Do not edit.\n"

const namespaceManifest = `apiVersion: v1
kind: Namespace
metadata:
  name: pierhead
  labels:
    pod-security.kubernetes.io/enforce: restricted
`

// plainObjects are the objects of the manifests, without what names Helm.
func plainObjects(t *testing.T) []object {
	t.Helper()
	namespace, err := parse(namespaceManifest)
	if err != nil {
		t.Fatal(err)
	}
	objects := []object{*namespace}
	for _, o := range mustRender(t, plain).objects {
		var m values
		if err := yaml.Unmarshal([]byte(o.text), &m); err != nil {
			t.Fatal(err)
		}
		withoutHelm(m)
		text, err := yaml.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		o.text = string(text)
		objects = append(objects, o)
	}
	return objects
}

// withoutHelm removes Helm's labels, wherever they are.
func withoutHelm(v any) {
	switch v := v.(type) {
	case values:
		delete(v, "helm.sh/chart")
		delete(v, "app.kubernetes.io/managed-by")
		for _, e := range v {
			withoutHelm(e)
		}
	case []any:
		for _, e := range v {
			withoutHelm(e)
		}
	}
}

func TestManifests(t *testing.T) {
	objects := plainObjects(t)
	kustomization := bytes.NewBufferString(madeFrom + "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n")
	left := len(objects)
	for _, f := range manifestFiles {
		var texts []string
		for _, o := range objects {
			if slices.Contains(f.kinds, o.kind) {
				texts = append(texts, o.text)
			}
		}
		left -= len(texts)
		compare(t, filepath.Join(manifestsDir, f.file), []byte(madeFrom+strings.Join(texts, "---\n")))
		kustomization.WriteString("- " + f.file + "\n")
	}
	if left != 0 {
		t.Errorf("%d objects are of kinds that no file takes", left)
	}
	compare(t, filepath.Join(manifestsDir, "kustomization.yaml"), kustomization.Bytes())
	strict(t, rendered{objects: objects})
}

// build is what kustomize makes of a folder.
func build(t *testing.T, dir string) rendered {
	t.Helper()
	m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	out, err := split(map[string]string{dir: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestKustomize holds that the base gives the same objects.
func TestKustomize(t *testing.T) {
	base := build(t, manifestsDir)
	want := plainObjects(t)
	if len(base.objects) != len(want) {
		t.Errorf("the base has %d objects, the manifests have %d", len(base.objects), len(want))
	}
	for _, o := range want {
		if !slices.ContainsFunc(base.objects, func(p object) bool { return p.String() == o.String() && p.text == o.text }) {
			t.Errorf("%s is not in the base, or another", o)
		}
	}
	find[corev1.Namespace](t, base, "Namespace", "pierhead")
}
