package admission

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pierhead/pierhead/internal/translate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	aUID  = "0d0e5a4e-7f2a-4a0a-9d4e-3b1f0c2d4e5f"
	notes = "nginx.ingress.kubernetes.io/"
)

func ptr[T any](v T) *T { return &v }

// made returns an Ingress x/name of class nginx that is for host and path.
func made(name, host, path string, change ...func(*networkingv1.Ingress)) *networkingv1.Ingress {
	in := &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "x", Name: name, UID: aUID, CreationTimestamp: metav1.NewTime(time.Unix(1000, 0)), Annotations: map[string]string{},
		},
		Spec: networkingv1.IngressSpec{IngressClassName: ptr("nginx"), Rules: []networkingv1.IngressRule{rule(host, path)}},
	}
	for _, f := range change {
		f(in)
	}
	return in
}

func rule(host, path string) networkingv1.IngressRule {
	return networkingv1.IngressRule{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
		Paths: []networkingv1.HTTPIngressPath{{Path: path, PathType: ptr(networkingv1.PathTypePrefix), Backend: networkingv1.IngressBackend{
			Service: &networkingv1.IngressServiceBackend{Name: "app", Port: networkingv1.ServiceBackendPort{Number: 80}},
		}}},
	}}}
}

func note(key, value string) func(*networkingv1.Ingress) {
	return func(in *networkingv1.Ingress) { in.Annotations[notes+key] = value }
}

// objects returns a cluster with a Service app in namespace x and the classes nginx and
// foreign, and what is added.
func objects(t testing.TB, more ...runtime.Object) *translate.Objects {
	t.Helper()
	o := translate.NewObjects()
	for _, obj := range append([]runtime.Object{
		&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "nginx"}, Spec: networkingv1.IngressClassSpec{Controller: "k8s.io/ingress-nginx"}},
		&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "foreign"}, Spec: networkingv1.IngressClassSpec{Controller: "example.com/foreign"}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "app"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}},
	}, more...) {
		if err := o.Add(obj, translate.Place{}); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func settings(pairs ...string) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "settings"}, Data: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		cm.Data[pairs[i]] = pairs[i+1]
	}
	return cm
}

// serverOf returns a server over objects. The controller's ConfigMap is x/settings.
func serverOf(o *translate.Objects, change ...func(*Options)) *Server {
	opt := Options{View: func(f func(*translate.Objects)) { f(o) }, DeepInspect: true}
	opt.Translate = translate.Options{ForeignBalancers: true, Default: &translate.Default{Flags: translate.DefaultFlags()}}
	opt.Translate.Default.Flags.ConfigMap = "x/settings"
	for _, f := range change {
		f(&opt)
	}
	return New(opt)
}

func question(t testing.TB, in *networkingv1.Ingress) []byte {
	t.Helper()
	object, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(admissionv1.AdmissionReview{TypeMeta: reviewType, Request: &admissionv1.AdmissionRequest{
		UID: "question-1", Kind: ingressKind, Operation: admissionv1.Create, Namespace: in.Namespace, Name: in.Name, Object: runtime.RawExtension{Raw: object},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func post(s *Server, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/any/path", bytes.NewReader(body)))
	return w
}

// ask asks about an Ingress and returns the answer.
func ask(t testing.TB, s *Server, in *networkingv1.Ingress) *admissionv1.AdmissionResponse {
	t.Helper()
	return answerOf(t, post(s, question(t, in)))
}

func answerOf(t testing.TB, w *httptest.ResponseRecorder) *admissionv1.AdmissionResponse {
	t.Helper()
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(w.Body.Bytes(), &review); err != nil {
		t.Fatal(err)
	}
	if review.TypeMeta != reviewType || review.Response == nil || review.Response.UID != "question-1" {
		t.Fatalf("the answer is %s", w.Body)
	}
	return review.Response
}
