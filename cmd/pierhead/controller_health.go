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
)

// health is the controller's health, metrics and state on one address, the profiler on
// another, and what nginx tells of itself on a third. It is there before the first object
// is read and until the process ends. A process that takes another's place shares all of
// them with that one, and tells its own health on a Unix socket besides.
type health struct {
	waits   atomic.Pointer[func() string] // what the first table waits for
	leading func() bool                   // whether this process writes status and Events
	running atomic.Pointer[serving]
	live    atomic.Bool // no process before needs to be told any more
	ending  atomic.Bool
	left    atomic.Bool // another process answers on the shared addresses

	log      *slog.Logger
	stateAPI bool // the state is told, not only health and metrics
	own      *http.Server
	shared   []*http.Server
	turn     func() bool    // whether this process answers on the shared addresses
	over     chan struct{}  // closed at the end
	accepts  []net.Listener // of shared
	once     sync.Once
	ended    sync.WaitGroup
}

// serving is a controller that serves.
type serving struct {
	control *control.Control
	handler http.Handler
}

// startHealth opens the addresses that the flags say.
func (c *controller) startHealth(ctx context.Context) (*health, error) {
	f := c.flags
	h := &health{log: c.log, stateAPI: f.Bool("state-api"), over: make(chan struct{})}
	h.turn = func() bool { return !c.place.Preceded() || h.serves() == nil }
	mux := http.NewServeMux()
	mux.HandleFunc(f.Text("health-check-path"), func(w http.ResponseWriter, r *http.Request) {
		if h.left.Load() { // the last to be accepted here asks about the port, which goes on
			fmt.Fprint(w, "ok")
			return
		}
		h.answer(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if s := h.running.Load(); s != nil {
			s.handler.ServeHTTP(w, r)
			return
		}
		h.answer(w, r)
	})
	addr := net.JoinHostPort(f.Text("healthz-host"), f.Text("healthz-port"))
	if f.Bool("takeover") {
		h.wait(func() string { return "waiting for the address " + addr })
		ln, err := net.Listen("unix", ownSocket(c.pod))
		if err != nil {
			return nil, fmt.Errorf("health of this Pod: %w; is there another process for it?", err)
		}
		h.own = h.serveOn(ln, http.HandlerFunc(h.answer), func() {})
	}
	ln, err := c.open(ctx, addr)
	if err != nil {
		h.close()
		return nil, fmt.Errorf("health address: %w; choose another one with --healthz-host and --healthz-port", err)
	}
	h.wait(func() string { return "waiting for the API server" })
	h.share(ln, mux)
	if f.Bool("profiling") {
		h.offer(c, net.JoinHostPort(f.Text("profiler-address"), f.Text("profiler-port")), profiles(), "profiler", "choose another address with --profiler-address and --profiler-port")
	}
	h.offer(c, net.JoinHostPort("127.0.0.1", f.Text("status-port")), h.nginx(), "/nginx_status", "choose another port with --status-port")
	return h, nil
}

// offer opens an address that the controller can do without.
func (h *health) offer(c *controller, addr string, handler http.Handler, what, remedy string) {
	ln, err := c.place.Listen(addr)
	if err != nil {
		h.log.Warn("there is no "+what+": "+err.Error(), "remedy", remedy)
		return
	}
	h.share(ln, handler)
}

// share serves where another process may serve too. That one answers alone until this one
// can say something better than that it is not ready.
func (h *health) share(ln net.Listener, handler http.Handler) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		if h.left.Load() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	}
	h.shared, h.accepts = append(h.shared, h.serveOn(ln, http.HandlerFunc(answer), h.awaitTurn)), append(h.accepts, ln)
}

// awaitTurn returns when it is this process's turn, or at its end.
func (h *health) awaitTurn() {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for !h.turn() {
		select {
		case <-tick.C:
		case <-h.over:
			return
		}
	}
}

// serveOn answers what comes to a listener, as soon as wait returns.
func (h *health) serveOn(ln net.Listener, handler http.Handler, wait func()) *http.Server {
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	h.ended.Go(func() {
		wait()
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			h.log.Error("an address of the process is not served any more", "address", ln.Addr().String(), "error", err)
		}
	})
	return srv
}

// wait says what the first table waits for.
func (h *health) wait(why func() string) { h.waits.Store(&why) }

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
	if err := h.serves(); err != nil {
		return err
	}
	switch {
	case h.ending.Load():
		return errors.New("the ingress controller is shutting down")
	case !h.live.Load():
		return errors.New("the process before is not told yet that this one serves")
	}
	return nil
}

// serves returns why nothing is served, or not all, or nil.
func (h *health) serves() error {
	s := h.running.Load()
	if s == nil {
		return errors.New((*h.waits.Load())())
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

// leaveLimit is how long answers may take that are on their way when another process
// accepts: a profile is made for half a minute.
const leaveLimit = time.Minute

// leave stops accepting where another process accepts too. Who was accepted is answered: a
// http.Server that is shut drops what it has not read yet, so that comes later.
func (h *health) leave() {
	h.left.Store(true)
	for _, ln := range h.accepts {
		_ = ln.Close() // it is gone either way
	}
	h.ended.Go(func() {
		select {
		case <-time.After(lingerFor):
		case <-h.over:
		}
		shut(leaveLimit, h.shared...)
	})
}

// close ends the addresses.
func (h *health) close() {
	h.once.Do(func() { close(h.over) })
	shut(2*time.Second, h.shared...)
	if h.own != nil {
		shut(2*time.Second, h.own)
	}
	h.ended.Wait()
}

// shut ends servers, after the answers that are on their way.
func shut(limit time.Duration, servers ...*http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var all sync.WaitGroup
	for _, srv := range servers {
		all.Go(func() {
			if srv.Shutdown(ctx) != nil {
				srv.Close()
			}
		})
	}
	all.Wait()
}
