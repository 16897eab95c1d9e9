package admission

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Store keeps the Secret that all replicas share, and tells the API server whom to
// trust.
type Store interface {
	// Secret returns the Secret, or nil where there is none.
	Secret(ctx context.Context) (*corev1.Secret, error)
	// Write stores the Secret if it still is of the resource version given, or still is
	// not there where that is empty; else ErrConflict.
	Write(ctx context.Context, s *corev1.Secret) error
	// Trust makes the webhook's configuration trust these certificates, in PEM, and none
	// of those that were made here before. Those of others stay.
	Trust(ctx context.Context, bundle []byte) error
}

// ErrConflict says that somebody else was faster to write.
var ErrConflict = errors.New("the Secret was written by somebody else meanwhile")

// AuthorityOptions are what an Authority is made of.
type AuthorityOptions struct {
	Store Store
	// Names are those that the API server calls the webhook by: see ServiceNames.
	Names []string
	Log   *slog.Logger
	Now   func() time.Time // nil: time.Now
}

// ServiceNames lists the names of a Service, the one that the API server uses first.
func ServiceNames(namespace, service string) []string {
	return []string{service + "." + namespace + ".svc", service + "." + namespace, service}
}

// Authority makes the webhook's certificate, renews it, and sees to it that the API
// server trusts it. The replicas of a controller agree by the Secret: whoever writes it
// first has made the certificate of all.
type Authority struct {
	opt     AuthorityOptions
	lives   lives
	every   time.Duration // between two looks at the Secret
	pair    atomic.Pointer[tls.Certificate]
	settled chan struct{}
	once    sync.Once
	again   chan struct{} // Look was called
	said    string        // the last error that was logged
}

// How often the Secret is looked at: a renewal by another replica is seen long before
// the old certificate ends.
const (
	lookEvery  = time.Minute
	retryAfter = time.Second // after an error, doubled up to lookEvery
	lookLimit  = 20 * time.Second
	conflicts  = 5 // in a row
)

// NewAuthority returns an Authority that has no certificate before Run.
func NewAuthority(opt AuthorityOptions) *Authority {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Authority{opt: opt, lives: usualLives, every: lookEvery, settled: make(chan struct{}), again: make(chan struct{}, 1)}
}

// Settled is closed when there is a certificate to show and the API server was told to
// trust it.
func (a *Authority) Settled() <-chan struct{} { return a.settled }

// Look makes Run look at the Secret now: it was written or deleted. It never waits.
func (a *Authority) Look() {
	select {
	case a.again <- struct{}{}:
	default:
	}
}

// KeyPair returns the certificate of the moment.
func (a *Authority) KeyPair(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if pair := a.pair.Load(); pair != nil {
		return pair, nil
	}
	return nil, errors.New("the webhook has no certificate yet")
}

// Run keeps the certificate good until ctx ends. What goes wrong is logged once and
// tried again; the last certificate stays in use.
func (a *Authority) Run(ctx context.Context) {
	wait := retryAfter
	for ctx.Err() == nil {
		next := a.every
		if err := a.step(ctx); err != nil {
			a.log(ctx, err)
			next, wait = wait, min(2*wait, lookEvery)
		} else {
			wait, a.said = retryAfter, ""
		}
		t := time.NewTimer(next)
		select {
		case <-t.C:
		case <-a.again:
			t.Stop()
		case <-ctx.Done():
			t.Stop()
		}
	}
}

func (a *Authority) log(ctx context.Context, err error) {
	if ctx.Err() == nil && a.said != err.Error() {
		a.said = err.Error()
		a.opt.Log.Error("the certificate of the admission webhook is not kept up to date; it is tried again", "error", err)
	}
}

// step looks at the Secret, renews what is due and tells the API server.
func (a *Authority) step(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	m, err := a.agree(ctx)
	if err != nil {
		return err
	}
	a.pair.Store(m.server)
	if len(m.trusted) > 0 { // else it is somebody else's, whom the configuration trusts already
		if err := a.opt.Store.Trust(ctx, m.bundle()); err != nil {
			return err
		}
	}
	a.once.Do(func() { close(a.settled) })
	return nil
}

// agree returns what is in the Secret once it is good, whoever has written it.
func (a *Authority) agree(ctx context.Context) (material, error) {
	for range conflicts {
		secret, err := a.opt.Store.Secret(ctx)
		if err != nil {
			return material{}, fmt.Errorf("secret of the admission webhook: %w", err)
		}
		if secret == nil {
			secret = &corev1.Secret{}
		}
		m := read(secret.Data)
		now := a.opt.Now()
		if m.foreign {
			return m, foreign(&m, now)
		}
		changed, err := m.renew(a.opt.Names, a.lives, now)
		if err != nil || !changed {
			return m, err
		}
		entries, err := m.entries()
		if err != nil {
			return m, err
		}
		secret = secret.DeepCopy()
		if secret.Data == nil {
			secret.Data = map[string][]byte{}
		}
		maps.Copy(secret.Data, entries)
		err = a.opt.Store.Write(ctx, secret)
		if err == nil {
			a.opt.Log.Info("the admission webhook has a new certificate", "until", m.server.Leaf.NotAfter, "issuer until", m.trusted[0].NotAfter)
			return m, nil
		}
		if !errors.Is(err, ErrConflict) {
			return material{}, fmt.Errorf("secret of the admission webhook: %w", err)
		}
	}
	return material{}, ErrConflict
}

// foreign checks a certificate that somebody else keeps in the Secret. It is never
// written over.
func foreign(m *material, now time.Time) error {
	switch {
	case m.server == nil:
		return errors.New("the Secret of the admission webhook holds a certificate that cannot be read and was not made here: mend it, or remove its data")
	case !valid(m.server.Leaf, now):
		return fmt.Errorf("the certificate in the Secret of the admission webhook was good until %s and was not made here: renew it, or remove the data of the Secret",
			m.server.Leaf.NotAfter.Format(time.RFC3339))
	}
	return nil
}
