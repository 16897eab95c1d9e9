package badinput

import (
	"fmt"
	"strings"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
)

// slice is an EndpointSlice of a Service with one endpoint and these ports.
func slice(name, ports string) string {
	return fmt.Sprintf(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.1]}]
ports: %s
`, name, name, ports)
}

// leading is an Ingress for a Service.
func leading(p *place, service string) string {
	return strings.Replace(bed.Ingress(service, p.Host(service), ""), "name: echo", "name: "+service, 1)
}

// Services and endpoints that lead nowhere are answered 503.
func noPorts(p *place) {
	p.Kubectl(`
apiVersion: v1
kind: Service
metadata: {name: portless}
spec: {clusterIP: None, selector: {app: echo}}
---
apiVersion: v1
kind: Service
metadata: {name: zero}
spec: {ports: [{name: http, port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: nil}
spec: {ports: [{name: http, port: 80, targetPort: web}]}
`+"---"+leading(p, "portless")+"---"+leading(p, "zero")+"---"+leading(p, "nil"), "apply", "-f", "-")
	p.Answers(5*time.Second, p.Host("portless"), 503)
	p.tells("Ingress/portless", "has no port")
	p.Kubectl(slice("nil", "null"), "apply", "-f", "-")
	p.Kubectl(slice("zero", "[{name: http, port: 0}]"), "apply", "-f", "-")
	p.Answers(5*time.Second, p.Host("zero"), 503)
	p.Answers(5*time.Second, p.Host("nil"), 503)
	p.tells("EndpointSlice/zero", "port")
}

// Names that lead to each other lead nowhere.
func circles(p *place) {
	external := func(name, to string) string {
		return fmt.Sprintf("\napiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {type: ExternalName, externalName: %s.%s.svc.cluster.local, ports: [{port: 80}]}\n", name, to, p.Name)
	}
	p.Kubectl(external("tick", "tock")+"---"+external("tock", "tick")+"---"+external("self", "self")+"---"+external("straight", "echo")+
		"---"+leading(p, "tick")+"---"+leading(p, "self")+"---"+leading(p, "straight"), "apply", "-f", "-")
	p.Answers(10*time.Second, p.Host("tick"), 503)
	p.Answers(10*time.Second, p.Host("self"), 503)
	p.Answers(10*time.Second, p.Host("straight"), 200)
	p.tells("Service/tick", "circle")
	p.tells("Service/self", "circle")
}

// The controller's ConfigMap may be as large as the API server takes it.
func hugeSettings(p *place) {
	namespace, name := kube.Installed.Namespace, kube.Installed.Deployment
	settings := func(data string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: %s, name: %s}\ndata: %s\n", namespace, name, data)
	}
	const most = 1 << 20
	value := strings.Repeat("9", most)
	if why := p.refused(settings(fmt.Sprintf("{proxy-body-size: %q}", value+"9")), "replace", "-f", "-", "-n", namespace); !strings.Contains(why, "Too long") {
		p.Errorf("the API server says %.300q", why)
	}
	p.KubectlIn(namespace, settings(fmt.Sprintf("{proxy-body-size: %q}", value)), "replace", "-f", "-")
	p.tellsIn(namespace, "ConfigMap/"+name, "proxy-body-size")
	p.KubectlIn(namespace, settings("{}"), "replace", "-f", "-")
}

// An Ingress whose class has gone is nobody's, until the class is there again.
func classGoes(p *place) {
	class := fmt.Sprintf("apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: %s}\nspec: {controller: k8s.io/ingress-nginx}\n", p.Name)
	p.Kubectl(class+"---"+strings.Replace(bed.Ingress("classed", p.Host("classed"), ""), "ClassName: nginx", "ClassName: "+p.Name, 1), "apply", "-f", "-")
	p.Answers(5*time.Second, p.Host("classed"), 200)
	p.Kubectl("", "delete", "ingressclass", p.Name)
	p.Answers(5*time.Second, p.Host("classed"), 404)
	p.Kubectl(class, "apply", "-f", "-")
	p.Answers(5*time.Second, p.Host("classed"), 200)
	p.Kubectl("", "delete", "ingressclass", p.Name)
}

// A namespace goes with all that is served of it, and that an Ingress of another one
// refers to: that one is closed before and after.
func namespaceGoes(p *place) {
	far := p.Name + "-far"
	p.Kubectl("", "create", "namespace", far)
	p.KubectlIn(far, "", "create", "secret", "generic", "users", "--from-literal=auth=joe:{PLAIN}secret")
	p.KubectlIn(far, bed.App+"---"+bed.Ingress("far", p.Host("far"), ""), "apply", "-f", "-")
	p.Kubectl(bed.Ingress("shut", p.Host("shut"), "nginx.ingress.kubernetes.io/auth-type: basic, nginx.ingress.kubernetes.io/auth-secret: "+far+"/users"), "apply", "-f", "-")
	p.Answers(30*time.Second, p.Host("far"), 200)
	p.Answers(5*time.Second, p.Host("shut"), 503, 200)
	p.tells("Ingress/shut", "auth-secret")
	p.Kubectl("", "delete", "namespace", far)
	p.Answers(20*time.Second, p.Host("far"), 404)
	p.Answers(5*time.Second, p.Host("shut"), 503, 200)
}

// A namespace that is about to go and cannot takes no Events: what is wrong in it is in
// the log, and nothing else waits for it.
func namespaceStays(p *place) {
	stuck := p.Name + "-stuck"
	p.Kubectl("", "create", "namespace", stuck)
	held := strings.Replace(bed.Ingress("held", p.Host("held"), ""), "metadata: {name: held", "metadata: {name: held, finalizers: [e2e.pierhead.dev/hold]", 1)
	p.KubectlIn(stuck, held, "create", "-f", "-")
	p.KubectlIn(stuck, "", "create", "service", "externalname", "echo", "--external-name=echo."+p.Name+".svc.cluster.local", "--tcp=80:80")
	p.Answers(10*time.Second, p.Host("held"), 200)
	p.Kubectl("", "delete", "namespace", stuck, "--wait=false")
	p.Answers(20*time.Second, p.Host("held"), 503) // its Service has gone
	p.logs("Service " + stuck + "/echo does not exist")
	p.Kubectl(bed.Ingress("beside", p.Host("beside"), `nginx.ingress.kubernetes.io/limit-rps: "many"`), "apply", "-f", "-")
	p.tells("Ingress/beside", "limit-rps")
	p.KubectlIn(stuck, "", "patch", "ingress", "held", "--type=json", "-p", `[{"op":"remove","path":"/metadata/finalizers"}]`)
	p.Answers(10*time.Second, p.Host("held"), 404)
	gone(p.Space, stuck)
}
