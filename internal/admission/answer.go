package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "k8s.io/apimachinery/pkg/util/json"
)

// What a question may take. An object of the API server is 1.5 MiB at most, and an
// update comes with two of them.
const (
	bodyLimit    = 9 << 20
	bodiesAtOnce = 64 << 20
	chunk        = 64 << 10
)

// refusal is a question that cannot be answered.
type refusal struct {
	status int
	reason string
}

func (r *refusal) Error() string { return r.reason }

// ServeHTTP answers one question, whatever its path. A question that cannot be answered
// is an error of HTTP: what comes of the Ingress is up to the API server's
// configuration then.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, taken, err := s.read(r)
	defer s.bodies.give(taken)
	var answer []byte
	if err == nil {
		answer, err = s.answer(r.Context(), body)
	}
	var no *refusal
	switch {
	case errors.As(err, &no):
		s.opt.Log.Warn("a question to the admission webhook is not answered", "client", r.RemoteAddr, "status", no.status, "error", no.reason)
		http.Error(w, no.reason, no.status)
	case err != nil: // the client is gone
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer) // a client that is gone asks again
	}
}

// read reads the body and returns how much of the budget it has taken.
func (s *Server) read(r *http.Request) (body []byte, taken int, err error) {
	if r.ContentLength >= bodyLimit {
		return nil, 0, &refusal{http.StatusRequestEntityTooLarge, tooLarge}
	}
	body = make([]byte, 0, chunk)
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		if grown := cap(body) - taken; grown > 0 {
			if !s.bodies.take(grown) {
				return nil, taken, &refusal{http.StatusServiceUnavailable, "too much is asked at the same time: ask again"}
			}
			taken += grown
		}
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if len(body) >= bodyLimit {
			return nil, taken, &refusal{http.StatusRequestEntityTooLarge, tooLarge}
		}
		if errors.Is(err, io.EOF) {
			return body, taken, nil
		}
		if err != nil {
			return nil, taken, fmt.Errorf("body: %w", err)
		}
	}
}

const tooLarge = "the body is too large: a question has less than 9 MiB"

// budget bounds the memory of all bodies in hand. Only bytes that have arrived count, so
// that slow clients cannot use it up.
type budget struct {
	mu   sync.Mutex
	left int
}

func (b *budget) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.left {
		return false
	}
	b.left -= n
	return true
}

func (b *budget) give(n int) {
	b.mu.Lock()
	b.left += n
	b.mu.Unlock()
}

var reviewType = metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}

var ingressKind = metav1.GroupVersionKind{Group: networkingv1.GroupName, Version: "v1", Kind: "Ingress"}

// answer answers a question in the words of the wire.
func (s *Server) answer(ctx context.Context, body []byte) (answer []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.opt.Log.Error("the admission webhook has a bug", "panic", v, "stack", string(debug.Stack()))
			answer, err = nil, &refusal{http.StatusInternalServerError, "the webhook failed; its log says more"}
		}
	}()
	var review admissionv1.AdmissionReview
	if err := kjson.Unmarshal(body, &review); err != nil {
		return nil, &refusal{http.StatusBadRequest, "the body is no AdmissionReview: " + shortened(err.Error())}
	}
	switch {
	case review.Kind != reviewType.Kind && review.Kind != "":
		return nil, &refusal{http.StatusInternalServerError, fmt.Sprintf("the body is of the kind %q, want AdmissionReview", shortened(review.Kind))}
	case review.TypeMeta != reviewType:
		return nil, &refusal{http.StatusBadRequest, fmt.Sprintf("the body is of the version %q, want %s", shortened(review.APIVersion), reviewType.APIVersion)}
	case review.Request == nil:
		return nil, &refusal{http.StatusBadRequest, "the AdmissionReview asks nothing: it has no request"}
	case review.Request.Kind != ingressKind:
		return nil, &refusal{http.StatusInternalServerError, fmt.Sprintf("the question is about %s, want %s",
			shortened(review.Request.Kind.String()), ingressKind.String())}
	}
	response := s.respond(ctx, review.Request)
	response.UID = review.Request.UID
	answer, err = json.Marshal(admissionv1.AdmissionReview{TypeMeta: reviewType, Response: response})
	if err != nil {
		return nil, &refusal{http.StatusInternalServerError, err.Error()}
	}
	return answer, nil
}

// respond says what comes of the object of a question.
func (s *Server) respond(ctx context.Context, q *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	if q.Operation == admissionv1.Delete || q.SubResource != "" || len(q.Object.Raw) == 0 || string(q.Object.Raw) == "null" {
		return &admissionv1.AdmissionResponse{Allowed: true}
	}
	in := &networkingv1.Ingress{}
	if err := kjson.Unmarshal(q.Object.Raw, in); err != nil {
		return denied("the object is no Ingress: "+shortened(err.Error()), nil)
	}
	if in.Namespace == "" {
		in.Namespace = q.Namespace
	}
	if in.Name == "" {
		in.Name = q.Name
	}
	if in.CreationTimestamp.IsZero() {
		in.CreationTimestamp = metav1.NewTime(s.opt.Now())
	}
	v := s.check(ctx, in)
	s.counts.add(in.Namespace+"/"+in.Name, v, s.opt.Now())
	if v.denied != "" {
		s.opt.Log.Info("an Ingress is refused", "ingress", in.Namespace+"/"+in.Name, "reason", v.denied)
		return denied(v.denied, v.warnings)
	}
	return &admissionv1.AdmissionResponse{Allowed: true, Warnings: v.warnings}
}

// denied is the answer that an object is not to be stored.
func denied(reason string, warnings []string) *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{Warnings: warnings, Result: &metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusBadRequest, Reason: metav1.StatusReasonBadRequest, Message: cut(reason, messageLimit),
	}}
}
