package kubectl

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pierhead/pierhead/internal/admin"
)

// TestSaysWhatToDo: what goes wrong is told with what to do next.
func TestSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*apiServer)
		args   string
		want   []string
	}{
		{"no pod", func(s *apiServer) { s.objects["pods"] = nil }, "routes -n elsewhere", []string{
			`app.kubernetes.io/component=controller,app.kubernetes.io/name in (pierhead,ingress-nginx)`, "namespace elsewhere:", "--deployment, -l or --pod"}},
		{"no pod anywhere", func(s *apiServer) { s.objects["pods"] = nil }, "info", []string{"namespaces default, pierhead, ingress-nginx"}},
		{"no such deployment", nil, "routes -n pierhead --deployment other", []string{`the Deployment or DaemonSet "other"`}},
		{"no such pod", nil, "routes -n pierhead --pod other", []string{`no pod "other" in namespace pierhead`, "-n"}},
		{"may not list", func(s *apiServer) { s.denied["list pods"] = true }, "routes -n pierhead", []string{
			`"system:serviceaccount:ops:viewer" may not list pods in namespace "pierhead"`,
			"kubectl create role pierhead-kubectl-list-pods --verb=list --resource=pods --namespace=pierhead",
			"kubectl create rolebinding pierhead-kubectl-list-pods --role=pierhead-kubectl-list-pods --serviceaccount=ops:viewer --namespace=pierhead"}},
		{"may not ask", func(s *apiServer) { s.denied["get pods/proxy"] = true }, "routes -n pierhead", []string{"may not get pods/proxy", "--verb=get --resource=pods/proxy"}},
		{"may not read logs", func(s *apiServer) { s.denied["get pods/log"] = true }, "logs -n pierhead", []string{podA, podB, "--resource=pods/log"}},
		{"may not list Ingresses", func(s *apiServer) { s.denied["list ingresses"] = true }, "ingresses -A", []string{
			"in the whole cluster", "kubectl create clusterrole pierhead-kubectl-list-ingresses --verb=list --resource=ingresses.networking.k8s.io",
			"kubectl create clusterrolebinding"}},
		{"lint may not", func(s *apiServer) { s.denied["list ingresses"] = true }, "lint", []string{"may not list ingresses"}},
		{"no Pod answers", func(s *apiServer) { clear(s.answers) }, "routes -n pierhead", []string{"pod " + podA, "connection refused"}},
		{"no Pierhead", func(s *apiServer) { s.answers[podA], s.answers[podB] = http.NotFoundHandler(), http.NotFoundHandler() }, "routes -n pierhead", []string{"it is no Pierhead, or an older one"}},
		{"switched off", func(s *apiServer) {
			off := controller(s.t, s.source(nil), func(a *admin.Server) { a.Off = "switched off by --state-api=false" }).Handler()
			s.answers[podA], s.answers[podB] = off, off
		}, "conf -n pierhead", []string{"--state-api=false"}},
		{"no such backend", nil, "backends --backend x-y-80", []string{`no backend "x-y-80"`, "--list"}},
		{"no such controller", nil, "explain http://a/ --controller x", []string{`no controller "x"`}},
		{"password", nil, "explain http://a/ -H Authorization:x", []string{"without passwords", "pierhead explain on manifests"}},
		{"bad host", nil, "certs --host a..b", []string{`host "a..b"`, "shop.example.com"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t)
			if c.change != nil {
				c.change(s)
			}
			text, err := s.terminal(0, strings.Fields(c.args)...)
			if err == nil || errors.As(err, &UsageError{}) {
				t.Fatalf("%v\n%s", err, text)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("it does not say %q: %s", want, text)
				}
			}
		})
	}
}

// TestMistakes: mistakes on the command line are told without asking anybody.
func TestMistakes(t *testing.T) {
	s := startAPIServer(t, clusterManifests)
	for args, want := range map[string]string{
		"general":                    `use "conf"`,
		"exec -it":                   "no shell",
		"ssh":                        "no shell",
		"--context x routes":         "flags come after the subcommand",
		"nonsense":                   "ingresses, routes, backends, certs, conf, explain, info, logs, lint",
		"routes --nonsense":          "help routes",
		"routes shop":                `"shop" is no flag`,
		"routes -o xml":              "table, wide, json, yaml",
		"routes --ingress shop":      "namespace/name",
		"conf -o table":              "text, json, yaml",
		"conf --path /":              "--host",
		"certs --host a -o table":    "pem, json, yaml",
		"explain":                    "name one URL",
		"explain a b":                "name one URL",
		"explain shop.example.com":   "want a URL",
		"explain http://a/ --from x": "want an address",
		"explain http://a/ -H x":     "want a field",
		"lint --severity loud":       "want info, warning or error",
		"info --request-timeout x":   "want a time such as 10s",
	} {
		_, _, err := s.runs(strings.Fields(args)...)
		if !errors.As(err, &UsageError{}) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a mistake that says %q", args, err, want)
		}
	}
	if len(s.asked) > 0 {
		t.Errorf("the API server was asked: %q", s.asked)
	}
	_, _, err := s.runs("info", "--context", "other")
	if err == nil || !strings.Contains(err.Error(), "--context") {
		t.Errorf("a context that is not there: %v", err)
	}
}

// TestRights: each subcommand asks for no more than docs/plugin.md says.
func TestRights(t *testing.T) {
	pods := "list pods, get pods/proxy"
	for args, want := range map[string]string{
		"ingresses -n shop":         "list ingresses, list services, list endpointslices",
		"routes":                    pods,
		"backends":                  pods,
		"certs":                     pods,
		"certs --host a":            pods,
		"conf":                      pods,
		"explain http://a/":         pods,
		"info":                      pods + ", list services",
		"routes --pod " + podA:      "get pods, get pods/proxy",
		"logs":                      "list pods, get pods/log",
		"routes --deployment x":     "list pods",
		"lint":                      "list ingresses, list services, list ingressclasses, list deployments, list daemonsets, get configmaps",
		"lint --secrets --strict":   "list ingresses, list services, list ingressclasses, list deployments, list daemonsets, get configmaps, get secrets",
		"backends --backend nobody": pods,
	} {
		s := start(t)
		s.terminal(0, strings.Fields(args)...)
		allowed := strings.Split(want, ", ")
		for _, asked := range s.asked {
			found := false
			for _, a := range allowed {
				found = found || a == asked
			}
			if !found {
				t.Errorf("%s asks for %q", args, asked)
			}
		}
		for _, a := range allowed {
			if !strings.Contains(strings.Join(s.asked, ", "), a) {
				t.Errorf("%s does not ask for %q", args, a)
			}
		}
	}
}

// TestLintWithoutRights: what may not be read is named, not taken for missing.
func TestLintWithoutRights(t *testing.T) {
	s := start(t)
	for _, right := range []string{"list services", "list ingressclasses", "list deployments", "list daemonsets", "get configmaps", "get secrets"} {
		s.denied[right] = true
	}
	text, err := s.terminal(0, "lint", "--secrets")
	if err != ErrFound {
		t.Errorf("the end is %v", err)
	}
	for _, want := range []string{"Services, for backends", "IngressClasses, for", "Deployments, for", "DaemonSets, for", "Secret shop/users, for Ingress shop/shop", "limit-rps", "a controller without flags"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	for _, never := range []string{"Secret shop/users does not exist", "Service shop/cart does not exist", "create role"} {
		if strings.Contains(text, never) {
			t.Errorf("it says %q", never)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestDifference: Pods that answer differently are named, after a second question; one
// that does not answer is told, and the others are believed.
func TestDifference(t *testing.T) {
	s := start(t)
	s.answers[podB] = controller(t, s.source(func(kind, name string) bool { return kind == "Ingress" && name == "docs" }), nil).Handler()
	for _, args := range []string{"routes", "conf --host docs.example.com", "backends", "explain http://docs.example.com/"} {
		s.asked = nil
		out, notes, err := s.runs(strings.Fields(args)...)
		if err != nil || out == "" || !strings.Contains(notes, "the Pods answer differently") || !strings.Contains(notes, podA+" (generation ") || !strings.Contains(notes, podB+" (generation ") {
			t.Errorf("%s: %v, %q", args, err, notes)
		}
		if got := strings.Count(strings.Join(s.asked, " "), "pods/proxy"); got < 4 {
			t.Errorf("%s: Pods were asked %d times, want twice each", args, got)
		}
	}
	if _, notes, err := s.runs("routes", "--pod", podB); err != nil || notes != "" {
		t.Errorf("one Pod: %v, %q", err, notes)
	}
	delete(s.answers, podB)
	for _, args := range []string{"routes", "info"} {
		out, notes, err := s.runs(args)
		if err != nil || !strings.Contains(out+notes, podB) || !strings.Contains(notes, "does not answer") {
			t.Errorf("%s: %v, %q", args, err, notes)
		}
	}
	if _, notes, err := s.runs("certs", "--host", "unknown.example.com"); err != nil || strings.Contains(notes, "differently") {
		t.Errorf("certificates that the Pods made: %v, %q", err, notes)
	}
}

// TestPages: all pages of a long list are asked for.
func TestPages(t *testing.T) {
	s := start(t)
	st := &admin.State{Generation: 3}
	for range 4100 {
		st.Upstreams = append(st.Upstreams, admin.Upstream{Name: "n-s-" + strings.Repeat("x", len(st.Upstreams)%50) + string(rune('a'+len(st.Upstreams)/50))})
	}
	a := &admin.Server{State: func() *admin.State { return st }, Generation: func() uint64 { return 3 }, Healthy: func() error { return nil }}
	s.answers[podA], s.answers[podB] = a.Handler(), a.Handler()
	out, _, err := s.runs("backends", "--list")
	if got := strings.Count(out, "\n"); err != nil || got != 4100 {
		t.Errorf("%v: %d backends", err, got)
	}
}

// TestNoAnswerInTime: an API server that is slow is given up.
func TestNoAnswerInTime(t *testing.T) {
	s := start(t)
	end := make(chan struct{})
	defer close(end)
	slow := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-end:
		case <-r.Context().Done():
		}
	})
	s.answers[podA], s.answers[podB] = slow, slow
	_, _, err := s.runs("routes", "--request-timeout", "100ms")
	if err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("the error is %v", err)
	}
}

// TestFollow: lines of all Pods come whole, with their Pod's name, until the end.
func TestFollow(t *testing.T) {
	s := start(t)
	out, _, err := s.runs("logs", "--follow")
	for _, want := range []string{"[" + podA + "] one\n", "[" + podA + "] three\n", "[" + podB + "] four\n"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %q does not hold %q", err, out, want)
		}
	}
}

// TestTable: columns are aligned whatever the letters, and cut where they may be, the
// widest first.
func TestTable(t *testing.T) {
	tab := table{columns: []column{{head: "A", cut: true}, {head: "B", wide: true}, {head: "C"}, {head: "D", cut: true}}}
	tab.add("grün", "b", "1", strings.Repeat("d", 60))
	tab.add(strings.Repeat("a", 30), "b", "22", "x")
	for width, want := range map[int]string{
		0:  "A                               C   D\ngrün                            1   " + strings.Repeat("d", 60) + "\n" + strings.Repeat("a", 30) + "  22  x\n",
		60: "A                            C   D\ngrün                         1   " + strings.Repeat("d", 26) + "…\n" + strings.Repeat("a", 26) + "…  22  x\n",
		9:  "A             C   D\ngrün          1   " + strings.Repeat("d", 11) + "…\n" + strings.Repeat("a", 11) + "…  22  x\n",
	} {
		var b bytes.Buffer
		tab.write(&b, width, false, true)
		if b.String() != want {
			t.Errorf("%d wide:\n%swant\n%s", width, &b, want)
		}
	}
	var b bytes.Buffer
	tab.write(&b, 20, true, false)
	if got := b.String(); !strings.Contains(got, "b") || !strings.Contains(got, strings.Repeat("d", 60)) || strings.Contains(got, "A ") {
		t.Errorf("a wide table without heads is\n%s", got)
	}
}

// TestComplete: words and flags are offered as kubectl wants them.
func TestComplete(t *testing.T) {
	for args, want := range map[string]string{
		"ro":              "routes\tthe paths that are served, with their policies\n:4\n",
		"logs --fo":       "--follow\n:4\n",
		"routes --ingres": "--ingress\n:4\n",
		"routes x":        ":4\n",
		"nonsense --":     ":4\n",
	} {
		var b bytes.Buffer
		Complete(&Env{Stdout: &b}, strings.Fields(args))
		if b.String() != want {
			t.Errorf("%q is completed %q, want %q", args, b.String(), want)
		}
	}
	var b bytes.Buffer
	Complete(&Env{Stdout: &b}, []string{""})
	if got := strings.Count(b.String(), "\n"); got != len(subcommands())+1 {
		t.Errorf("nothing is completed by %q", b.String())
	}
}

// TestColours: only a terminal sees them.
func TestColours(t *testing.T) {
	for _, colour := range []bool{false, true} {
		s := start(t)
		var out bytes.Buffer
		Run(t.Context(), &Env{Stdout: &out, Stderr: &out, Color: colour}, []string{"lint", "--kubeconfig", s.kubeconfig()})
		if got := strings.Contains(out.String(), "\x1b["); got != colour {
			t.Errorf("colours wanted: %v, seen: %v", colour, got)
		}
	}
}

// TestAgain: Pods that differ for a moment only are not told.
func TestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		k := &call{Env: &Env{Stderr: &bytes.Buffer{}}, cluster: &cluster{again: time.Second}}
		pods := []controllerPod{{}, {}}
		got, err := agree(t.Context(), k, pods, func(context.Context, controllerPod) (int32, uint64, error) {
			return min(asked.Add(1), 3), 1, nil
		}, func(n int32) any { return n })
		if err != nil || got != 3 || k.Stderr.(*bytes.Buffer).Len() > 0 {
			t.Errorf("%d %v: %s", got, err, k.Stderr)
		}
	})
}
