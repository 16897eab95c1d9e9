package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// withWebhook has the controller answer the admission webhook, with a certificate that
// is mounted as ingress-nginx's chart does it.
func (m *measure) withWebhook(ctx context.Context) error {
	k, err := newKeys()
	if err != nil {
		return err
	}
	in := m.Installed
	certificate, key, err := k.pair(0, "webhook."+in.Namespace+".svc")
	if err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "webhook"}, Data: map[string][]byte{"cert": certificate, "key": key}}
	if _, err := m.Client().CoreV1().Secrets(in.Namespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return err
	}
	const dir = "/usr/local/certificates/"
	patch := []map[string]any{
		{"op": "add", "path": "/spec/template/spec/volumes", "value": []any{map[string]any{"name": "webhook", "secret": map[string]any{"secretName": "webhook"}}}},
		{"op": "add", "path": "/spec/template/spec/containers/0/volumeMounts", "value": []any{map[string]any{"name": "webhook", "mountPath": dir, "readOnly": true}}},
		{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--validating-webhook=:8443"},
		{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--validating-webhook-certificate=" + dir + "cert"},
		{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--validating-webhook-key=" + dir + "key"},
	}
	text, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	_, err = m.Client().AppsV1().Deployments(in.Namespace).Patch(ctx, in.Deployment, types.JSONPatchType, text, metav1.PatchOptions{})
	return err
}

// webhook asks the admission webhook what the API server would, for changed Ingresses.
func (m *measure) webhook(ctx context.Context) error {
	transport := m.Transport()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // who answers is not the question here
	defer transport.CloseIdleConnections()
	var ts times
	for i := range m.changes {
		ns, name, _ := m.shape(i * 83 % m.ingresses)
		stored, err := m.Client().NetworkingV1().Ingresses(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		now := stored.DeepCopy()
		now.Annotations[note+"proxy-next-upstream-timeout"] = fmt.Sprint(i + 1)
		took, err := m.review(ctx, transport, stored, now)
		if errors.Is(err, syscall.ECONNREFUSED) {
			m.table.add("admission webhook", "not answered by this version")
			return nil
		}
		if err != nil {
			return err
		}
		ts = append(ts, took)
	}
	m.table.spread("admission webhook, one changed Ingress", 50, ts)
	return nil
}

// review sends one review and returns how long the answer took.
func (m *measure) review(ctx context.Context, transport *http.Transport, had, now *networkingv1.Ingress) (time.Duration, error) {
	old, err := json.Marshal(had)
	if err != nil {
		return 0, err
	}
	object, err := json.Marshal(now)
	if err != nil {
		return 0, err
	}
	ask := admissionv1.AdmissionReview{TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: &admissionv1.AdmissionRequest{
		UID: "00000000-0000-4000-8000-000000000001", Operation: admissionv1.Update, Namespace: now.Namespace, Name: now.Name,
		Kind:   metav1.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"},
		Object: runtime.RawExtension{Raw: typed(object)}, OldObject: runtime.RawExtension{Raw: typed(old)},
	}}
	body, err := json.Marshal(ask)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+m.pod.IP+":8443/networking/v1/ingresses", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	took := time.Since(begun)
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(text, &answer); err != nil || answer.Response == nil || !answer.Response.Allowed {
		return 0, fmt.Errorf("the webhook answers %s: %.500s (%w)", response.Status, text, err)
	}
	return took, nil
}

// typed says in an object's JSON what it is, which clients leave out.
func typed(object []byte) []byte {
	return append([]byte(`{"apiVersion":"networking.k8s.io/v1","kind":"Ingress",`), bytes.TrimPrefix(object, []byte("{"))...)
}
