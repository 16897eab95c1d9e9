package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/pierhead/pierhead/internal/admission"
	"github.com/pierhead/pierhead/internal/translate"
)

// webhookController returns a controller of these flags that is not connected.
func webhookController(t *testing.T, words string) *controller {
	t.Helper()
	c := &controller{pod: "system/pod", log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	var err error
	if c.flags, err = c.readFlags(strings.Fields(words)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWebhookRefuses: a webhook that could not answer ends the start and says what to do.
func TestWebhookRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for words, want := range map[string]string{
		"--validating-webhook=127.0.0.1:0":                                                                                                     webhookSecret,
		"--validating-webhook=127.0.0.1:0 --validating-webhook-certificate=a":                                                                  "give both",
		"--validating-webhook=127.0.0.1:0 --validating-webhook-key=a":                                                                          "give both",
		"--validating-webhook=8443 --validating-webhook-certificate=a --validating-webhook-key=b":                                              "missing port",
		"--validating-webhook=" + taken.Addr().String() + " --validating-webhook-certificate=a --validating-webhook-key=b --deep-inspect=true": "--validating-webhook",
	} {
		h, err := webhookController(t, words).openWebhook(t.Context(), fake.NewClientset())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error about %s", words, err, want)
		}
		h.close()
	}
	if h, err := webhookController(t, "").openWebhook(t.Context(), nil); h != nil || err != nil {
		t.Errorf("without the flag there is %v, %v", h, err)
	}
}

// TestWebhook: who asks before the objects are read waits; the certificate is made here
// and trusted; when the process is told to end answers go on until it does.
func TestWebhook(t *testing.T) {
	t.Setenv(webhookSecret, "secret")
	t.Setenv(webhookService, "hook")
	t.Setenv(webhookConfiguration, "hooks")
	conf := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "hooks", ResourceVersion: "1"}, Webhooks: []admissionregistrationv1.ValidatingWebhook{{
		Name: "a", ClientConfig: admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Namespace: "system", Name: "hook"}},
	}}}
	client := fake.NewClientset(conf)
	c := webhookController(t, "--validating-webhook=127.0.0.1:0")
	if got := c.madeHere(); got != "system/secret" {
		t.Errorf("the certificate is in %q", got)
	}
	h, err := c.openWebhook(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	ask := asker(h.listener.Addr())
	early := make(chan int, 1)
	<-h.settled
	conf, err = client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), "hooks", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bundle := conf.Webhooks[0].ClientConfig.CABundle
	go func() { early <- ask(t, bundle) }()
	ctx, cancel := context.WithCancel(t.Context())
	h.serve(ctx, admission.New(admission.Options{View: func(f func(*translate.Objects)) { f(translate.NewObjects()) }}))
	if got := <-early; got != http.StatusBadRequest {
		t.Errorf("an early question is answered %d", got)
	}
	cancel()
	if got := ask(t, bundle); got != http.StatusBadRequest {
		t.Errorf("a question at the end is answered %d", got)
	}
	h.close()
	if got := ask(t, bundle); got != 0 {
		t.Errorf("after the end a question is answered %d", got)
	}
}

// asker returns a function that asks nothing at an address and returns the status, or 0.
func asker(addr net.Addr) func(t *testing.T, bundle []byte) int {
	return func(t *testing.T, bundle []byte) int {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(bundle)
		transport := &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", addr.String())
			},
			TLSClientConfig:   &tls.Config{RootCAs: roots},
			DisableKeepAlives: true,
		}
		reply, err := (&http.Client{Transport: transport}).Post("https://hook.system.svc/", "application/json", bytes.NewReader([]byte("{")))
		if err != nil {
			t.Log(err)
			return 0
		}
		defer reply.Body.Close()
		_, _ = io.Copy(io.Discard, reply.Body)
		return reply.StatusCode
	}
}
