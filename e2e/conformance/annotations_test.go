package conformance

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/e2e/bed"
)

// TestAnnotations: the annotations that are used most, one Ingress for each.
func TestAnnotations(t *testing.T) {
	s := kube.EmptySpace(t)
	roots := certificate(s, "rows", "*.rows.example")
	s.Kubectl(applications, "apply", "-f", "-")
	s.Kubectl("", "rollout", "status", "deployment/echo", "--timeout=60s")
	s.Kubectl("", "create", "secret", "generic", "users", "--from-literal=auth=alice:{PLAIN}secret")
	s.Kubectl("", "create", "secret", "generic", "usermap", "--from-literal=bob=$apr1$salt$dTc0WHukkdZJ3t8mJpRT11")
	runRows(t, s, "nginx", controllerPod(t), roots, annotations(s))
}

// controllerPod returns one Pod of the installed controller.
func controllerPod(t *testing.T) *corev1.Pod {
	list, err := kube.Client().CoreV1().Pods(kube.Installed.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: kube.Installed.Selector})
	if err != nil || len(list.Items) == 0 {
		t.Fatalf("%v, %d Pods", err, len(list.Items))
	}
	return &list.Items[0]
}

// applications are echo over HTTP and TLS, and a Service whose endpoint nobody has.
var applications = strings.Replace(app("echo", 2), "ports: [{name: http, containerPort: 8080}]",
	"args: [-tls-listen=:8443]\n        ports: [{name: http, containerPort: 8080}, {name: https, containerPort: 8443}]", 1) + `---
apiVersion: v1
kind: Service
metadata: {name: echo-tls}
spec:
  selector: {app: echo}
  ports: [{port: 8080, targetPort: https}]
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec:
  ports: [{port: 8080}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: nobody, labels: {kubernetes.io/service-name: nobody}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [10.244.250.250]}]
`

// node is where requests of tests come from, as a Pod sees it.
const node = "10.244.0.1"

// half is a Service with an endpoint that is there and one that refuses.
func half(s *bed.Space) string {
	there := s.Kubectl("", "get", "pods", "-l", "app=echo", "-o", "jsonpath={.items[0].status.podIP}")
	slice := func(name, address, port string) string {
		return "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " + name + ", labels: {kubernetes.io/service-name: half}}\n" +
			"addressType: IPv4\nports: [{port: " + port + "}]\nendpoints: [{addresses: [" + address + "]}]\n"
	}
	return "---\napiVersion: v1\nkind: Service\nmetadata: {name: half}\nspec:\n  ports: [{port: 8080}]\n" + slice("half-there", there, "8080") + slice("half-gone", node, "9")
}

func annotations(s *bed.Space) []row {
	auth := "http://echo." + s.Name + ".svc.cluster.local:8080/?header=X-Auth-User%3Aalice&status=$arg_is"
	return []row{
		{name: "rewrite-target", notes: "use-regex: true\nrewrite-target: /$2\nx-forwarded-prefix: /api", paths: []string{"ImplementationSpecific /api(/|$)(.*) echo"}, at: "/api",
			check: func(_ *testing.T, c *caller) {
				r := c.answers(c.get("/api/users/7?x=%2F"), 200)
				c.sees(r, "X-Forwarded-Prefix", "/api")
				if r.Seen.URI != "/users/7?x=%2F" {
					c.Errorf("sent on as %s", r.Seen.URI)
				}
				c.answers(c.get("/other"), 404)
			}},
		{name: "use-regex", notes: "use-regex: true", paths: []string{"ImplementationSpecific /v[0-9]+/items echo"}, at: "/v1/items", check: func(_ *testing.T, c *caller) {
			if r := c.answers(c.get("/V23/items/7"), 200); r.Seen.URI != "/V23/items/7" {
				c.Errorf("sent on as %s", r.Seen.URI)
			}
			c.answers(c.get("/vx/items"), 404)
		}},
		{name: "implementation-specific", paths: []string{"ImplementationSpecific /foo echo"}, at: "/foo", check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/foo/bar"), 200) // as Prefix
			c.answers(c.get("/foobar"), 404)
		}},
		{name: "app-root", notes: "app-root: /app1", at: "/app1", check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/"), 302, "Location", "http://"+c.host+"/app1")
		}},
		{name: "ssl-redirect", tls: true, first: 308, check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/a?b=c"), 308, "Location", "https://"+c.host+"/a?b=c")
			c.answers(c.get("https://"+c.host+"/a"), 200, "Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}},
		{name: "no-ssl-redirect", notes: "ssl-redirect: false", tls: true},
		{name: "force-ssl-redirect", notes: "force-ssl-redirect: true", first: 308},
		{name: "permanent-redirect", notes: "permanent-redirect: https://www.example.com/new\npermanent-redirect-code: 308", first: 308, check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/a/b"), 308, "Location", "https://www.example.com/new")
		}},
		{name: "temporal-redirect", notes: "temporal-redirect: https://www.example.com/soon", first: 302, check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/a/b"), 302, "Location", "https://www.example.com/soon")
		}},
		{name: "from-to-www-redirect", notes: "from-to-www-redirect: true", check: func(_ *testing.T, c *caller) {
			c.answers(c.get("http://www."+c.host+"/a?b"), 308, "Location", "http://"+c.host+":80/a?b")
		}},
		{name: "server-alias", notes: "server-alias: alias.rows.example", check: func(_ *testing.T, c *caller) {
			if r := c.answers(c.get("http://alias.rows.example/"), 200); r.Seen.Host != "alias.rows.example" {
				c.Errorf("sent on to the host %s", r.Seen.Host)
			}
		}},
		{name: "upstream-vhost", notes: "upstream-vhost: other.example", check: func(_ *testing.T, c *caller) {
			r := c.answers(c.get("/"), 200)
			c.sees(r, "X-Forwarded-Host", c.host)
			if r.Seen.Host != "other.example" {
				c.Errorf("sent on to the host %s", r.Seen.Host)
			}
		}},
		{name: "auth-basic", notes: "auth-type: basic\nauth-secret: users\nauth-realm: Friends only", first: 401, check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/"), 401, "WWW-Authenticate", `Basic realm="Friends only"`)
			c.answers(c.get("/", "Authorization", basic("alice", "wrong")), 401)
			c.sees(c.answers(c.get("/", "Authorization", basic("alice", "secret")), 200), "Authorization", "")
		}},
		{name: "auth-map", notes: "auth-type: basic\nauth-secret: usermap\nauth-secret-type: auth-map", first: 401, check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/", "Authorization", basic("bob", "wrong")), 401)
			c.answers(c.get("/", "Authorization", basic("bob", "bobs")), 200)
		}},
		{name: "auth-url", notes: "auth-url: " + auth + "\nauth-response-headers: X-Auth-User", at: "/?is=200", check: func(_ *testing.T, c *caller) {
			c.sees(c.answers(c.get("/?is=200", "X-Auth-User", "mallory"), 200), "X-Auth-User", "alice")
			c.answers(c.get("/?is=401"), 401)
			c.answers(c.get("/?is=403"), 403)
			c.answers(c.get("/?is=500"), 500)
		}},
		{name: "auth-signin", notes: "auth-url: " + auth + "\nauth-signin: https://login.example.com/start", at: "/?is=200", check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/?is=401"), 302, "Location", "https://login.example.com/start?rd=http://"+c.host+"%2F%3Fis%3D401")
		}},
		{name: "satisfy", notes: "satisfy: any\nwhitelist-source-range: 192.0.2.0/24\nauth-type: basic\nauth-secret: users", first: 401, check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/", "Authorization", basic("alice", "secret")), 200)
		}},
		{name: "enable-cors", notes: "enable-cors: true\ncors-allow-origin: https://*.example.com\ncors-max-age: 600\ncors-allow-methods: GET, PUT\ncors-expose-headers: X-Pod", check: cors},
		{name: "whitelist", notes: "whitelist-source-range: 192.0.2.0/24, " + node},
		{name: "whitelist-of-others", notes: "allowlist-source-range: 192.0.2.0/24", first: 403},
		{name: "denylist", notes: "denylist-source-range: " + node + "/32", first: 403},
		{name: "bad-whitelist", notes: "whitelist-source-range: everybody", first: 503, event: "whitelist-source-range"},
		{name: "limit-rps", notes: "limit-rps: 5", check: limitRequests},
		{name: "limit-rpm", notes: "limit-rpm: 2\nlimit-burst-multiplier: 2\nlimit-whitelist: 192.0.2.0/24", check: func(_ *testing.T, c *caller) {
			for n := 2; n <= 5; n++ { // the first one is how the row was found to be there
				c.answers(c.get("/"), 200)
			}
			c.answers(c.get("/"), 503)
		}},
		{name: "limit-connections", notes: "limit-connections: 2", check: limitConnections},
		{name: "proxy-body-size", notes: "proxy-body-size: 1k", check: func(_ *testing.T, c *caller) {
			c.answers(c.post(1024), 200)
			c.answers(c.post(1025), 413)
		}},
		{name: "proxy-read-timeout", notes: "proxy-read-timeout: 1\nproxy-next-upstream-tries: 1", check: func(_ *testing.T, c *caller) {
			begin := time.Now()
			c.answers(c.get("/?delay=20s"), 504)
			if took := time.Since(begin); took < time.Second || took > 15*time.Second {
				c.Errorf("answered after %s", took)
			}
		}},
		{name: "proxy-connect-timeout", notes: "proxy-connect-timeout: 1\nproxy-next-upstream-tries: 1", paths: []string{"Prefix / nobody"}, first: 504},
		{name: "proxy-next-upstream", notes: "proxy-next-upstream: error http_503\nproxy-next-upstream-tries: 3", check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/?status=503"), 503)
			c.logged("/?status=503", "503, 503, 503")
		}},
		{name: "refused", paths: []string{"Prefix / half"}, more: half(s), check: func(_ *testing.T, c *caller) {
			for range 10 {
				c.answers(c.get("/once-refused"), 200)
			}
			c.logged("/once-refused", "502, 200")
		}},
		{name: "refused-once", notes: "proxy-next-upstream: off", paths: []string{"Prefix / half"}, check: func(_ *testing.T, c *caller) { c.until("/", 502) }},
		{name: "external-name", paths: []string{"Prefix / elsewhere"},
			more: "---\napiVersion: v1\nkind: Service\nmetadata: {name: elsewhere}\nspec: {type: ExternalName, externalName: echo." + s.Name + ".svc.cluster.local}\n"},
		{name: "affinity", notes: "affinity: cookie\nsession-cookie-name: route\nsession-cookie-max-age: 600\nsession-cookie-samesite: Strict", check: affinity},
		{name: "backend-protocol", notes: "backend-protocol: HTTPS", paths: []string{"Prefix / echo-tls"}},
		// A younger Ingress that speaks another protocol to the same port, which is wrong here.
		{name: "a-backend-protocol", paths: []string{"Prefix / echo-tls"}, first: 400},
		{name: "service-upstream", notes: "service-upstream: true", paths: []string{"Prefix / upstream"}, more: strings.ReplaceAll(app("upstream", 1), "image: pierhead.dev/echo:latest", "image: pierhead.dev/echo"),
			check: func(_ *testing.T, c *caller) {
				if r := c.answers(c.get("/"), 200); !strings.HasPrefix(r.Seen.Client, node+":") { // by way of the Service's address
					c.Errorf("the application's client is %s", r.Seen.Client)
				}
			}},
		{name: "enable-access-log", notes: "enable-access-log: false", check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/not-logged"), 200)
			c.answers(c.get("http://proxy-body-size.rows.example/is-logged"), 200)
			c.logged("/is-logged", "200")
			if line := c.lines("/not-logged"); line != "" {
				c.Errorf("the log has %q", line)
			}
		}},
		{name: "of-2017", notes: "ingress.kubernetes.io/rewrite-target: /$1\ningress.kubernetes.io/limit-connections: 9", paths: []string{"ImplementationSpecific /old/(.*) echo"}, at: "/old/a",
			check: func(_ *testing.T, c *caller) {
				if r := c.answers(c.get("/old/page"), 200); r.Seen.URI != "/page" {
					c.Errorf("sent on as %s", r.Seen.URI)
				}
			}},
		// What is not served is said, and closes the path where it may guard it.
		{name: "configuration-snippet", notes: `configuration-snippet: deny all;`, first: 503, event: "configuration-snippet"},
		{name: "server-snippet", notes: `server-snippet: deny all;`, first: 503, event: "server-snippet"},
		{name: "auth-tls", notes: "auth-tls-secret: " + s.Name + "/users", tls: true, first: 503, event: "auth-tls-secret"},
		{name: "bad-realm", notes: "auth-type: basic\nauth-secret: users\nauth-realm: Who are you?", first: 404, event: "auth-realm"},
		{name: "custom-headers", notes: "custom-headers: " + s.Name + "/fields", event: "custom-headers"},
		{name: "canary", notes: "canary: true\ncanary-weight: 50", first: 404, event: "canary"},
		{name: "misspelt", notes: "proxy-body-sise: 8m", event: "proxy-body-sise"},
	}
}

func basic(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

func (c *caller) post(size int) *bed.Reply {
	c.Helper()
	request, err := http.NewRequestWithContext(c.Context(), "POST", "http://"+c.host+"/", strings.NewReader(strings.Repeat("x", size)))
	if err != nil {
		c.Fatal(err)
	}
	r, err := bed.Do(c.client, request)
	if err != nil {
		c.Fatal(err)
	}
	return r
}

func cors(_ *testing.T, c *caller) {
	c.answers(c.send("OPTIONS", "/", "Origin", "https://www.example.com", "Access-Control-Request-Method", "PUT"), 204,
		"Access-Control-Allow-Origin", "https://www.example.com", "Access-Control-Allow-Methods", "GET, PUT", "Access-Control-Max-Age", "600", "Access-Control-Allow-Credentials", "true")
	c.answers(c.get("/", "Origin", "https://www.example.com"), 200, "Access-Control-Allow-Origin", "https://www.example.com", "Access-Control-Expose-Headers", "X-Pod")
	c.answers(c.get("/", "Origin", "https://www.example.org"), 200, "Access-Control-Allow-Origin", "")
}

// limitRequests: from rest, the burst and one more pass, and then as many as come in.
func limitRequests(_ *testing.T, c *caller) {
	begin, passed, stopped := time.Now(), 1, 0 // one has passed before
	for range 60 {
		switch r := c.get("/"); r.StatusCode {
		case 200:
			passed++
		case 503:
			stopped++
		default:
			c.Fatal(r)
		}
	}
	if most := 26 + 5*time.Since(begin).Seconds() + 1; passed < 26 || float64(passed) > most || passed+stopped != 61 {
		c.Errorf("%d requests passed and %d did not; want 26 to %.0f to pass", passed, stopped, most)
	}
}

// limitConnections: with two requests under way there is no room for a third.
func limitConnections(_ *testing.T, c *caller) {
	var slow sync.WaitGroup
	for range 2 {
		slow.Go(func() {
			for c.Context().Err() == nil { // the requests below may be in the way
				request, err := http.NewRequestWithContext(c.Context(), "GET", "http://"+c.host+"/?delay=4s", nil)
				if err != nil {
					c.Error(err)
					return
				}
				r, err := bed.Do(c.client, request)
				if err != nil || r.StatusCode != 200 && r.StatusCode != 503 {
					c.Errorf("a slow request: %v, %v", r, err)
				}
				if err != nil || r.StatusCode != 503 {
					return
				}
			}
		})
	}
	c.until("/", 503)
	slow.Wait()
	c.answers(c.get("/"), 200)
}

// affinity: with its cookie a client comes to one Pod, without to all.
func affinity(_ *testing.T, c *caller) {
	pods := map[string]bool{}
	for range 10 {
		r := c.answers(c.get("/"), 200)
		pods[r.Seen.Pod] = true
		cookie := r.Cookies()
		if len(cookie) != 1 || cookie[0].Name != "route" || cookie[0].MaxAge != 600 || !cookie[0].HttpOnly || cookie[0].SameSite != http.SameSiteStrictMode {
			c.Fatalf("the answer sets %v", cookie)
		}
		for range 5 {
			again := c.answers(c.get("/", "Cookie", "route="+cookie[0].Value), 200, "Set-Cookie", "")
			if again.Seen.Pod != r.Seen.Pod {
				c.Fatalf("a client of %s came to %s", r.Seen.Pod, again.Seen.Pod)
			}
		}
	}
	if len(pods) != 2 {
		c.Errorf("clients without a cookie came to %d Pods", len(pods))
	}
}

// lines returns the lines of the controller's access log about a path.
func (c *caller) lines(path string) string {
	ns, name, _ := strings.Cut(c.pod, "/")
	found := ""
	for line := range strings.Lines(c.space.KubectlIn(ns, "", "logs", name)) {
		if strings.Contains(line, "GET "+path+" ") {
			found += line
		}
	}
	return found
}

// logged waits for a line about a path that holds a text.
func (c *caller) logged(path, text string) {
	c.Helper()
	within(c.T, 10*time.Second, func() error {
		if lines := c.lines(path); !strings.Contains(lines, text) {
			return fmt.Errorf("the log has %q for %s, want %q in it", lines, path, text)
		}
		return nil
	})
}
