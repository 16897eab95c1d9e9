package translate

import (
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pierhead/pierhead/internal/policy"
)

// References are the objects, as namespace/name, that another object names and whose
// content decides what is served.
type References struct {
	Secrets    []string
	ConfigMaps []string
}

// referenceKeys are the annotations that name an object, with its kind.
var referenceKeys = sync.OnceValue(func() map[string]string {
	kinds := map[string]string{}
	for _, d := range policy.Decls() {
		if kind, ok := strings.CutSuffix(d.Type, " name"); ok {
			for _, name := range append([]string{d.Name}, d.Aliases...) {
				kinds[name] = kind
			}
		}
	}
	return kinds
})

// IngressReferences returns what an Ingress may name: the Secrets of its TLS entries
// and what its annotations hold, whatever their prefix. Who asks for content can so
// leave that of all other objects alone.
func IngressReferences(in *networkingv1.Ingress) References {
	var r References
	for _, t := range in.Spec.TLS {
		if t.SecretName != "" {
			r.Secrets = append(r.Secrets, in.Namespace+"/"+t.SecretName)
		}
	}
	for key, value := range in.Annotations {
		_, name, _ := strings.Cut(key, "/")
		kind := referenceKeys()[name]
		if value = strings.TrimSpace(value); kind == "" || value == "" {
			continue
		}
		if !strings.Contains(value, "/") {
			value = in.Namespace + "/" + value
		}
		switch kind {
		case "Secret":
			r.Secrets = append(r.Secrets, value)
		case "ConfigMap":
			r.ConfigMaps = append(r.ConfigMaps, value)
		}
	}
	return r
}

// settingsReferences are the keys of a controller's ConfigMap that name another.
var settingsReferences = []string{"add-headers", "proxy-set-headers"}

// SettingsReferences returns what a controller's ConfigMap may name.
func SettingsReferences(data map[string]string) References {
	var r References
	for _, key := range settingsReferences {
		if v := strings.TrimSpace(data[key]); v != "" {
			r.ConfigMaps = append(r.ConfigMaps, v)
		}
	}
	if v := strings.TrimSpace(data["ssl-dh-param"]); v != "" {
		r.Secrets = append(r.Secrets, v)
	}
	return r
}

// ControllerReferences returns what the flags of a Deployment or DaemonSet name, and
// whether it runs a controller at all.
func ControllerReferences(obj runtime.Object) (r References, ok bool) {
	_, d := workloadOf(obj)
	if d == nil {
		return r, false
	}
	w := &workload{entry: &entry[appsv1.Deployment]{id: id{d.Namespace, d.Name}, value: d}, r: &report{}}
	index, args := commandOf(&d.Spec.Template.Spec)
	if index < 0 {
		return r, false
	}
	c := w.controller(NewObjects(), index, args, Options{})
	if c.ConfigMap != "" {
		r.ConfigMaps = append(r.ConfigMaps, c.ConfigMap)
	}
	if c.DefaultSSLCertificate != "" {
		r.Secrets = append(r.Secrets, c.DefaultSSLCertificate)
	}
	return r, true
}
