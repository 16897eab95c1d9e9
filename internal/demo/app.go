// Package demo is the 2017 workflow on one machine: it writes the example's
// manifests with a fresh certificate, runs three replicas of the application in this
// process, and can perform the workflow's transcript of dig and curl itself.
package demo

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"
)

// names of the replicas, as the workflow's transcript shows them.
var names = [...]string{
	"nodejs-app-deployment-1673444943-dv6k7",
	"nodejs-app-deployment-1673444943-q708f",
	"nodejs-app-deployment-1673444943-r24kz",
}

// app is the application: three replicas, each on an address of its own, and the
// default backend.
type app struct {
	addrs   []netip.AddrPort
	backend netip.AddrPort
	servers []*http.Server
	held    chan struct{} // closed to let the requests for /wait go
	waiting chan struct{} // one value for each request that waits
}

// startApp starts the replicas on 127.90.0.1 to .3, or on ports of 127.0.0.1 where
// only that address is there.
func startApp() (*app, error) {
	a := &app{held: make(chan struct{}), waiting: make(chan struct{}, 1024)}
	for i, name := range names {
		addr, err := a.serve(i+1, name, a.replica(name))
		if err != nil {
			return nil, err
		}
		a.addrs = append(a.addrs, addr)
	}
	var err error
	a.backend, err = a.serve(9, "nginx-default-backend", http.NotFoundHandler())
	return a, err
}

// serve starts one server on the n-th address; after an error nothing is left.
func (a *app) serve(n int, name string, h http.Handler) (netip.AddrPort, error) {
	listen := "127.0.0.1:0"
	if ownAddresses {
		listen = fmt.Sprintf("127.90.0.%d:0", n)
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		a.stop()
		return netip.AddrPort{}, fmt.Errorf("%s: %w", name, err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	a.servers = append(a.servers, srv)
	go func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintf(os.Stderr, "pierhead: %s: %v\n", name, err)
		}
	}()
	return netip.MustParseAddrPort(ln.Addr().String()), nil
}

// replica answers as the workflow's application does, and a little more: /whoami
// tells which client address it was told, /wait answers when the demo lets it.
func (a *app) replica(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "I am: %s\n", name)
		http.NewResponseController(w).Flush()
	})
	mux.HandleFunc("/whoami", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "You are: %s\n", r.Header.Get("X-Real-IP"))
	})
	mux.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		a.waiting <- struct{}{}
		select {
		case <-a.held:
		case <-r.Context().Done():
		case <-time.After(30 * time.Second):
		}
		fmt.Fprintf(w, "I am: %s, and you waited\n", name)
	})
	return mux
}

func (a *app) stop() {
	for _, s := range a.servers {
		s.Close()
	}
}
