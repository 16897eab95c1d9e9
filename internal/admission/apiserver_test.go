package admission

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
)

func configuration(services ...string) *admissionregistrationv1.ValidatingWebhookConfiguration {
	c := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "hooks", ResourceVersion: "7"}}
	for _, s := range services {
		w := admissionregistrationv1.ValidatingWebhook{Name: s}
		if s == "" {
			w.ClientConfig.URL = new(string)
		} else {
			w.ClientConfig.Service = &admissionregistrationv1.ServiceReference{Namespace: "system", Name: s}
		}
		c.Webhooks = append(c.Webhooks, w)
	}
	return c
}

// issuerText returns an issuer of a name in PEM.
func issuerText(t *testing.T, name string, until time.Duration) []byte {
	t.Helper()
	raw, _, err := issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-2 * day), NotAfter: time.Now().Add(until), IsCA: true, BasicConstraintsValid: true}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
}

// TestTrust: the webhooks that lead here trust the bundle and whom else they trusted,
// but none that was made here before; the others stay as they are, and nothing is
// written where nothing is to change.
func TestTrust(t *testing.T) {
	bundle, foreign := issuerText(t, issuerName, day), issuerText(t, "made by a job", day)
	conf := configuration("hook", "other", "")
	conf.Webhooks[0].ClientConfig.CABundle = slices.Concat(issuerText(t, issuerName, day), foreign, issuerText(t, "made by a job", -day))
	client := fake.NewClientset(conf)
	store := &APIServer{Client: client, Namespace: "system", Name: "secret", Service: "hook", Configuration: "hooks"}
	patches := func() (all [][]byte) {
		for _, a := range client.Actions() {
			if p, ok := a.(ktesting.PatchAction); ok {
				all = append(all, p.GetPatch())
			}
		}
		return all
	}
	for range 2 {
		if err := store.Trust(t.Context(), bundle); err != nil {
			t.Fatal(err)
		}
	}
	got, err := client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), "hooks", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]byte{slices.Concat(bundle, foreign), nil, bundle} {
		if !bytes.Equal(got.Webhooks[i].ClientConfig.CABundle, want) {
			t.Errorf("webhook %d trusts %q, want %q", i, got.Webhooks[i].ClientConfig.CABundle, want)
		}
	}
	var sent []change
	if all := patches(); len(all) != 1 || json.Unmarshal(all[0], &sent) != nil || sent[0].Op != "test" || sent[0].Path != "/metadata/resourceVersion" {
		t.Errorf("the patches are %s", all)
	}
	store.Configuration = "none"
	if err := store.Trust(t.Context(), bundle); err == nil {
		t.Error("a configuration that is not there is not told")
	}
}

// TestSecretOfTheAPIServer: the Secret is made, or written where it is, and who is too
// late learns so.
func TestSecretOfTheAPIServer(t *testing.T) {
	client := fake.NewClientset()
	store := &APIServer{Client: client, Namespace: "system", Name: "secret"}
	if s, err := store.Secret(t.Context()); s != nil || err != nil {
		t.Fatalf("there is %v, %v", s, err)
	}
	if err := store.Write(t.Context(), &corev1.Secret{Data: map[string][]byte{"a": []byte("1")}}); err != nil {
		t.Fatal(err)
	}
	s, err := store.Secret(t.Context())
	if err != nil || string(s.Data["a"]) != "1" {
		t.Fatalf("there is %v, %v", s, err)
	}
	if err := store.Write(t.Context(), &corev1.Secret{}); !errors.Is(err, ErrConflict) {
		t.Errorf("a second one is made: %v", err)
	}
	secrets := schema.GroupResource{Resource: "secrets"}
	for what, c := range map[string]struct {
		err  error
		want bool
	}{
		"conflict":  {apierrors.NewConflict(secrets, "secret", errors.New("x")), true},
		"gone":      {apierrors.NewNotFound(secrets, "secret"), true},
		"forbidden": {apierrors.NewForbidden(secrets, "secret", errors.New("x")), false},
	} {
		client := fake.NewClientset()
		client.PrependReactor("patch", "secrets", func(ktesting.Action) (bool, runtime.Object, error) { return true, nil, c.err })
		err := (&APIServer{Client: client, Namespace: "system", Name: "secret"}).Write(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "secret", ResourceVersion: "3"}})
		if err == nil || errors.Is(err, ErrConflict) != c.want {
			t.Errorf("%s: %v", what, err)
		}
	}
}
