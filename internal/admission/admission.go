// Package admission is the validating webhook: the API server asks it about every
// Ingress before it is stored. It refuses what ingress-nginx refuses and warns of
// everything that translation has to say. It renders nothing, executes nothing and
// changes nothing; what it says comes from package translate alone.
//
// The life of a question: answer.go reads it off the wire; check.go goes through the
// reasons to refuse, in the order of ingress-nginx; warning.go makes the problems fit
// what the API server hands on. The certificates are made and renewed by an Authority
// (authority.go, keypair.go) or read from Files (files.go).
package admission

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

// Options are what a Server is made of.
type Options struct {
	// View calls f with the objects as they are now. They do not change before f
	// returns, which is soon.
	View func(f func(*translate.Objects))
	// Translate is how the objects are translated when they are served.
	Translate translate.Options
	// Fetch returns the content that an Ingress refers to, as far as the objects of View
	// do not hold it; what does not exist is left out. It may be nil.
	Fetch func(ctx context.Context, refs translate.References) translate.Further
	// Compile makes of a Config what serves requests and returns what is wrong with it. It
	// may change the Config. It may be nil.
	Compile func(*model.Config) []model.Problem
	// DeepInspect refuses hosts, paths and names of Secrets that could do harm in a
	// configuration file.
	DeepInspect bool
	Log         *slog.Logger
	Now         func() time.Time // nil: time.Now
}

// Server answers the API server's questions. It is an http.Handler; any goroutine may
// use it.
type Server struct {
	opt    Options
	bodies budget
	counts counts
}

// New returns a Server.
func New(opt Options) *Server {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{opt: opt, bodies: budget{left: bodiesAtOnce}, counts: newCounts()}
}

// How long the API server may take. It gives up after 30 seconds at most.
const (
	readLimit  = 10 * time.Second
	writeLimit = 30 * time.Second
	idleLimit  = 2 * time.Minute
	drainLimit = 5 * time.Second
	headLimit  = 64 << 10
)

// KeyPair returns the certificate that is shown to a client.
type KeyPair func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// Serve answers on a listener, by TLS, until ctx ends; questions in hand are answered
// first. When the listener is closed before, who was accepted is answered until then. The
// objects must have been read whole before: without them nothing is refused.
func (s *Server) Serve(ctx context.Context, ln net.Listener, pair KeyPair) error {
	srv := &http.Server{
		Handler:     s,
		TLSConfig:   &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair},
		ReadTimeout: readLimit, WriteTimeout: writeLimit, IdleTimeout: idleLimit, MaxHeaderBytes: headLimit,
		ErrorLog: slog.NewLogLogger(s.opt.Log.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
		defer cancel()
		if err := srv.Shutdown(last); err != nil {
			srv.Close()
		}
	})
	err := srv.ServeTLS(ln, "", "")
	if errors.Is(err, net.ErrClosed) {
		<-ctx.Done() // nobody is accepted any more; who was is answered
		err = http.ErrServerClosed
	}
	if !stop() {
		<-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("admission webhook: %w", err)
}
