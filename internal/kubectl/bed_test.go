package kubectl

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/control"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is what the tests ask: a shop, its certificate and its controllers.
const clusterManifests = `
{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: nginx}, spec: {controller: k8s.io/ingress-nginx}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
  namespace: shop
  annotations:
    nginx.ingress.kubernetes.io/limit-rps: "5"
    nginx.ingress.kubernetes.io/auth-type: basic
    nginx.ingress.kubernetes.io/auth-secret: users
spec:
  ingressClassName: nginx
  tls: [{hosts: [shop.example.com], secretName: shop-tls}]
  rules:
  - host: shop.example.com
    http:
      paths:
      - {path: /cart, pathType: Prefix, backend: {service: {name: cart, port: {number: 80}}}}
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}
status: {loadBalancer: {ingress: [{ip: 192.0.2.10}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: wrong
  namespace: shop
  annotations:
    nginx.ingress.kubernetes.io/limit-rps: many
    nginx.ingress.kubernetes.io/enable-influxdb: "true"
    nginx.ingress.kubernetes.io/proxy-bodysize: 8m
spec:
  ingressClassName: nginx
  rules:
  - host: wrong.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: nobody, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: docs, namespace: docs}
spec:
  ingressClassName: nginx
  rules:
  - host: docs.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{name: http, port: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: docs}, spec: {ports: [{port: 80}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart-1, namespace: shop, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.4]}, {addresses: [10.0.0.5], conditions: {ready: false}}]
ports: [{name: "", port: 8080}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.6]}, {addresses: [10.0.0.7]}]
ports: [{name: http, port: 8080}]
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: pierhead-controller, namespace: pierhead}, data: {server-tokens: "true", keepalive: "10"}}
---
{apiVersion: v1, kind: Secret, metadata: {name: users, namespace: shop}, data: {auth: am9lOntQTEFJTn1odW50ZXIyCg==}}
---
apiVersion: v1
kind: Service
metadata: {name: pierhead-controller, namespace: pierhead}
spec: {type: LoadBalancer, clusterIP: 10.96.0.10, selector: {app.kubernetes.io/name: pierhead}, ports: [{name: http, port: 80, nodePort: 30080, protocol: TCP}, {name: https, port: 443, protocol: TCP}]}
status: {loadBalancer: {ingress: [{ip: 192.0.2.10}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pierhead-controller, namespace: pierhead}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: pierhead}}
  template:
    metadata: {labels: {app.kubernetes.io/name: pierhead}}
    spec:
      containers:
      - name: controller
        image: ghcr.io/pierhead/pierhead
        command: [/pierhead, controller]
        args: [--configmap=$(POD_NAMESPACE)/pierhead-controller, --sort-backends, --election-id=x]
        env: [{name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}]
`

// podManifest is a Pod of the controller.
func podManifest(name string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata:
  name: %s
  namespace: pierhead
  labels: {app.kubernetes.io/name: pierhead, app.kubernetes.io/component: controller, pod-template-hash: 5d9c7b6f4}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: pierhead-controller-5d9c7b6f4, uid: x}]
spec: {nodeName: node-1, containers: [{name: controller, image: x, command: [/pierhead, controller], args: [--election-id=x]}]}
status: {phase: Running, conditions: [{type: Ready, status: "True"}]}
`, name)
}

const podA, podB = "pierhead-controller-5d9c7b6f4-aaaaa", "pierhead-controller-5d9c7b6f4-bbbbb"

// static is a source of objects that never change.
type static struct{ objects *translate.Objects }

func (s *static) Load() (*translate.Objects, []model.Problem)          { return s.objects, nil }
func (s *static) Watch(ctx context.Context, _ func()) error            { <-ctx.Done(); return ctx.Err() }
func (s *apiServer) source(leave func(kind, name string) bool) *static { return &static{s.read(leave)} }

// read reads the API server's objects.
func (s *apiServer) read(leave func(kind, name string) bool) *translate.Objects {
	objects := translate.NewObjects()
	for _, list := range s.objects {
		for _, o := range list {
			kind, name := o["kind"].(string), o["metadata"].(map[string]any)["name"].(string)
			obj := translate.New(o["apiVersion"].(string), kind)
			if obj == nil || kind == "Deployment" || leave != nil && leave(kind, name) {
				continue
			}
			text, err := json.Marshal(o)
			if err == nil {
				err = json.Unmarshal(text, obj)
			}
			if err == nil {
				err = objects.Add(obj, translate.Place{})
			}
			if err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return objects
}

// controller starts a controller on a source and returns what answers for it.
func controller(t *testing.T, source control.Source, change func(*admin.Server)) *admin.Server {
	t.Helper()
	flags := translate.DefaultFlags()
	flags.ConfigMap = "pierhead/pierhead-controller"
	c, err := control.Start(context.Background(), control.Options{
		Version: "1.2.3", Source: source, Engine: loop.Goroutines, AnyPort: true, ListenAddress: netip.MustParseAddr("127.0.0.1"),
		Log: slog.New(slog.DiscardHandler), AccessLog: io.Discard,
		Rules: control.Rules{Translate: translate.Options{ForeignBalancers: true, Default: &translate.Default{Namespace: "pierhead", Flags: flags}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	a := c.Admin(func() error { return nil })
	if change != nil {
		change(a)
	}
	return a
}

// start starts the whole: an API server with two Pods of one controller.
func start(t *testing.T) *apiServer {
	t.Helper()
	s := startAPIServer(t, clusterManifests+"---"+podManifest(podA)+"---"+podManifest(podB)+"---\n"+certificateSecret(t))
	leads := func(does bool) func(*admin.Server) {
		return func(a *admin.Server) { a.Views.Leading = func() bool { return does } }
	}
	s.answers[podA] = controller(t, s.source(nil), leads(true)).Handler()
	s.answers[podB] = controller(t, s.source(nil), leads(false)).Handler()
	s.logs[podA], s.logs[podB] = "one\ntwo\nthree\n", "four\n"
	return s
}

// certificateSecret is the Secret shop/shop-tls.
func certificateSecret(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "shop"}, DNSNames: []string{"shop.example.com"},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2126, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, b []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return fmt.Sprintf("{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {name: shop-tls, namespace: shop}, data: {tls.crt: %s, tls.key: %s}}\n",
		text("CERTIFICATE", der), text("PRIVATE KEY", secret))
}

// terminal runs the plugin as on a terminal of that width and returns what is seen.
func (s *apiServer) terminal(width int, args ...string) (string, error) {
	var out bytes.Buffer
	env := &Env{Stdout: &out, Stderr: &out, Width: width, Version: "1.2.3"}
	err := Run(s.t.Context(), env, append(args, "--kubeconfig", s.kubeconfig()))
	if err != nil && err != ErrFound {
		fmt.Fprintf(&out, "pierhead: %v\n", err)
	}
	return strings.ReplaceAll(out.String(), s.url, "https://cluster.example.com"), err
}
