package kubectl

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func ingressesCommand() *subcommand {
	var host, service string
	return &subcommand{
		name: "ingresses", aliases: []string{"ingress", "ing"}, short: "the rules of Ingresses, with addresses, TLS and endpoints",
		usage: ` [flags]

Prints a line for each path of each Ingress: where it leads, how many ready endpoints are
there, whether its host has TLS, and the addresses that the Ingress is published by. It
reads objects alone and asks no controller.

flags:
  -A, --all-namespaces      of all namespaces
      --host HOST           only this host
      --service NAME        only what leads to this Service
` + commonUsage + outputUsage + `
examples:
  kubectl pierhead ingresses --all-namespaces
  kubectl pierhead ing -n shop --host shop.example.com -o json
`,
		flags: func(k *call) {
			outputFlags(k)
			k.flags.BoolVarP(&k.allNamespaces, "all-namespaces", "A", false, "")
			k.flags.StringVar(&host, "host", "", "")
			k.flags.StringVar(&service, "service", "", "")
		},
		run: func(ctx context.Context, k *call) error {
			if err := firstOf(k.noWords(), k.format("table", "wide")); err != nil {
				return err
			}
			rows, err := k.rules(ctx)
			if err != nil {
				return err
			}
			rows = slices.DeleteFunc(rows, func(r Rule) bool {
				return host != "" && !strings.EqualFold(r.Host, host) || service != "" && r.Service != service
			})
			columns := []column{
				{head: "NAMESPACE"}, {head: "INGRESS", cut: true}, {head: "CLASS", wide: true}, {head: "HOST+PATH", cut: true}, {head: "TYPE", wide: true},
				{head: "ADDRESSES", cut: true}, {head: "TLS"}, {head: "SECRET", wide: true}, {head: "SERVICE", cut: true}, {head: "PORT"}, {head: "ENDPOINTS"},
			}
			columns[0].wide = !k.allNamespaces
			where := "namespace " + k.cluster.namespace
			if k.allNamespaces {
				where = "the cluster"
			}
			return show(k, rows, "no Ingress fits in "+where, columns, func(r Rule) []string {
				tls := "no"
				if r.TLS {
					tls = "yes"
				}
				ends := "?"
				if r.Endpoints != nil {
					ends = strconv.Itoa(*r.Endpoints)
				}
				return []string{
					r.Namespace, r.Ingress, orDash(r.Class), orStar(r.Host) + r.Path, orDash(r.PathType), list(r.Addresses), tls, orDash(r.Secret),
					orDash(r.Service), orDash(r.Port), ends,
				}
			})
		},
	}
}

// Rule is one path of one Ingress.
type Rule struct {
	Namespace string   `json:"namespace"`
	Ingress   string   `json:"ingress"`
	Class     string   `json:"class"`
	Host      string   `json:"host"` // empty: any
	Path      string   `json:"path"`
	PathType  string   `json:"pathType"`
	Addresses []string `json:"addresses"`
	TLS       bool     `json:"tls"`
	Secret    string   `json:"secret"`
	Service   string   `json:"service"`
	Port      string   `json:"port"`
	Endpoints *int     `json:"endpoints"` // that are ready; null: not known
}

// pageSize is how many objects are read at once.
const pageSize = 500

// rules lists the paths of all Ingresses.
func (k *call) rules(ctx context.Context) ([]Rule, error) {
	ns := k.cluster.namespace
	if k.allNamespaces {
		ns = metav1.NamespaceAll
	}
	ingresses, err := everyPage(ctx, func(ctx context.Context, o metav1.ListOptions) ([]networkingv1.Ingress, string, error) {
		l, err := k.client.NetworkingV1().Ingresses(ns).List(ctx, o)
		if err != nil {
			return nil, "", err
		}
		return l.Items, l.Continue, nil
	})
	if err != nil {
		return nil, err
	}
	ends, err := k.endpoints(ctx, ns)
	if err != nil {
		k.note("endpoints are not counted: %v", told(err))
	}
	rows := []Rule{}
	for i := range ingresses {
		rows = append(rows, rulesOf(&ingresses[i], ends)...)
	}
	return rows, nil
}

// everyPage reads a list page by page.
func everyPage[T any](ctx context.Context, get func(context.Context, metav1.ListOptions) ([]T, string, error)) ([]T, error) {
	var all []T
	o := metav1.ListOptions{Limit: pageSize}
	for {
		items, more, err := get(ctx, o)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if o.Continue = more; more == "" {
			return all, nil
		}
	}
}

// servicePort names a port of a Service, by number and by name.
type servicePort struct{ namespace, service, port string }

// endpoints counts the ready endpoints of every Service port.
func (k *call) endpoints(ctx context.Context, ns string) (map[servicePort]int, error) {
	services, err := everyPage(ctx, func(ctx context.Context, o metav1.ListOptions) ([]corev1.Service, string, error) {
		l, err := k.client.CoreV1().Services(ns).List(ctx, o)
		if err != nil {
			return nil, "", err
		}
		return l.Items, l.Continue, nil
	})
	if err != nil {
		return nil, err
	}
	slices, err := everyPage(ctx, func(ctx context.Context, o metav1.ListOptions) ([]discoveryv1.EndpointSlice, string, error) {
		l, err := k.client.DiscoveryV1().EndpointSlices(ns).List(ctx, o)
		if err != nil {
			return nil, "", err
		}
		return l.Items, l.Continue, nil
	})
	if err != nil {
		return nil, err
	}
	return countEndpoints(services, slices), nil
}

// countEndpoints counts by the name of the port, which EndpointSlices share with their
// Service.
func countEndpoints(services []corev1.Service, all []discoveryv1.EndpointSlice) map[servicePort]int {
	byName := map[servicePort]map[string]bool{}
	for i := range all {
		s := &all[i]
		for _, p := range s.Ports {
			name := ""
			if p.Name != nil {
				name = *p.Name
			}
			key := servicePort{s.Namespace, s.Labels[discoveryv1.LabelServiceName], name}
			if byName[key] == nil {
				byName[key] = map[string]bool{}
			}
			for _, e := range s.Endpoints {
				if len(e.Addresses) > 0 && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
					byName[key][e.Addresses[0]] = true
				}
			}
		}
	}
	counts := map[servicePort]int{}
	for i := range services {
		s := &services[i]
		for _, p := range s.Spec.Ports {
			n := len(byName[servicePort{s.Namespace, s.Name, p.Name}])
			counts[servicePort{s.Namespace, s.Name, strconv.Itoa(int(p.Port))}] = n
			if p.Name != "" {
				counts[servicePort{s.Namespace, s.Name, p.Name}] = n
			}
		}
	}
	return counts
}

// rulesOf lists the paths of one Ingress. Without counts endpoints are not known.
func rulesOf(in *networkingv1.Ingress, counts map[servicePort]int) (rows []Rule) {
	row := Rule{Namespace: in.Namespace, Ingress: in.Name, Class: in.Annotations["kubernetes.io/ingress.class"], Addresses: []string{}}
	if in.Spec.IngressClassName != nil {
		row.Class = *in.Spec.IngressClassName
	}
	for _, a := range in.Status.LoadBalancer.Ingress {
		row.Addresses = append(row.Addresses, a.IP+a.Hostname)
	}
	add := func(r Rule, b *networkingv1.IngressBackend) {
		if b != nil && b.Service != nil {
			r.Service, r.Port = b.Service.Name, b.Service.Port.Name
			if r.Port == "" {
				r.Port = strconv.Itoa(int(b.Service.Port.Number))
			}
			if counts != nil {
				n := counts[servicePort{r.Namespace, r.Service, r.Port}]
				r.Endpoints = &n
			}
		} else if b != nil && b.Resource != nil {
			r.Service = fmt.Sprintf("%s %s", b.Resource.Kind, b.Resource.Name)
		}
		rows = append(rows, r)
	}
	if in.Spec.DefaultBackend != nil {
		add(row, in.Spec.DefaultBackend)
	}
	for _, rule := range in.Spec.Rules {
		r := row
		r.Host = rule.Host
		r.TLS, r.Secret = tlsOf(in, rule.Host)
		if rule.HTTP == nil {
			add(r, in.Spec.DefaultBackend)
			continue
		}
		for _, p := range rule.HTTP.Paths {
			r.Path = p.Path
			if p.PathType != nil {
				r.PathType = string(*p.PathType)
			}
			add(r, &p.Backend)
		}
	}
	return rows
}

// tlsOf tells whether a host has TLS, and by which Secret.
func tlsOf(in *networkingv1.Ingress, host string) (bool, string) {
	for _, t := range in.Spec.TLS {
		if slices.Contains(t.Hosts, host) {
			return true, t.SecretName
		}
	}
	return false, ""
}

// objectName reads namespace/name.
func objectName(text, flag string) (namespace, name string, err error) {
	namespace, name, ok := strings.Cut(text, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return "", "", UsageError{fmt.Errorf("%s %q: want namespace/name", flag, text)}
	}
	return namespace, name, nil
}
