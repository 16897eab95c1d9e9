package admin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/routing"
)

// GenerationHeader is a field of every answer of the API: whoever asks through others
// can tell by it that the process itself has answered.
const GenerationHeader = "Pierhead-Generation"

// FieldHeader is a field of a question for an explanation: one field of the request
// that it is about, as "Name: value". Fields are not part of the URL, which is logged on
// the way.
const FieldHeader = "Explain-Field"

// atOnce is how many answers are made at the same time, and wait how long a question
// waits for its turn.
const (
	atOnce = 2
	wait   = 5 * time.Second
)

// api adds the routes of the API.
func (s *Server) api(mux *http.ServeMux) {
	turns := make(chan struct{}, atOnce)
	for path, h := range map[string]http.HandlerFunc{
		"state": s.state, "info": s.info, "routes": s.routes, "upstreams": s.upstreams, "certificates": s.certificates,
		"problems": s.problems, "config": s.config, "explain": s.explain,
	} {
		mux.HandleFunc("GET /api/v1/"+path, s.inTurn(turns, h))
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		s.mark(w)
		if s.Off != "" {
			refuse(w, http.StatusForbidden, errors.New(s.Off))
			return
		}
		refuse(w, http.StatusNotFound, fmt.Errorf("%s %s is not part of the API", r.Method, r.URL.Path))
	})
}

// mark says that it is the process that answers.
func (s *Server) mark(w http.ResponseWriter) {
	generation := uint64(0)
	if s.Generation != nil {
		generation = s.Generation()
	}
	w.Header().Set(GenerationHeader, fmt.Sprint(generation))
}

// inTurn answers when it is the question's turn: answers may be large, and the process
// has other things to do.
func (s *Server) inTurn(turns chan struct{}, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mark(w)
		if s.Off != "" {
			refuse(w, http.StatusForbidden, errors.New(s.Off))
			return
		}
		late := time.NewTimer(wait)
		defer late.Stop()
		select {
		case turns <- struct{}{}:
			defer func() { <-turns }()
			h(w, r)
		case <-late.C:
			w.Header().Set("Retry-After", "5")
			refuse(w, http.StatusServiceUnavailable, errors.New("too many questions at once: ask again later"))
		case <-r.Context().Done():
		}
	}
}

// answer writes a value as JSON, or that it has not changed.
func answer(w http.ResponseWriter, r *http.Request, v any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	sum := sha256.Sum256(body.Bytes())
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body.Bytes()) // an error: the client went away, and there is nobody to tell
}

// refuse answers why there is no answer.
func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(Refusal{Error: err.Error()})
}

// Refusal is the answer to a question that cannot be answered.
type Refusal struct {
	Error string `json:"error"`
}

func (s *Server) state(w http.ResponseWriter, r *http.Request) { answer(w, r, s.State()) }

func (s *Server) info(w http.ResponseWriter, r *http.Request) {
	answer(w, r, info(s.State(), s.Views.Leading, s.Healthy()))
}

// wants reports whether a value is the one that is asked for, if one is.
func wants(asked, value string) bool { return asked == "" || asked == value }

func (s *Server) routes(w http.ResponseWriter, r *http.Request) {
	q, st := r.URL.Query(), s.State()
	host, hasHost := strings.ToLower(q.Get("host")), q.Has("host")
	if host == "*" {
		host = ""
	}
	page(w, r, st.Generation, st.Routes,
		func(x *Route) string {
			return strings.Join([]string{x.Controller, x.Host, x.PathType, x.Path, x.Origin}, "\x00")
		},
		func(x *Route) bool {
			return (!hasHost || x.Host == host) && wants(q.Get("namespace"), x.Namespace) && wants(q.Get("ingress"), x.Ingress) &&
				wants(q.Get("controller"), x.Controller) && wants(q.Get("upstream"), x.Upstream)
		})
}

func (s *Server) upstreams(w http.ResponseWriter, r *http.Request) {
	q, st := r.URL.Query(), s.State()
	page(w, r, st.Generation, st.Upstreams, func(u *Upstream) string { return u.Name },
		func(u *Upstream) bool { return wants(q.Get("name"), u.Name) && wants(q.Get("namespace"), u.Namespace) })
}

func (s *Server) problems(w http.ResponseWriter, r *http.Request) {
	q, st := r.URL.Query(), s.State()
	page(w, r, st.Generation, st.Problems, func(p *model.Problem) string { return p.String() },
		func(p *model.Problem) bool {
			return wants(q.Get("namespace"), p.Origin.Namespace) && wants(q.Get("severity"), p.Severity.String())
		})
}

func (s *Server) certificates(w http.ResponseWriter, r *http.Request) {
	st, q := s.State(), r.URL.Query()
	if !q.Has("host") {
		page(w, r, st.Generation, st.Certificates, func(c *Certificate) string { return c.Name }, func(*Certificate) bool { return true })
		return
	}
	host, err := hostname(q.Get("host"))
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	answer(w, r, Page[ServedCertificate]{Generation: st.Generation, Items: s.Views.Certificate(host)})
}

func (s *Server) config(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := limitOf(q)
	c := ConfigQuery{Controller: q.Get("controller"), HasHost: q.Has("host"), Path: q.Get("path"), Limit: limit}
	if err == nil && c.HasHost && q.Get("host") != "*" {
		c.Host, err = hostname(q.Get("host"))
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	answer(w, r, s.Views.Config(c))
}

// hostname reads a host that somebody names, without port.
func hostname(text string) (string, error) {
	name, _, err := routing.ParseHost(text, nil)
	if err != nil || text == "" {
		return "", fmt.Errorf("host %q: want a name such as shop.example.com", text)
	}
	return name, nil
}

// explain answers for a request that is only told, never made. Nobody may try passwords
// in this way.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	req, err := ReadRequest(q.Get("url"), q.Get("method"), r.Header.Values(FieldHeader), q.Get("from"))
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	for _, f := range req.Fields {
		if strings.EqualFold(f[0], "Authorization") || strings.EqualFold(f[0], "Proxy-Authorization") {
			refuse(w, http.StatusBadRequest, fmt.Errorf("field %q: a running controller is asked without passwords, which nobody shall try here; use pierhead explain on manifests", f[0]))
			return
		}
	}
	answer(w, r, Page[Explanation]{Generation: s.State().Generation, Items: s.Views.Explain(q.Get("controller"), req)})
}
