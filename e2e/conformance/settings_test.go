package conformance

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"
)

// settings is the ConfigMap of a controller.
const settings = `---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: ingress-nginx}
data:
  proxy-body-size: 1k
  hsts-max-age: "600"
  hsts-preload: "true"
  hsts-include-subdomains: "false"
  use-forwarded-headers: "true"
  compute-full-forwarded-for: "true"
  proxy-add-original-uri-header: "true"
  log-format-upstream: '{"who": "$remote_addr", "what": "$request_uri", "status": $status, "agent": "$http_user_agent"}'
  log-format-escape-json: "true"
  skip-access-log-urls: /healthy
  ssl-protocols: TLSv1.3
  use-http2: "false"
  http-redirect-code: "307"
  limit-req-status-code: "429"
  block-user-agents: ~*evil
  block-cidrs: 198.51.100.66
  large-client-header-buffers: 4 2k
  allow-backend-server-header: "true"
  proxy-read-timeout: "1"
  proxy-next-upstream-tries: "1"
  keep-alive-requests: "3"
  use-gzip: "true"
`

// TestSettings: keys of the ConfigMap, all of one controller, and annotations that go
// before them.
func TestSettings(t *testing.T) {
	s := kube.EmptySpace(t)
	roots := certificate(s, "rows", "*.rows.example")
	s.KubectlIn(kube.Installed.Namespace, settings+controller("settings", "--configmap=$(POD_NAMESPACE)/settings"), "apply", "-f", "-")
	s.Kubectl(app("echo", 1), "apply", "-f", "-")
	pod := podOf(t, kube.Installed.Namespace, "settings")
	s.Kubectl("", "rollout", "status", "deployment/echo", "--timeout=60s")
	runRows(t, s, "settings", pod, roots, []row{
		{name: "body", check: func(_ *testing.T, c *caller) { c.answers(c.post(1025), 413) }},
		{name: "body-annotated", notes: "proxy-body-size: 2k", check: func(_ *testing.T, c *caller) { c.answers(c.post(1025), 200) }},
		{name: "hsts", tls: true, first: 307, check: func(_ *testing.T, c *caller) {
			c.answers(c.get("https://"+c.host+"/"), 200, "Strict-Transport-Security", "max-age=600; preload")
		}},
		{name: "redirect-code", tls: true, first: 307},
		{name: "forwarded", tls: true, first: 307, check: func(_ *testing.T, c *caller) {
			r := c.answers(c.get("/a%20b", "X-Forwarded-For", "198.51.100.7", "X-Forwarded-Proto", "https"), 200)
			c.sees(r, "X-Real-Ip", "198.51.100.7", "X-Forwarded-Proto", "https", "X-Original-Uri", "/a%20b", "X-Forwarded-For", "198.51.100.7, "+node)
		}},
		{name: "blocked", check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/", "User-Agent", "Very Evil 1.0"), 403)
			c.answers(c.get("/", "X-Forwarded-For", "198.51.100.66"), 403)
			c.answers(c.get("/", "X-Forwarded-For", "198.51.100.67"), 200)
		}},
		{name: "limited", notes: "limit-rpm: 1\nlimit-burst-multiplier: 1", check: func(_ *testing.T, c *caller) { c.until("/", 429) }},
		{name: "logged", check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/healthy"), 200)
			c.answers(c.get("/logged", "User-Agent", `a "quoted" one`, "X-Forwarded-For", "198.51.100.8"), 200)
			want := `{"who": "198.51.100.8", "what": "/logged", "status": 200, "agent": "a \"quoted\" one"}`
			within(c.T, 10*time.Second, func() error {
				text := s.KubectlIn(pod.Namespace, "", "logs", pod.Name)
				if strings.Contains(text, `"/healthy"`) {
					c.Fatal("a request that is to be skipped is logged")
				}
				if !strings.Contains(text, want+"\n") {
					return fmt.Errorf("the log has no line %s", want)
				}
				return nil
			})
		}},
		{name: "tls-version", tls: true, first: 307, check: func(_ *testing.T, c *caller) {
			for version, ok := range map[uint16]bool{tls.VersionTLS12: false, tls.VersionTLS13: true} {
				raw, err := kube.Dial(c.Context(), "tcp", pod.Status.PodIP+":443")
				if err != nil {
					c.Fatal(err)
				}
				conn := tls.Client(raw, &tls.Config{RootCAs: roots, ServerName: c.host, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}})
				err = conn.HandshakeContext(c.Context())
				if (err == nil) != ok {
					c.Errorf("%s: %v", tls.VersionName(version), err)
				}
				if got := conn.ConnectionState().NegotiatedProtocol; ok && got != "http/1.1" {
					c.Errorf("%s is spoken without HTTP/2", got)
				}
				conn.Close()
			}
		}},
		{name: "large-head", check: func(_ *testing.T, c *caller) { c.answers(c.get("/?"+strings.Repeat("x", 3000)), 414) }},
		{name: "server-header", check: func(_ *testing.T, c *caller) {
			c.answers(c.get("/?header=Server%3Amine"), 200, "Server", "mine")
		}},
		{name: "read-timeout", check: func(_ *testing.T, c *caller) { c.answers(c.get("/?delay=20s"), 504) }},
		{name: "keep-alive-requests", check: func(_ *testing.T, c *caller) {
			within(c.T, 10*time.Second, func() error {
				if !c.answers(c.get("/"), 200).Close {
					return fmt.Errorf("no connection ends after three requests")
				}
				return nil
			})
		}},
	})
	// A change counts at once, without a restart; what is not served is told.
	s.KubectlIn(pod.Namespace, "", "patch", "configmap", "settings", "--type=merge", "--patch", `{"data":{"proxy-body-size":"4k","hsts":"false"}}`)
	c := &caller{T: t, client: kube.ClientTo(pod.Status.PodIP, roots), host: "body.rows.example", space: s}
	defer c.client.CloseIdleConnections()
	within(t, 10*time.Second, func() error {
		if r := c.post(1025); r.StatusCode != 200 {
			return fmt.Errorf("with the new size: %s", r)
		}
		return nil
	})
	c.answers(c.get("https://hsts.rows.example/"), 200, "Strict-Transport-Security", "")
	if text := s.KubectlIn(pod.Namespace, "", "logs", pod.Name); !strings.Contains(text, "use-gzip") {
		t.Error("the log does not say that use-gzip is not served")
	}
}
