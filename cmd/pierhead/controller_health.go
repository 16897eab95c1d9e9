package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/control"
	"github.com/pierhead/pierhead/internal/translate"
)

// health is the controller's health, metrics and state on one address, the profiler on
// another, and what nginx tells of itself on a third. It is there before the first object is read and until the
// process ends.
type health struct {
	waiting func() string // what the first table waits for
	leading func() bool   // whether this process writes status and Events
	running atomic.Pointer[serving]
	ending  atomic.Bool

	stateAPI bool // the state is told, not only health and metrics
	servers  []*http.Server
	ended    sync.WaitGroup
}

// serving is a controller that serves.
type serving struct {
	control *control.Control
	handler http.Handler
}

// startHealth opens the addresses that the flags say.
func startHealth(f *translate.ProcessFlags, log *slog.Logger) (*health, error) {
	h := &health{waiting: func() string { return "waiting for the API server" }, stateAPI: f.Bool("state-api")}
	mux := http.NewServeMux()
	mux.HandleFunc(f.Text("health-check-path"), h.answer)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if s := h.running.Load(); s != nil {
			s.handler.ServeHTTP(w, r)
			return
		}
		h.answer(w, r)
	})
	addr := net.JoinHostPort(f.Text("healthz-host"), f.Text("healthz-port"))
	if err := h.listen(addr, mux, log); err != nil {
		return nil, fmt.Errorf("health address: %w; choose another one with --healthz-host and --healthz-port", err)
	}
	if f.Bool("profiling") {
		addr := net.JoinHostPort(f.Text("profiler-address"), f.Text("profiler-port"))
		if err := h.listen(addr, profiles(), log); err != nil {
			log.Warn("there is no profiler: "+err.Error(), "remedy", "choose another address with --profiler-address and --profiler-port")
		}
	}
	addr = net.JoinHostPort("127.0.0.1", f.Text("status-port"))
	if err := h.listen(addr, h.nginx(), log); err != nil {
		log.Warn("there is no /nginx_status: "+err.Error(), "remedy", "choose another port with --status-port")
	}
	return h, nil
}

func (h *health) listen(addr string, handler http.Handler, log *slog.Logger) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	h.servers = append(h.servers, srv)
	h.ended.Go(func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("an address of the process is not served any more", "address", addr, "error", err)
		}
	})
	return nil
}

// profiles answers Go's profiler.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// serve says that a controller serves from now on.
func (h *health) serve(c *control.Control) {
	a := c.Admin(h.check)
	a.Views.Leading = h.leading
	if !h.stateAPI {
		a.Off = "the state API is switched off by --state-api=false"
	}
	h.running.Store(&serving{c, a.Handler()})
}

// end says that the process is about to end.
func (h *health) end() { h.ending.Store(true) }

// check returns why the process is not ready, or nil.
func (h *health) check() error {
	s := h.running.Load()
	switch {
	case h.ending.Load():
		return errors.New("the ingress controller is shutting down")
	case s == nil:
		return errors.New(h.waiting())
	}
	for _, c := range s.control.Controllers() {
		if c.Error != "" {
			return errors.New(c.Error)
		}
	}
	return nil
}

func (h *health) answer(w http.ResponseWriter, _ *http.Request) {
	if err := h.check(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, "ok")
}

// close ends the addresses.
func (h *health) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, srv := range h.servers {
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
	}
	h.ended.Wait()
}
