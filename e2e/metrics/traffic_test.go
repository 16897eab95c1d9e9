package metrics

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/pierhead/pierhead/e2e/bed"
)

// scene is what the requests of the test are for.
type scene struct {
	*bed.Space
	pods  []*bed.Pod
	leaf  *x509.Certificate // of the host "secure"
	roots *x509.CertPool
}

// more is what the namespace has besides the application: a Service without endpoints, and
// a user.
const more = `
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Secret
metadata: {name: users}
stringData: {auth: "joe:{PLAIN}secret"}
`

const notes = "nginx.ingress.kubernetes.io/"

// ingress is an Ingress for the host of its name.
func (s *scene) ingress(name, path, service, annotations string) string {
	text := bed.Ingress(name, s.Host(name), annotations)
	return strings.NewReplacer("path: /,", "path: "+path+",", "service: {name: echo,", "service: {name: "+service+",").Replace(text)
}

// setScene makes the objects and waits until both Pods serve them. It asks by HEAD, which
// the test never does.
func setScene(t *testing.T) *scene {
	t.Helper()
	pods, err := kube.Pods(t.Context())
	if err != nil || len(pods) != 2 {
		t.Fatalf("%d Pods, %v", len(pods), err)
	}
	s := &scene{Space: kube.Space(t), pods: pods}
	certificate, key, roots, err := bed.KeyPair(s.Host("secure"))
	if err != nil {
		t.Fatal(err)
	}
	s.roots = roots
	block, _ := pem.Decode(certificate)
	if s.leaf, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	s.Kubectl(more+"---\n"+pair("pair", certificate, key), "apply", "-f", "-")
	secure := s.ingress("secure", "/", "echo", "") + "  tls: [{hosts: [" + s.Host("secure") + "], secretName: pair}]\n"
	for _, text := range []string{ // the one that must not be asked before its time comes first
		s.ingress("limited", "/", "echo", notes+`limit-rpm: "1", `+notes+`limit-burst-multiplier: "1"`),
		s.ingress("shut", "/", "echo", notes+"auth-type: basic, "+notes+"auth-secret: users"),
		s.ingress("shop", "/shop", "echo", ""), s.ingress("socket", "/ws", "echo", ""), s.ingress("empty", "/", "nobody", ""), s.ingress("lost", "/", "nothing", ""), secure,
	} {
		s.Kubectl(text, "apply", "-f", "-")
	}
	for i := range pods {
		for url, want := range map[string]int{"http://shop/shop": 200, "http://shut/": 401, "http://empty/": 503, "http://lost/": 503, "http://secure/": 308, "https://secure/": 200} {
			s.Eventually(30*time.Second, func() error { return s.send(i, "HEAD", url, "", want) })
		}
	}
	return s
}

// send sends a request to one of the Pods on a connection of its own. The host of the URL is
// one of the scene's, or a whole one.
func (s *scene) send(pod int, method, url, body string, want int) error {
	request, err := http.NewRequestWithContext(s.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	if !strings.Contains(request.URL.Host, ".") {
		request.URL.Host = s.Host(request.URL.Host)
		request.Host = request.URL.Host
	}
	client := kube.ClientTo(s.pods[pod].IP, s.roots)
	client.Transport.(*http.Transport).DisableKeepAlives = true
	reply, err := client.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if _, err = io.Copy(io.Discard, reply.Body); err == nil && reply.StatusCode != want {
		err = fmt.Errorf("%s %s is answered %s, want %d", method, url, reply.Status, want)
	}
	return err
}

// must fails at an error.
func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// talk opens a WebSocket to a Pod and has one message come back. The answer ends with it.
func (s *scene) talk(pod int) io.Closer {
	s.Helper()
	raw, err := kube.Dial(s.Context(), "tcp", net.JoinHostPort(s.pods[pod].IP, "80"))
	s.must(err)
	raw.SetDeadline(time.Now().Add(time.Minute))
	config, err := websocket.NewConfig("ws://"+s.Host("socket")+"/ws", "http://"+s.Host("socket"))
	s.must(err)
	c, err := websocket.NewClient(config, raw)
	s.must(err)
	s.must(websocket.Message.Send(c, "hello"))
	var back string
	s.must(websocket.Message.Receive(c, &back))
	if back != "hello" {
		s.must(errors.New("the WebSocket says " + back))
	}
	return c
}

// half sends the beginning of a request head to a Pod.
func (s *scene) half(pod int) io.Closer {
	s.Helper()
	c, err := kube.Dial(s.Context(), "tcp", net.JoinHostPort(s.pods[pod].IP, "80"))
	s.must(err)
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHos")
	s.must(err)
	return c
}
