package kubectl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// apiServer is an API server over HTTP as far as the plugin asks one: lists in pages,
// single objects, logs, and what Pods answer. It judges rights.
type apiServer struct {
	t       *testing.T
	objects map[string][]map[string]any // by resource
	answers map[string]http.Handler     // by Pod
	logs    map[string]string           // by Pod
	denied  map[string]bool             // "verb resource"

	mu    sync.Mutex
	asked []string // "verb resource" of every request, once each
	url   string
}

// kinds are the list kinds of resources, with their group versions.
var kinds = map[string][2]string{
	"pods": {"v1", "Pod"}, "services": {"v1", "Service"}, "secrets": {"v1", "Secret"}, "configmaps": {"v1", "ConfigMap"},
	"ingresses": {"networking.k8s.io/v1", "Ingress"}, "ingressclasses": {"networking.k8s.io/v1", "IngressClass"},
	"endpointslices": {"discovery.k8s.io/v1", "EndpointSlice"}, "deployments": {"apps/v1", "Deployment"}, "daemonsets": {"apps/v1", "DaemonSet"},
}

// startAPIServer serves the objects of a YAML text.
func startAPIServer(t *testing.T, manifests string) *apiServer {
	t.Helper()
	s := &apiServer{t: t, objects: map[string][]map[string]any{}, answers: map[string]http.Handler{}, logs: map[string]string{}, denied: map[string]bool{}}
	s.add(manifests)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func (s *apiServer) add(manifests string) {
	for text := range strings.SplitSeq(manifests, "\n---\n") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			s.t.Fatal(err)
		}
		for resource, kind := range kinds {
			if o["kind"] == kind[1] {
				s.objects[resource] = append(s.objects[resource], o)
			}
		}
	}
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	words := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group := ""
	switch words[0] {
	case "api":
		words = words[2:]
	case "apis":
		group, words = words[1], words[3:]
	}
	ns := ""
	if words[0] == "namespaces" && len(words) > 2 {
		ns, words = words[1], words[2:]
	}
	resource, verb := words[0], "list"
	if len(words) > 1 {
		verb = "get"
	}
	if len(words) > 2 {
		resource += "/" + words[2]
	}
	s.note(verb + " " + resource)
	if s.denied[verb+" "+resource] {
		s.forbid(w, verb, resource, group, ns)
		return
	}
	switch {
	case len(words) > 3 && words[2] == "proxy":
		s.proxy(w, r, words[1], "/"+strings.Join(words[3:], "/"))
	case len(words) == 3 && words[2] == "log":
		lines := strings.SplitAfter(s.logs[words[1]], "\n")
		if n, err := strconv.Atoi(r.URL.Query().Get("tailLines")); err == nil {
			lines = lines[max(0, len(lines)-1-n):]
		}
		fmt.Fprint(w, strings.Join(lines, ""))
	case len(words) == 2:
		s.one(w, resource, ns, words[1])
	default:
		s.list(w, r, resource, ns)
	}
}

func (s *apiServer) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, what)
}

// status answers as an API server does when it does not give what is asked for.
func (s *apiServer) status(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
}

func (s *apiServer) forbid(w http.ResponseWriter, verb, resource, group, ns string) {
	where := "at the cluster scope"
	if ns != "" {
		where = fmt.Sprintf("in the namespace %q", ns)
	}
	main, _, _ := strings.Cut(resource, "/")
	s.status(w, http.StatusForbidden, "Forbidden", fmt.Sprintf("%s is forbidden: User %q cannot %s resource %q in API group %q %s",
		main, "system:serviceaccount:ops:viewer", verb, resource, group, where))
}

// proxy passes a question on to a Pod.
func (s *apiServer) proxy(w http.ResponseWriter, r *http.Request, name, path string) {
	name, port, _ := strings.Cut(name, ":")
	h := s.answers[name]
	if h == nil || port != "10254" {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "error trying to reach service: dial tcp 10.0.0.1:%s: connect: connection refused", port)
		return
	}
	r.URL.Path = path
	h.ServeHTTP(w, r)
}

func (s *apiServer) one(w http.ResponseWriter, resource, ns, name string) {
	for _, o := range s.objects[resource] {
		if m := o["metadata"].(map[string]any); m["name"] == name && (m["namespace"] == nil || m["namespace"] == ns) {
			s.json(w, o)
			return
		}
	}
	s.status(w, http.StatusNotFound, "NotFound", fmt.Sprintf("%s %q not found", resource, name))
}

// list answers in pages of two, to see that all are asked for.
func (s *apiServer) list(w http.ResponseWriter, r *http.Request, resource, ns string) {
	kind, ok := kinds[resource]
	if !ok {
		s.t.Errorf("resource %q is asked for", resource)
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		s.t.Error(err)
	}
	items := []any{}
	for _, o := range s.objects[resource] {
		m := o["metadata"].(map[string]any)
		set := labels.Set{}
		if given, ok := m["labels"].(map[string]any); ok {
			for k, v := range given {
				set[k] = v.(string)
			}
		}
		if (ns == "" || m["namespace"] == ns) && selector.Matches(set) {
			items = append(items, o)
		}
	}
	meta := map[string]any{}
	if r.URL.Query().Get("limit") != "" {
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		if items = items[from:]; len(items) > 2 {
			items, meta["continue"] = items[:2], strconv.Itoa(from+2)
		}
	}
	s.json(w, map[string]any{"kind": kind[1] + "List", "apiVersion": kind[0], "metadata": meta, "items": items})
}

func (s *apiServer) json(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.t.Error(err)
	}
}

// kubeconfig writes a file that leads here.
func (s *apiServer) kubeconfig() string {
	path := filepath.Join(s.t.TempDir(), "config")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: %q}}], users: [{name: u, user: {token: t}}]}`, s.url)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// runs runs the plugin and returns what it prints.
func (s *apiServer) runs(args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	env := &Env{Stdout: &out, Stderr: &errs, Version: "1.2.3"}
	err = Run(s.t.Context(), env, append(args, "--kubeconfig", s.kubeconfig()))
	return out.String(), errs.String(), err
}
