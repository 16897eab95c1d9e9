// Package admin is the address that operators and probes ask: health, metrics, and as
// JSON the state, parts of it, and answers to questions about it (api.go). It only reads;
// it changes nothing and tells no secret.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Server answers on the admin address.
type Server struct {
	State      func() *State // never nil
	Generation func() uint64 // that of State, without making it
	Healthy    func() error  // nil: ready
	Metrics    http.Handler
	Views      Views
	Off        string // why the API answers nothing, or ""
}

// Handler returns the address's routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	s.api(mux)
	if s.Metrics != nil {
		mux.Handle("GET /metrics", s.Metrics)
	}
	return mux
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if err := s.Healthy(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, "ok")
}

// Serve answers on ln until ctx ends.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if srv.Shutdown(end) != nil {
			srv.Close()
		}
	})
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin address %s: %w", ln.Addr(), err)
	}
	return nil
}
