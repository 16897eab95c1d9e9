package node

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// field returns the value of a downward API field path.
func (p *pod) field(path string) (string, error) {
	o := p.spec()
	if base, key, ok := strings.Cut(path, "['"); ok {
		key = strings.TrimSuffix(key, "']")
		switch base {
		case "metadata.labels":
			return o.Labels[key], nil
		case "metadata.annotations":
			return o.Annotations[key], nil
		}
	}
	node := p.agent.Bridge.Gateway.String()
	switch path {
	case "metadata.name":
		return o.Name, nil
	case "metadata.namespace":
		return o.Namespace, nil
	case "metadata.uid":
		return string(o.UID), nil
	case "metadata.labels":
		return list(o.Labels), nil
	case "metadata.annotations":
		return list(o.Annotations), nil
	case "spec.nodeName":
		return o.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return o.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs":
		return p.ip.String(), nil
	case "status.hostIP", "status.hostIPs":
		return node, nil
	}
	return "", fmt.Errorf("fieldPath %q: not known here", path)
}

// list writes labels or annotations as the downward API does.
func list(m map[string]string) string {
	var lines []string
	for key, value := range m {
		lines = append(lines, key+"="+strconv.Quote(value))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// resource returns a limit or request of the container; without a limit, a core and a
// gibibyte.
func (c *container) resource(ref *corev1.ResourceFieldSelector) (string, error) {
	kind, name, _ := strings.Cut(ref.Resource, ".")
	have := c.spec.Resources.Requests
	if kind == "limits" {
		have = c.spec.Resources.Limits
	}
	q, ok := have[corev1.ResourceName(name)]
	switch {
	case ok:
	case name == "cpu":
		q = resource.MustParse("1")
	case name == "memory":
		q = resource.MustParse("1Gi")
	default:
		return "", fmt.Errorf("resource %q: not known here", ref.Resource)
	}
	divisor := ref.Divisor.AsApproximateFloat64()
	if divisor == 0 {
		divisor = 1
	}
	whole := q.AsApproximateFloat64() / divisor
	up := int64(whole)
	if float64(up) < whole {
		up++
	}
	return strconv.FormatInt(up, 10), nil
}
