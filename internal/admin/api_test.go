package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pierhead/pierhead/internal/model"
)

// server answers for a state of some routes.
func server(routes int) *Server {
	st := &State{Generation: 7, Version: "1", Problems: []model.Problem{
		{Origin: model.Origin{Kind: "Ingress", Namespace: "a", Name: "x"}, Severity: model.Error},
		{Origin: model.Origin{Kind: "Ingress", Namespace: "b", Name: "x"}, Severity: model.Warning},
	}}
	for i := range routes {
		st.Routes = append(st.Routes, Route{Controller: "c", Host: fmt.Sprintf("h%d.example.com", i), Path: "/", Namespace: fmt.Sprintf("n%d", i%2), Ingress: "in"})
	}
	return &Server{
		State: func() *State { return st }, Generation: func() uint64 { return st.Generation }, Healthy: func() error { return nil },
		Views: Views{
			Explain:     func(string, *Request) []Explanation { return []Explanation{{Controller: "c"}} },
			Certificate: func(host string) []ServedCertificate { return []ServedCertificate{{Host: host}} },
			Config:      func(q ConfigQuery) Config { return Config{Controllers: []ControllerConfig{{Name: fmt.Sprint(q)}}} },
		},
	}
}

func ask(t *testing.T, s *Server, path string, fields ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if strings.HasPrefix(path, "/api/") && w.Header().Get(GenerationHeader) != "7" {
		t.Errorf("%s: %s is %q", path, GenerationHeader, w.Header().Get(GenerationHeader))
	}
	return w
}

// TestPages: a list comes in parts that together are the whole, in order, whatever the
// filter; when the place is gone the caller is told to begin again.
func TestPages(t *testing.T) {
	s := server(1203)
	for _, filter := range []string{"", "&namespace=n1", "&controller=c&ingress=in"} {
		var got []string
		for more, asked := "", 0; asked == 0 || more != ""; asked++ {
			w := ask(t, s, "/api/v1/routes?continue="+more+filter)
			var p Page[Route]
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 200 || p.Generation != 7 || len(p.Items) > usualLimit {
				t.Fatalf("%d %v: %d items", w.Code, err, len(p.Items))
			}
			for _, r := range p.Items {
				got = append(got, r.Host)
			}
			more = p.Continue
		}
		var want []string
		for _, r := range s.State().Routes {
			if !strings.Contains(filter, "n1") || r.Namespace == "n1" {
				want = append(want, r.Host)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: got %d hosts, want %d", filter, len(got), len(want))
		}
	}
	for path, want := range map[string]int{
		"routes?continue=nothing": http.StatusGone, "routes?limit=0": http.StatusBadRequest, "routes?limit=5001": http.StatusBadRequest, "routes?limit=x": http.StatusBadRequest,
		"nonsense": http.StatusNotFound, "certificates?host=": http.StatusBadRequest, "certificates?host=a..b": http.StatusBadRequest, "config?limit=0": http.StatusBadRequest,
		"explain?url=nothing": http.StatusBadRequest, "explain": http.StatusBadRequest, "problems?severity=error": 200, "explain?url=http://a/": 200, "info": 200, "state": 200,
	} {
		if w := ask(t, s, "/api/v1/"+path); w.Code != want {
			t.Errorf("%s is answered %d, want %d: %s", path, w.Code, want, w.Body)
		} else if want > 200 && !strings.Contains(w.Body.String(), `{"error":"`) {
			t.Errorf("%s says %s", path, w.Body)
		}
	}
	if w := ask(t, s, "/api/v1/problems?severity=error"); !strings.Contains(w.Body.String(), `"namespace": "a"`) || strings.Contains(w.Body.String(), `"namespace": "b"`) {
		t.Errorf("errors are %s", w.Body)
	}
	if w := ask(t, s, "/api/v1/routes?host=H5.example.com"); strings.Count(w.Body.String(), "\"host\"") != 1 {
		t.Errorf("one host is %s", w.Body)
	}
}

// TestBounded: with 10,000 Ingresses no answer but the whole state grows past a page.
func TestBounded(t *testing.T) {
	s := server(10000)
	st := s.State()
	for i := range 10000 {
		name := fmt.Sprintf("namespace-%d-service-80", i)
		st.Upstreams = append(st.Upstreams, Upstream{Name: name, Endpoints: []string{"10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080"}})
		st.Certificates = append(st.Certificates, Certificate{Name: name, Names: []string{name}})
		st.Problems = append(st.Problems, model.Problem{Origin: model.Origin{Kind: "Ingress", Name: name}, Field: "metadata.annotations[x]", Reason: "it is not served"})
	}
	for _, path := range []string{"info", "routes", "upstreams", "certificates", "problems"} {
		w := ask(t, s, "/api/v1/"+path)
		if w.Code != 200 || w.Body.Len() > 512<<10 {
			t.Errorf("%s is answered %d with %d bytes", path, w.Code, w.Body.Len())
		}
	}
}

// BenchmarkLastPage is the dearest page of 10,000 routes.
func BenchmarkLastPage(b *testing.B) {
	s := server(10000)
	h := s.Handler()
	after := tokenOf(strings.Join([]string{"c", "h9499.example.com", "", "/", ""}, "\x00"))
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/routes?continue="+after, nil))
		if w.Code != 200 {
			b.Fatal(w.Code, w.Body)
		}
	}
}

// TestETag: what has not changed is not sent again.
func TestETag(t *testing.T) {
	s := server(3)
	tag := ask(t, s, "/api/v1/routes").Header().Get("ETag")
	if w := ask(t, s, "/api/v1/routes", "If-None-Match", tag); tag == "" || w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("%q: answered %d with %d bytes", tag, w.Code, w.Body.Len())
	}
	s.State().Routes[1].Path = "/other"
	if w := ask(t, s, "/api/v1/routes", "If-None-Match", tag); w.Code != 200 {
		t.Errorf("a change is answered %d", w.Code)
	}
}

// TestNoPasswords: nobody can try passwords by way of explanations.
func TestNoPasswords(t *testing.T) {
	s := server(1)
	for _, name := range []string{"Authorization", "authorization", "Proxy-Authorization"} {
		if w := ask(t, s, "/api/v1/explain?url=http://a/", FieldHeader, "Accept: text/html", FieldHeader, name+": Basic c29tZXVzZXI6c2VjcmV0"); w.Code != http.StatusBadRequest {
			t.Errorf("%s is answered %d", name, w.Code)
		}
	}
	for _, field := range []string{"nothing", "a b: c", ": x"} {
		if w := ask(t, s, "/api/v1/explain?url=http://a/", FieldHeader, field); w.Code != http.StatusBadRequest {
			t.Errorf("field %q is answered %d", field, w.Code)
		}
	}
}

// TestOff: switched off, the API says so and tells nothing; health is told.
func TestOff(t *testing.T) {
	s := server(1)
	s.Off = "switched off"
	for _, path := range []string{"state", "info", "routes", "upstreams", "certificates", "problems", "config", "explain?url=http://a/", "nonsense"} {
		if w := ask(t, s, "/api/v1/"+path); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "switched off") || strings.Contains(w.Body.String(), "example.com") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := ask(t, s, "/healthz"); w.Code != 200 {
		t.Errorf("/healthz is answered %d", w.Code)
	}
}

// TestInfo counts.
func TestInfo(t *testing.T) {
	s := server(4)
	s.Views.Leading, s.Healthy = func() bool { return true }, func() error { return errors.New("not yet") }
	var i Info
	if err := json.Unmarshal(ask(t, s, "/api/v1/info").Body.Bytes(), &i); err != nil {
		t.Fatal(err)
	}
	if i.Ready || i.Reason != "not yet" || i.Leader == nil || !*i.Leader || i.Routes != 4 || i.Ingresses != 2 || i.Errors != 1 || i.Warnings != 1 || i.Generation != 7 {
		t.Errorf("info is %+v", i)
	}
}

// TestTurns: large answers are made a few at a time; who would wait too long is told to
// come later.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(1)
		going := make(chan struct{})
		st := s.State()
		s.State = func() *State { <-going; return st }
		h := s.Handler()
		codes := make(chan int, atOnce+1)
		for range atOnce + 1 {
			go func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/state", nil))
				codes <- w.Code
			}()
		}
		time.Sleep(wait + time.Millisecond) // of the bubble
		synctest.Wait()
		if got := <-codes; got != http.StatusServiceUnavailable {
			t.Errorf("one too many is answered %d", got)
		}
		close(going)
		for range atOnce {
			if got := <-codes; got != 200 {
				t.Errorf("one of %d is answered %d", atOnce, got)
			}
		}
	})
}

// FuzzRequest: no text of a question makes the reader panic, and no field breaks out of
// its line.
func FuzzRequest(f *testing.F) {
	f.Add("https://shop.example.com/cart?x=1", "POST", "Accept: text/html", "192.0.2.7")
	f.Add("http://[::1]:80/%2e%2e/", "", "Host:x", "")
	f.Fuzz(func(t *testing.T, url, method, field, from string) {
		r, err := ReadRequest(url, method, []string{field}, from)
		if err != nil {
			return
		}
		if r.URL.Host == "" || len(r.Fields) != 1 || strings.ContainsAny(r.Fields[0][0]+r.Fields[0][1]+r.Method, "\r\n") {
			t.Errorf("read %+v", r)
		}
	})
}
