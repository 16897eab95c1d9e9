package rolling

import (
	"context"
	"io"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
)

// Without the API server, and without etcd, all goes on. What is changed as soon as they
// are back is live at once, and the controllers do not fall over the API server.
func TestControlPlaneAway(t *testing.T) {
	for _, name := range []string{"kube-apiserver", "etcd"} {
		t.Run(name, func(t *testing.T) {
			s, host := application(t)
			outage := time.Duration(bed.Number(t, "OUTAGE", 10)) * time.Second
			var back time.Time
			var took time.Duration
			lossless(t, under(t, host, nil, func() {
				program := kube.Program(name)
				before := asked(t)
				if err := program.Kill(); err != nil {
					t.Fatal(err)
				}
				away := time.NewTimer(outage)
				select {
				case <-away.C:
				case <-t.Context().Done():
				}
				if err := program.Start(); err != nil {
					t.Fatal(err)
				}
				// The change waits for the return, as somebody who tries again and again.
				s.Eventually(120*time.Second, func() error {
					_, err := kube.RunKubectl(t.Context(), bed.Ingress("later", s.Host("later"), ""), "-n", s.Name, "apply", "-f", "-")
					return err
				})
				back = time.Now()
				s.Answers(20*time.Second, s.Host("later"), 200, 503)
				took = time.Since(back)
				if name == "kube-apiserver" {
					before = 0 // it counts from its start
				}
				if n := asked(t) - before; n > 150 {
					t.Errorf("lists and watches were asked for %d times after the return, want at most 150", n)
				} else {
					t.Logf("lists and watches were asked for %d times since the return", n)
				}
			}))
			t.Logf("%s was away for %s; a change was live on all Pods %s after it was taken", name, outage, took.Round(time.Millisecond))
			if took > 2*time.Second {
				t.Errorf("a change was live %s after %s came back, want at most 2 s", took, name)
			}
		})
	}
}

var counted = regexp.MustCompile(`(?m)^apiserver_request_total\{.*resource="(?:ingresses|ingressclasses|endpointslices|services|secrets|configmaps|namespaces)".*verb="(?:LIST|WATCH)".*\} ([0-9.e+]+)$`)

// asked returns how often the API server has been asked for lists and watches of what the
// controllers read. Others ask too: each part of Kubernetes itself once or twice.
func asked(t *testing.T) (n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	body, err := kube.Client().CoreV1().RESTClient().Get().AbsPath("/metrics").Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	found := counted.FindAllSubmatch(text, -1)
	if len(found) == 0 {
		t.Fatal("the API server does not count its requests")
	}
	for _, f := range found {
		v, err := strconv.ParseFloat(string(f[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		n += int(v)
	}
	return n
}
