package admission

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/pierhead/pierhead/internal/translate"
)

// TestServe: an API server that trusts the bundle is answered by TLS, by the name of the
// Service; one that does not trust it learns nothing; questions in hand are answered
// when the webhook ends.
func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	store := &memory{}
	a := authority(store)
	if err := a.step(ctx); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	asked, goOn := make(chan bool), make(chan bool)
	o := objects(t)
	s := serverOf(o, func(opt *Options) {
		opt.View = func(f func(*translate.Objects)) { f(o) }
		opt.Fetch = func(context.Context, translate.References) translate.Further {
			asked <- true
			<-goOn
			return translate.Further{}
		}
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() {
		if err := s.Serve(ctx, ln, a.KeyPair); err != nil {
			t.Error(err)
		}
	})
	client := clientOf(ln.Addr(), store.trusted())
	defer client.CloseIdleConnections()
	reply, err := client.Post("https://hook.system.svc/networking/v1/ingresses?timeout=10s", "application/json", bytes.NewReader(question(t, made("new", "a.example.com", "/"))))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(reply.Body)
	reply.Body.Close()
	if reply.StatusCode != 200 || reply.ProtoMajor != 2 || !bytes.Contains(body, []byte(`"allowed":true`)) {
		t.Errorf("%s %s: %s", reply.Proto, reply.Status, body)
	}
	stranger := clientOf(ln.Addr(), nil)
	defer stranger.CloseIdleConnections()
	if _, err := stranger.Get("https://hook.system.svc/"); err == nil {
		t.Error("a client that does not know the issuer is content")
	}

	last := make(chan error, 1)
	go func() {
		reply, err := client.Post("https://hook.system.svc/", "application/json", bytes.NewReader(question(t, made("new", "a.example.com", "/", note("auth-secret", "s")))))
		if err == nil {
			reply.Body.Close()
			if reply.StatusCode != 200 {
				err = fmt.Errorf("status %s", reply.Status)
			}
		}
		last <- err
	}()
	<-asked
	cancel()
	goOn <- true
	if err := <-last; err != nil {
		t.Errorf("the question in hand: %v", err)
	}
	running.Wait()
}

// clientOf returns a client that asks addr whatever the URL says, and trusts a bundle.
func clientOf(addr net.Addr, bundle []byte) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr.String())
		},
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
	}}
}

// TestAtOnce: many questions are answered while the objects change, as a source with a
// lock changes them.
func TestAtOnce(t *testing.T) {
	var mu sync.RWMutex
	o := objects(t)
	s := serverOf(nil, func(opt *Options) {
		opt.View = func(f func(*translate.Objects)) {
			mu.RLock()
			defer mu.RUnlock()
			f(o)
		}
	})
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 40 {
				in := made(fmt.Sprintf("i%d", n), "a.example.com", fmt.Sprintf("/%d/%d", n, i), note("server-alias", "b.example.com"))
				if a := ask(t, s, in); !a.Allowed {
					t.Errorf("refused: %+v", a.Result)
				}
				mu.Lock()
				o.Remove("Ingress", in.Namespace, in.Name)
				if err := o.Add(in, translate.Place{}); err != nil {
					t.Error(err)
				}
				mu.Unlock()
				s.Snapshot()
			}
		})
	}
	all.Wait()
	if a := ask(t, s, made("last", "a.example.com", "/3/39")); a.Allowed {
		t.Error("the last object is not seen")
	}
}

// When the listener is closed before the end, who was accepted is answered: somebody else
// accepts.
func TestServeAccepted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	store := &memory{}
	a := authority(store)
	if err := a.step(ctx); err != nil {
		t.Fatal(err)
	}
	o := objects(t)
	s := serverOf(o, func(opt *Options) { opt.View = func(f func(*translate.Objects)) { f(o) } })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln, a.KeyPair) }()
	client := clientOf(ln.Addr(), store.trusted())
	defer client.CloseIdleConnections()
	ask := func() (int, error) {
		reply, err := client.Post("https://hook.system.svc/networking/v1/ingresses", "application/json", bytes.NewReader(question(t, made("new", "a.example.com", "/"))))
		if err != nil {
			return 0, err
		}
		reply.Body.Close()
		return reply.StatusCode, nil
	}
	if status, err := ask(); status != 200 {
		t.Fatalf("the first question is answered %d, %v", status, err)
	}
	ln.Close()
	if status, err := ask(); status != 200 { // on the connection that is there
		t.Errorf("a question on an accepted connection is answered %d, %v", status, err)
	}
	select {
	case err := <-ended:
		t.Errorf("it has ended, with %v, before it was told to", err)
	default:
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
