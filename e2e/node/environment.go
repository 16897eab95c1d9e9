package node

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// environment variables in the order they were set.
type environment struct {
	order []string
	value map[string]string
}

func (e *environment) set(name, value string) {
	if _, ok := e.value[name]; !ok {
		e.order = append(e.order, name)
	}
	e.value[name] = value
}

func (e *environment) list() (out []string) {
	for _, name := range e.order {
		out = append(out, name+"="+e.value[name])
	}
	return out
}

// expand replaces $(NAME) by a variable; $$ stands for a dollar sign, and what is not a
// variable stays as it is.
func (e *environment) expand(text string) string {
	var out strings.Builder
	for {
		i := strings.IndexByte(text, '$')
		if i < 0 || i+1 == len(text) {
			out.WriteString(text)
			return out.String()
		}
		out.WriteString(text[:i])
		text = text[i:]
		end := strings.IndexByte(text, ')')
		switch {
		case text[1] == '$':
			out.WriteByte('$')
			text = text[2:]
		case text[1] == '(' && end > 0:
			if v, ok := e.value[text[2:end]]; ok {
				out.WriteString(v)
			} else {
				out.WriteString(text[:end+1])
			}
			text = text[end+1:]
		default:
			out.WriteByte('$')
			text = text[1:]
		}
	}
}

func (e *environment) expandAll(texts []string) (out []string) {
	for _, t := range texts {
		out = append(out, e.expand(t))
	}
	return out
}

// environment returns the container's variables.
func (c *container) environment(image Image) (*environment, error) {
	a, p := c.pod.agent, c.pod
	e := &environment{value: map[string]string{}}
	e.set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/")
	e.set("HOSTNAME", p.hostname())
	e.set("HOME", "/")
	for _, v := range image.Env {
		name, value, _ := strings.Cut(v, "=")
		e.set(name, value)
	}
	e.set("KUBERNETES_SERVICE_HOST", a.API.Addr().String())
	e.set("KUBERNETES_SERVICE_PORT", strconv.Itoa(int(a.API.Port())))
	e.set("KUBERNETES_SERVICE_PORT_HTTPS", strconv.Itoa(int(a.API.Port())))
	for _, from := range c.spec.EnvFrom {
		if err := c.setAll(e, from); err != nil {
			return nil, err
		}
	}
	for _, v := range c.spec.Env {
		value, ok, err := c.variable(v, e)
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", v.Name, err)
		}
		if ok {
			e.set(v.Name, value)
		}
	}
	return e, nil
}

// variable returns the value of one variable; false when it comes from something optional
// that is not there.
func (c *container) variable(v corev1.EnvVar, e *environment) (string, bool, error) {
	from := v.ValueFrom
	if from == nil {
		return e.expand(v.Value), true, nil
	}
	switch {
	case from.FieldRef != nil:
		value, err := c.pod.field(from.FieldRef.FieldPath)
		return value, true, err
	case from.ResourceFieldRef != nil:
		value, err := c.resource(from.ResourceFieldRef)
		return value, true, err
	case from.SecretKeyRef != nil:
		data, err := c.pod.secret(from.SecretKeyRef.Name)
		return pick(data, err, from.SecretKeyRef.Key, from.SecretKeyRef.Optional)
	case from.ConfigMapKeyRef != nil:
		data, err := c.pod.configMap(from.ConfigMapKeyRef.Name)
		return pick(data, err, from.ConfigMapKeyRef.Key, from.ConfigMapKeyRef.Optional)
	}
	return "", false, fmt.Errorf("valueFrom: a kind that is not known here")
}

// pick returns one key of data, whose absence may be allowed.
func pick(data map[string][]byte, err error, key string, optional *bool) (string, bool, error) {
	may := optional != nil && *optional
	if apierrors.IsNotFound(err) && may {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	value, ok := data[key]
	if !ok && !may {
		return "", false, fmt.Errorf("key %q: not there", key)
	}
	return string(value), ok, nil
}

// setAll sets a variable for each key of a ConfigMap or a Secret.
func (c *container) setAll(e *environment, from corev1.EnvFromSource) error {
	var data map[string][]byte
	var err error
	var optional *bool
	switch {
	case from.ConfigMapRef != nil:
		data, err = c.pod.configMap(from.ConfigMapRef.Name)
		optional = from.ConfigMapRef.Optional
	case from.SecretRef != nil:
		data, err = c.pod.secret(from.SecretRef.Name)
		optional = from.SecretRef.Optional
	}
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil
	}
	for key, value := range data {
		e.set(from.Prefix+key, string(value))
	}
	return err
}

// secret returns the content of a Secret of the Pod's namespace.
func (p *pod) secret(name string) (map[string][]byte, error) {
	s, err := p.agent.Client.CoreV1().Secrets(p.spec().Namespace).Get(p.ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return s.Data, nil
}

// configMap returns the content of a ConfigMap of the Pod's namespace.
func (p *pod) configMap(name string) (map[string][]byte, error) {
	m, err := p.agent.Client.CoreV1().ConfigMaps(p.spec().Namespace).Get(p.ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for key, value := range m.Data {
		all[key] = []byte(value)
	}
	for key, value := range m.BinaryData {
		all[key] = value
	}
	return all, nil
}
