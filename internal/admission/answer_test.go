package admission

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "k8s.io/apimachinery/pkg/util/json"

	"github.com/pierhead/pierhead/internal/translate"
)

// TestCodes: what cannot be answered is an error of HTTP, by the reference's codes.
func TestCodes(t *testing.T) {
	s := serverOf(objects(t))
	asked := func(change func(*admissionv1.AdmissionReview)) []byte {
		object, _ := json.Marshal(made("new", "a.example.com", "/"))
		review := admissionv1.AdmissionReview{TypeMeta: reviewType, Request: &admissionv1.AdmissionRequest{
			UID: "question-1", Kind: ingressKind, Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: object},
		}}
		change(&review)
		body, err := json.Marshal(review)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	for what, c := range map[string]struct {
		body []byte
		code int
	}{
		"good":         {asked(func(*admissionv1.AdmissionReview) {}), 200},
		"empty":        {nil, 400},
		"no JSON":      {[]byte("apiVersion: admission.k8s.io/v1"), 400},
		"cut off":      {asked(func(*admissionv1.AdmissionReview) {})[:100], 400},
		"an array":     {[]byte("[]"), 400},
		"a wrong type": {[]byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":7}`), 400},
		"v1beta1":      {asked(func(r *admissionv1.AdmissionReview) { r.APIVersion = "admission.k8s.io/v1beta1" }), 400},
		"no version":   {[]byte("{}"), 400},
		"no request":   {[]byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`), 400},
		"another kind": {[]byte(`{"apiVersion":"v1","kind":"Pod"}`), 500},
		"about a Pod": {asked(func(r *admissionv1.AdmissionReview) {
			r.Request.Kind = metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}
		}), 500},
		"an old Ingress":   {asked(func(r *admissionv1.AdmissionReview) { r.Request.Kind.Version = "v1beta1" }), 500},
		"another group":    {asked(func(r *admissionv1.AdmissionReview) { r.Request.Kind.Group = "extensions" }), 500},
		"just not 9 MiB":   {padded(asked(func(*admissionv1.AdmissionReview) {}), bodyLimit-1), 200},
		"9 MiB":            {padded(asked(func(*admissionv1.AdmissionReview) {}), bodyLimit), 413},
		"a deep structure": {[]byte(strings.Repeat("[", 100_000)), 400},
	} {
		for _, sized := range []bool{true, false} {
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(c.body))
			if !sized {
				r = httptest.NewRequest(http.MethodPost, "/", io.MultiReader(bytes.NewReader(c.body)))
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != c.code {
				t.Errorf("%s (with its size: %v): %d %s, want %d", what, sized, w.Code, w.Body, c.code)
			}
			if c.code != 200 && (w.Body.Len() == 0 || w.Body.Len() > 1000) {
				t.Errorf("%s: the error has %d bytes", what, w.Body.Len())
			}
		}
	}
	if s.bodies.left != bodiesAtOnce {
		t.Errorf("%d bytes of the budget are left, want all %d", s.bodies.left, bodiesAtOnce)
	}
}

// padded fills a body up with space, which is no part of JSON.
func padded(body []byte, size int) []byte {
	return append(body, bytes.Repeat([]byte(" "), size-len(body))...)
}

// TestPassing: what is no new Ingress passes unseen; an object that is none does not.
func TestPassing(t *testing.T) {
	s := serverOf(objects(t))
	bad, _ := json.Marshal(made("new", "a.example.com", "/etc/passwd"))
	for what, c := range map[string]struct {
		q       admissionv1.AdmissionRequest
		allowed bool
	}{
		"refused":          {admissionv1.AdmissionRequest{Operation: admissionv1.Update, Object: runtime.RawExtension{Raw: bad}}, false},
		"a removal":        {admissionv1.AdmissionRequest{Operation: admissionv1.Delete, OldObject: runtime.RawExtension{Raw: bad}}, true},
		"nothing":          {admissionv1.AdmissionRequest{Operation: admissionv1.Create}, true},
		"null":             {admissionv1.AdmissionRequest{Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: []byte("null")}}, true},
		"its status":       {admissionv1.AdmissionRequest{Operation: admissionv1.Update, SubResource: "status", Object: runtime.RawExtension{Raw: bad}}, true},
		"a number":         {admissionv1.AdmissionRequest{Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: []byte("7")}}, false},
		"rules in a field": {admissionv1.AdmissionRequest{Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: []byte(`{"spec":{"rules":{}}}`)}}, false},
	} {
		c.q.Kind, c.q.UID = ingressKind, "question-1"
		body, err := json.Marshal(admissionv1.AdmissionReview{TypeMeta: reviewType, Request: &c.q})
		if err != nil {
			t.Fatal(err)
		}
		a := answerOf(t, post(s, body))
		if a.Allowed != c.allowed || !a.Allowed && (a.Result == nil || a.Result.Code != 400) {
			t.Errorf("%s: allowed %v, %+v", what, a.Allowed, a.Result)
		}
	}
}

// TestBudget: bodies that are too many at once are put off, and what they took comes
// back.
func TestBudget(t *testing.T) {
	s := serverOf(objects(t))
	body := padded(question(t, made("new", "a.example.com", "/")), 4<<20)
	s.bodies.left = 1 << 20
	if w := post(s, body); w.Code != 503 {
		t.Errorf("with too little left: %d", w.Code)
	}
	if s.bodies.left != 1<<20 {
		t.Errorf("%d bytes are left", s.bodies.left)
	}
	s.bodies.left = 20 << 20
	if w := post(s, body); w.Code != 200 {
		t.Errorf("with enough left: %d", w.Code)
	}
	r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(bytes.NewReader(body[:1000]), broken{}))
	s.ServeHTTP(httptest.NewRecorder(), r)
	if s.bodies.left != 20<<20 {
		t.Errorf("after a broken body %d bytes are left", s.bodies.left)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// TestPanic: a bug is an error of HTTP, so that nothing passes by it.
func TestPanic(t *testing.T) {
	s := serverOf(nil, func(o *Options) { o.View = func(func(*translate.Objects)) { panic("a bug") } })
	if w := post(s, question(t, made("new", "a.example.com", "/"))); w.Code != 500 {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

// FuzzAnswer: whatever is asked, there is an answer, and nothing passes that
// holds a harmful path as the API server would store it.
func FuzzAnswer(f *testing.F) {
	f.Add(question(f, made("new", "a.example.com", "/", note("server-alias", "b.example.com"), note("auth-type", "basic"))))
	f.Add(question(f, made("new", "", "/etc/passwd", defaultBackend, secretName("s"))))
	f.Add([]byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"kind":{"group":"networking.k8s.io","version":"v1","kind":"Ingress"},"object":{}}}`))
	f.Add([]byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`))
	o := objects(f, made("stored", "a.example.com", "/taken"), settings("annotation-value-word-blocklist", "{"))
	fetch := func(o *Options) {
		o.Fetch = func(context.Context, translate.References) translate.Further { return translate.Further{} }
	}
	s := serverOf(o, fetch, flags(func(f *translate.Flags) { f.WatchWithoutClass = true }))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := post(s, body)
		switch w.Code {
		case 400, 500:
			if strings.Contains(w.Body.String(), "log says more") {
				t.Fatal("the webhook has a bug")
			}
			return
		case 200:
		default:
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		var asked, review admissionv1.AdmissionReview
		if err := json.Unmarshal(w.Body.Bytes(), &review); err != nil || review.Response == nil {
			t.Fatalf("the answer is %s: %v", w.Body, err)
		}
		if kjson.Unmarshal(body, &asked) != nil || asked.Request == nil {
			t.Fatalf("this is answered: %s", body)
		}
		q, in := asked.Request, &networkingv1.Ingress{}
		if q.Operation == admissionv1.Delete || q.SubResource != "" || kjson.Unmarshal(q.Object.Raw, in) != nil || in.DeletionTimestamp != nil {
			return
		}
		if review.Response.Allowed && inspect(in) != "" {
			t.Fatalf("this passes: %s", q.Object.Raw)
		}
	})
}
