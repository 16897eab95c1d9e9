package kubectl

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pierhead/pierhead/internal/admin"
)

func infoCommand() *subcommand {
	return &subcommand{
		name: "info", short: "addresses, Pods, versions, leader, readiness",
		usage: ` [flags]

Prints the Services in front of the controllers with their addresses and ports, and for
each Pod its version, whether it is ready and leads, and what it serves.

flags:
` + podUsage + commonUsage + outputUsage + `
examples:
  kubectl pierhead info -n pierhead
  kubectl pierhead info -o json
`,
		flags: func(k *call) { podFlags(k); outputFlags(k) },
		run:   runInfo,
	}
}

// Installation is what info tells.
type Installation struct {
	Namespace string        `json:"namespace"`
	Services  []ServiceInfo `json:"services"`
	Pods      []PodInfo     `json:"pods"`
}

// ServiceInfo is a Service that leads to the controllers.
type ServiceInfo struct {
	Name      string   `json:"name"`
	Type      string   `json:"type"`
	ClusterIP string   `json:"clusterIP"`
	Addresses []string `json:"addresses"` // from outside
	Ports     []string `json:"ports"`
}

// PodInfo is a Pod and what it answers.
type PodInfo struct {
	Name  string      `json:"name"`
	Node  string      `json:"node"`
	Ready bool        `json:"ready"`
	Error string      `json:"error,omitempty"` // why it does not answer
	Info  *admin.Info `json:"info,omitempty"`
}

func runInfo(ctx context.Context, k *call) error {
	if err := firstOf(k.noWords(), k.format("table", "wide")); err != nil {
		return err
	}
	pods, err := k.controllerPods(ctx)
	if err != nil {
		return err
	}
	all := Installation{Namespace: k.cluster.namespace, Services: []ServiceInfo{}, Pods: []PodInfo{}}
	services, err := k.client.CoreV1().Services(k.cluster.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		k.note("the Services are not shown: %v", told(err))
	} else {
		for i := range services.Items {
			if s := &services.Items[i]; leadsTo(s, pods) {
				all.Services = append(all.Services, serviceInfo(s))
			}
		}
	}
	for _, a := range askAll(ctx, k.cluster, pods, func(ctx context.Context, pod controllerPod) (i admin.Info, generation uint64, err error) {
		generation, err = k.ask(ctx, pod, question{path: "info"}, &i)
		return i, generation, err
	}) {
		row := PodInfo{Name: a.pod.Name, Node: a.pod.Spec.NodeName, Ready: ready(a.pod.Pod)}
		if a.err != nil {
			row.Error = firstLine(told(a.err))
			k.note("pod %s does not answer: %v", a.pod.Name, told(a.err))
		} else {
			row.Info = &a.value
		}
		all.Pods = append(all.Pods, row)
	}
	if k.data() {
		return k.print(all)
	}
	writeInstallation(k, &all)
	return nil
}

// leadsTo tells whether a Service selects one of the Pods.
func leadsTo(s *corev1.Service, pods []controllerPod) bool {
	if len(s.Spec.Selector) == 0 {
		return false
	}
	selector := labels.SelectorFromSet(s.Spec.Selector)
	for _, p := range pods {
		if selector.Matches(labels.Set(p.Labels)) {
			return true
		}
	}
	return false
}

func serviceInfo(s *corev1.Service) ServiceInfo {
	info := ServiceInfo{Name: s.Name, Type: string(s.Spec.Type), ClusterIP: s.Spec.ClusterIP, Addresses: []string{}, Ports: []string{}}
	for _, in := range s.Status.LoadBalancer.Ingress {
		info.Addresses = append(info.Addresses, in.IP+in.Hostname)
	}
	info.Addresses = append(info.Addresses, s.Spec.ExternalIPs...)
	for _, p := range s.Spec.Ports {
		text := fmt.Sprintf("%d/%s", p.Port, p.Protocol)
		if p.NodePort > 0 {
			text = fmt.Sprintf("%d:%d/%s", p.Port, p.NodePort, p.Protocol)
		}
		info.Ports = append(info.Ports, text)
	}
	return info
}

func writeInstallation(k *call, all *Installation) {
	services := table{columns: []column{{head: "SERVICE"}, {head: "TYPE"}, {head: "CLUSTER-IP"}, {head: "ADDRESSES", cut: true}, {head: "PORTS"}}}
	for _, s := range all.Services {
		services.add(s.Name, s.Type, s.ClusterIP, list(s.Addresses), list(s.Ports))
	}
	if len(services.rows) > 0 {
		services.write(k.Stdout, k.Width, k.output == "wide", !k.noHeaders)
		fmt.Fprintln(k.Stdout)
	}
	pods := table{columns: []column{
		{head: "POD"}, {head: "READY"}, {head: "LEADS"}, {head: "VERSION"}, {head: "GENERATION"}, {head: "INGRESSES", wide: true}, {head: "ROUTES"},
		{head: "BACKENDS", wide: true}, {head: "CERTIFICATES", wide: true}, {head: "ERRORS"}, {head: "WARNINGS"}, {head: "NODE", wide: true}, {head: "LISTENS", wide: true},
	}}
	for _, p := range all.Pods {
		pods.add(podCells(p)...)
	}
	pods.write(k.Stdout, k.Width, k.output == "wide", !k.noHeaders)
}

func podCells(p PodInfo) []string {
	i := p.Info
	if i == nil {
		return []string{p.Name, yes(p.Ready), "?", "?", "?", "?", "?", "?", "?", "?", "?", p.Node, "?"}
	}
	leads := "-"
	if i.Leader != nil {
		leads = yes(*i.Leader)
	}
	var listens []string
	for _, c := range i.Controllers {
		listens = append(listens, strings.Trim(c.HTTP+","+c.HTTPS, ","))
		if c.Error != "" {
			listens = append(listens, "("+strings.TrimSpace(c.Error)+")")
		}
	}
	return []string{
		p.Name, yes(p.Ready), leads, i.Version, strconv.FormatUint(i.Generation, 10), strconv.Itoa(i.Ingresses), strconv.Itoa(i.Routes),
		strconv.Itoa(i.Upstreams), strconv.Itoa(i.Certificates), strconv.Itoa(i.Errors), strconv.Itoa(i.Warnings), p.Node, list(listens),
	}
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
