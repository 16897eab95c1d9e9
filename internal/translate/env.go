package translate

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// environment returns the variables of a container as far as they are known without
// a running pod. A variable that needs one is left out.
func environment(o *Objects, w *workload, c *corev1.Container) map[string]string {
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef == nil {
			continue
		}
		if cm := o.configMaps[id{w.entry.id.namespace, from.ConfigMapRef.Name}]; cm != nil {
			for k, v := range cm.value.Data {
				env[from.Prefix+k] = v
			}
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			env[e.Name], _ = expand(e.Value, env)
			continue
		}
		delete(env, e.Name)
		if v, ok := valueFrom(o, w, e.ValueFrom); ok {
			env[e.Name] = v
		}
	}
	return env
}

// valueFrom returns what a variable is taken from.
func valueFrom(o *Objects, w *workload, from *corev1.EnvVarSource) (string, bool) {
	switch {
	case from.FieldRef != nil:
		return w.field(from.FieldRef.FieldPath)
	case from.ConfigMapKeyRef != nil:
		if cm := o.configMaps[id{w.entry.id.namespace, from.ConfigMapKeyRef.Name}]; cm != nil {
			v, ok := cm.value.Data[from.ConfigMapKeyRef.Key]
			return v, ok
		}
	}
	return "", false
}

// field returns a field of the pod that the workload's template stands for. The pod
// has the workload's name, for there is one of it in this process.
func (w *workload) field(path string) (string, bool) {
	template := &w.entry.value.Spec.Template
	switch path {
	case "metadata.name":
		return w.entry.id.name, true
	case "metadata.namespace":
		return w.entry.id.namespace, true
	case "spec.serviceAccountName":
		return template.Spec.ServiceAccountName, true
	}
	for prefix, m := range map[string]map[string]string{
		"metadata.labels['": template.Labels, "metadata.annotations['": template.Annotations,
	} {
		if key, ok := strings.CutPrefix(path, prefix); ok {
			return m[strings.TrimSuffix(key, "']")], true
		}
	}
	return "", false
}

// expand replaces $(NAME) as Kubernetes does: unknown names stay as they are and are
// returned, and $$ stands for one dollar sign.
func expand(s string, env map[string]string) (string, []string) {
	var b strings.Builder
	var missing []string
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		end := strings.IndexByte(s[i:], ')')
		switch {
		case s[i+1] == '$':
			b.WriteByte('$')
			i++
		case s[i+1] != '(' || end < 0:
			b.WriteByte('$')
		default:
			name := s[i+2 : i+end]
			if v, ok := env[name]; ok {
				b.WriteString(v)
			} else {
				missing = append(missing, name)
				b.WriteString(s[i : i+end+1])
			}
			i += end
		}
	}
	return b.String(), missing
}
