package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/pierhead/pierhead/internal/admission"
	"github.com/pierhead/pierhead/internal/control"
)

// The names that the chart gives a webhook whose certificate is made here: of the Secret
// that keeps it, of the Service that it is for, and of the configuration that says whom
// the API server trusts.
const (
	webhookSecret        = "PIERHEAD_WEBHOOK_SECRET"
	webhookService       = "PIERHEAD_WEBHOOK_SERVICE"
	webhookConfiguration = "PIERHEAD_WEBHOOK_CONFIGURATION"
)

// hook is where the API server asks about Ingresses before it stores them: the address,
// and the certificate that is shown there. Its port is taken from the start, so that a
// port that is not free is known at once; who asks before the objects have been read
// waits.
type hook struct {
	listener net.Listener
	pair     admission.KeyPair
	look     func()          // the Secret with the certificate changed
	settled  <-chan struct{} // the certificate is there, and trusted
	lingers  time.Duration   // between the end of ctx and that of the answers
	log      *slog.Logger

	live    context.Context
	end     context.CancelFunc
	running sync.WaitGroup
}

const (
	// settleLimit is how long readiness waits for the certificate. Without one requests
	// are served all the same; only Ingresses cannot be written.
	settleLimit = 10 * time.Second
	// lingerAfter is how long questions are answered when --shutdown-grace-period is over.
	// The API server hears late that this Pod is no endpoint of the webhook's Service any
	// more, and has connections of which it makes use; the objects are no longer followed.
	lingerAfter = 10 * time.Second
)

// openWebhook takes the webhook's port and begins to keep its certificate. It returns
// nil without a webhook.
func (c *controller) openWebhook(ctx context.Context, client kubernetes.Interface) (*hook, error) {
	addr := c.flags.Text("validating-webhook")
	if addr == "" {
		return nil, nil
	}
	h := &hook{look: func() {}, log: c.log, lingers: time.Duration(c.flags.Int("shutdown-grace-period"))*time.Second + lingerAfter}
	keep, err := c.certificate(h, client)
	if err != nil {
		return nil, fmt.Errorf("admission webhook: %w", err)
	}
	if h.listener, err = c.open(ctx, addr); err != nil {
		return nil, fmt.Errorf("admission webhook: %w; choose another address with --validating-webhook", err)
	}
	h.live, h.end = context.WithCancel(context.Background())
	h.running.Go(func() { keep(h.live) })
	return h, nil
}

// certificate says which certificate the webhook shows, and returns what keeps it good.
func (c *controller) certificate(h *hook, client kubernetes.Interface) (keep func(context.Context), err error) {
	cert, key := c.flags.Text("validating-webhook-certificate"), c.flags.Text("validating-webhook-key")
	if cert != "" && key != "" {
		files := admission.NewFiles(cert, key, c.log)
		h.pair = files.KeyPair
		return files.Run, nil
	}
	if cert != "" || key != "" {
		return nil, errors.New("of --validating-webhook-certificate and --validating-webhook-key one is given alone; give both")
	}
	store := &admission.APIServer{Client: client, Name: os.Getenv(webhookSecret), Service: os.Getenv(webhookService), Configuration: os.Getenv(webhookConfiguration)}
	store.Namespace, _, _ = strings.Cut(c.pod, "/")
	if store.Name == "" || store.Service == "" || store.Configuration == "" {
		return nil, fmt.Errorf("it has no certificate; give --validating-webhook-certificate and --validating-webhook-key, or have one made and set %s, %s and %s in the environment",
			webhookSecret, webhookService, webhookConfiguration)
	}
	a := admission.NewAuthority(admission.AuthorityOptions{Store: store, Names: admission.ServiceNames(store.Namespace, store.Service), Log: c.log})
	h.pair, h.look, h.settled = a.KeyPair, a.Look, a.Settled()
	return a.Run, nil
}

// madeHere returns the Secret with the webhook's certificate, as namespace/name, or "".
func (c *controller) madeHere() string {
	if c.flags.Text("validating-webhook") == "" || c.flags.Text("validating-webhook-certificate") != "" {
		return ""
	}
	ns, _, _ := strings.Cut(c.pod, "/")
	return ns + "/" + os.Getenv(webhookSecret)
}

// answers returns who answers the API server's questions: from what the source sees, by
// the translation that serves, and by what compiling its outcome finds.
func (c *controller) answers() *admission.Server {
	return admission.New(admission.Options{
		View: c.source.View, Fetch: c.source.Fetch, Translate: c.translation(), Compile: control.Compile,
		DeepInspect: c.flags.Bool("deep-inspect"), Log: c.log,
	})
}

// serve answers from now on, and waits a while for the certificate. Answers end some
// time after ctx. The objects must have been read whole.
func (h *hook) serve(ctx context.Context, server *admission.Server) {
	if h == nil {
		return
	}
	h.running.Go(func() {
		if err := server.Serve(h.live, h.listener, h.pair); err != nil && h.live.Err() == nil {
			h.log.Error("Ingresses are not checked any more", "error", err)
		}
	})
	context.AfterFunc(ctx, func() { time.AfterFunc(h.lingers, h.end) })
	if h.settled == nil {
		return
	}
	limit := time.NewTimer(settleLimit)
	defer limit.Stop()
	select {
	case <-h.settled:
	case <-limit.C:
		h.log.Error("the admission webhook has no certificate that the API server trusts; requests are served, Ingresses cannot be written until it has")
	case <-ctx.Done():
	}
}

// leave stops accepting: another process does. Who was accepted is answered for a while.
func (h *hook) leave() {
	if h != nil {
		_ = h.listener.Close() // it is gone either way
		time.AfterFunc(lingerFor, h.end)
	}
}

// close ends the webhook.
func (h *hook) close() {
	if h == nil {
		return
	}
	h.end()
	h.listener.Close() // where nothing has been served
	h.running.Wait()
}

// follow says that the Secret with the webhook's certificate changed.
func (c *controller) follow() {
	if c.hook != nil {
		c.hook.look()
	}
}
