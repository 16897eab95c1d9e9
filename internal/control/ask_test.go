package control

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/loop"
)

// asked is what the tests below ask about: two hosts, one with a certificate and a
// password, a wildcard, a limit that requests are counted for, and settings.
func asked(t *testing.T) *served {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, loop.Goroutines, map[string]string{"tls.yaml": strings.Replace(newAuthority(t).secret("shop-tls", "shop.example.com", key, 2), "namespace: default", "namespace: shop", 1), "app.yaml": `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
  namespace: shop
  annotations:
    nginx.ingress.kubernetes.io/limit-rps: "1"
    nginx.ingress.kubernetes.io/limit-burst-multiplier: "1"
    nginx.ingress.kubernetes.io/auth-type: basic
    nginx.ingress.kubernetes.io/auth-secret: users
    nginx.ingress.kubernetes.io/satisfy: any
    nginx.ingress.kubernetes.io/whitelist-source-range: 192.0.2.0/24
spec:
  tls: [{hosts: [shop.example.com], secretName: shop-tls}]
  rules:
  - host: shop.example.com
    http: {paths: [{path: /cart, pathType: Prefix, backend: {service: {name: cart, port: {number: 80}}}}]}
  - host: "*.example.org"
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: cart, port: {number: 80}}}}]}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 80}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart-1, namespace: shop, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.9]}]
ports: [{port: 8080}]
---
{apiVersion: v1, kind: Secret, metadata: {name: users, namespace: shop}, stringData: {auth: "joe:{PLAIN}hunter2\n"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: front}, data: {server-tokens: "true", hsts: "false"}}
`}, func(o *Options) { o.Rules.Translate.Default.Flags.ConfigMap = "front/settings" })
}

// get asks the API of a Control.
func get(t *testing.T, h http.Handler, path string, into any) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/"+path, nil))
	body, _ := io.ReadAll(w.Body)
	if w.Code != http.StatusOK {
		t.Fatalf("%s is answered %d: %s", path, w.Code, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestConfigIsTold: the settings with where they were written, and a host's routes as
// they are done.
func TestConfigIsTold(t *testing.T) {
	s := asked(t)
	h := s.Admin(func() error { return nil }).Handler()
	var c admin.Config
	get(t, h, "config?host=shop.example.com", &c)
	if len(c.Controllers) != 1 || c.Generation == 0 {
		t.Fatalf("config is %+v", c)
	}
	settings := map[string]admin.Setting{}
	for _, one := range c.Controllers[0].Settings {
		settings[one.Key] = one
	}
	if got := settings["server-tokens"]; got.Value != "true" || !strings.HasPrefix(got.From, "data[server-tokens] of ConfigMap front/settings at ") {
		t.Errorf("server-tokens is %+v", got)
	}
	if got := settings["hsts-max-age"]; got.Value == "" || got.From != "" {
		t.Errorf("hsts-max-age is %+v", got)
	}
	host := c.Controllers[0].Host
	if host == nil || host.Name != "shop.example.com" || host.Certificate != "shop/shop-tls" {
		t.Fatalf("the host is %+v", host)
	}
	var cart *admin.RouteConfig
	for i := range host.Routes {
		if host.Routes[i].Path == "/cart" {
			cart = &host.Routes[i]
		}
	}
	if cart == nil || cart.Upstream != "shop-cart-80" || cart.Origin != "Ingress shop/shop" {
		t.Fatalf("/cart is %+v", cart)
	}
	steps := map[string]admin.Step{}
	for _, step := range cart.Steps {
		steps[step.Policy] = step
	}
	if from := strings.Join(steps["limit-requests"].From, " "); !strings.Contains(from, `limit-rps] = "1": Ingress shop/shop`) {
		t.Errorf("limit-requests is from %q", from)
	}
	get(t, h, "config?host=x.example.org", &c)
	if host := c.Controllers[0].Host; host.Name != "*.example.org" || !strings.Contains(host.Why, "wildcard") {
		t.Errorf("the wildcard host is %+v", host)
	}
	get(t, h, "config?host=shop.example.com&path=/cart&limit=1", &c)
	if host := c.Controllers[0].Host; len(host.Routes) != 1 || host.Omitted != 0 {
		t.Errorf("one path is %+v", host)
	}
	get(t, h, "config?host=shop.example.com&limit=1", &c)
	if host := c.Controllers[0].Host; len(host.Routes) != 1 || host.Omitted == 0 {
		t.Errorf("a limit of one leaves %+v", host)
	}
}

// TestExplainIsNotCounted: explaining tells of a live route, its live endpoints and what
// comes of the request, and is not counted against limits however often it is asked.
func TestExplainIsNotCounted(t *testing.T) {
	s := asked(t)
	h := s.Admin(func() error { return nil }).Handler()
	for range 20 {
		var p admin.Page[admin.Explanation]
		get(t, h, "explain?from=192.0.2.1&url="+url.QueryEscape("https://shop.example.com/cart/1"), &p)
		e := p.Items[0]
		if len(p.Items) != 1 || e.Route.Path != "/cart" || e.Outcome == nil || e.Outcome.Status != 0 || e.Outcome.Target != "/cart/1" || fmt.Sprint(e.Endpoints) != "[127.0.0.9:8080]" || e.Certificate != "shop/shop-tls" {
			t.Fatalf("explained %+v %+v", e, e.Outcome)
		}
	}
	var p admin.Page[admin.Explanation]
	get(t, h, "explain?url="+url.QueryEscape("https://shop.example.com/cart"), &p)
	if o := p.Items[0].Outcome; o.Status != http.StatusUnauthorized {
		t.Errorf("another client gets %+v", o)
	}
	if get(t, h, "explain?controller=nobody&url="+url.QueryEscape("http://a/"), &p); len(p.Items) != 0 {
		t.Errorf("a controller that is not there explains %+v", p.Items)
	}
}

// TestCertificateIsTold: the chain that clients of a host are shown, and whose it is.
func TestCertificateIsTold(t *testing.T) {
	s := asked(t)
	h := s.Admin(func() error { return nil }).Handler()
	for host, secret := range map[string]string{"shop.example.com": "shop/shop-tls", "SHOP.example.com": "shop/shop-tls", "other.example.net": ""} {
		var p admin.Page[admin.ServedCertificate]
		get(t, h, "certificates?host="+host, &p)
		c := p.Items[0]
		if secret != strings.Join(c.Secrets, ",") || c.SelfMade != (secret == "") || c.Covers != (secret != "") {
			t.Errorf("%s: %+v", host, c)
		}
		if b, rest := pem.Decode([]byte(c.Chain)); b == nil || b.Type != "CERTIFICATE" || strings.Contains(string(rest), "KEY") {
			t.Errorf("%s: the chain is %q", host, c.Chain)
		}
	}
}

// TestAPITellsNoSecret: no answer holds a key, a password, a hash or what one could be
// guessed by.
func TestAPITellsNoSecret(t *testing.T) {
	s := asked(t)
	h := s.Admin(func() error { return nil }).Handler()
	var digest string
	for _, r := range s.runs.plan.Config.Controllers[0].Hosts {
		for _, route := range r.Routes {
			for _, p := range route.Policies {
				var shown struct{ Digest string }
				if b, err := json.Marshal(p); err == nil && p.PolicyName() == "basic-auth" && json.Unmarshal(b, &shown) == nil {
					digest = shown.Digest
				}
			}
		}
	}
	if len(digest) < 32 {
		t.Fatalf("the digest of the users is %q: what is it now?", digest)
	}
	for _, path := range []string{
		"state", "info", "routes", "upstreams", "certificates", "certificates?host=shop.example.com", "problems", "config", "config?host=shop.example.com",
		"explain?url=" + url.QueryEscape("https://shop.example.com/cart"),
	} {
		var any any
		text := get(t, h, path, &any)
		for _, secret := range []string{"hunter2", "PRIVATE KEY", digest} {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells %q", path, secret)
			}
		}
	}
}
