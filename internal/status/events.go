package status

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/pierhead/pierhead/internal/model"
)

// How Events are bounded. The API server forgets one after an hour, so a problem that
// lasts is told again before that.
const (
	eventsPerSecond = 10
	eventBurst      = 200
	repeatEvent     = 50 * time.Minute
	longestMessage  = 1000 // bytes; the API server takes 1024
	mostOfOne       = 20   // about one object
	mostHandled     = 1000 // Ingresses that wait for their Sync event
)

// handled is an Ingress that came, went or changed.
type handled struct{ ref corev1.ObjectReference }

// handle remembers an Ingress for its Sync event, when this process leads.
func (p *Publisher) handle(had, has metav1.Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	obj := has
	if obj == nil {
		obj = had
	}
	if obj == nil || !p.opt.SyncEvents || !p.leading || len(p.handled) >= mostHandled || onlyStatus(had, has) {
		return
	}
	p.handled = append(p.handled, handled{corev1.ObjectReference{
		Kind: "Ingress", APIVersion: "networking.k8s.io/v1", Namespace: obj.GetNamespace(), Name: obj.GetName(),
		UID: obj.GetUID(), ResourceVersion: obj.GetResourceVersion(),
	}})
}

// onlyStatus tells whether two versions of an object differ in their status alone.
func onlyStatus(had, has metav1.Object) bool {
	return had != nil && has != nil && had.GetUID() == has.GetUID() && had.GetGeneration() == has.GetGeneration() && had.GetGeneration() != 0 &&
		maps.Equal(had.GetAnnotations(), has.GetAnnotations())
}

// events writes Events while this process leads.
type events struct {
	opt      Options
	recorder record.EventRecorder
	close    func()
	limit    flowcontrol.RateLimiter
	told     map[string]time.Time // problems, by text
	last     []model.Problem      // those that tell was last called with
	looked   time.Time            // when it last went through all of them; zero: not yet to the end
}

func newEvents(ctx context.Context, opt Options) *events {
	ctx, cancel := context.WithCancel(ctx)
	b := record.NewBroadcaster(record.WithContext(ctx))
	b.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: opt.Client.CoreV1().Events("")})
	return &events{
		opt: opt, close: cancel,
		recorder: b.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "pierhead"}),
		limit:    flowcontrol.NewTokenBucketRateLimiter(cmp.Or(opt.eventsPerSecond, eventsPerSecond), eventBurst),
		told:     map[string]time.Time{},
	}
}

// sync tells the owners of Ingresses that were or are ours that a change of theirs was
// seen.
func (e *events) sync(hs []handled, were, are map[string]bool) {
	for i := range hs {
		key := hs[i].ref.Namespace + "/" + hs[i].ref.Name
		if (are[key] || were[key]) && e.limit.TryAccept() {
			e.recorder.Event(&hs[i].ref, corev1.EventTypeNormal, "Sync", "Scheduled for sync")
		}
	}
}

// tellAgain is how often problems that are the same are gone through.
const tellAgain = time.Minute

// tell makes an Event of every problem that is new, and tells whether some must wait.
// seen are the Ingresses that changed since the last call, nil for any: one of them may
// be another one of the same name, which was told nothing.
func (e *events) tell(problems []model.Problem, seen map[string]bool) (again bool) {
	if seen != nil && model.Identical(problems, e.last) && time.Since(e.looked) < tellAgain && !concern(problems, seen) {
		return false
	}
	defer func() {
		e.last, e.looked = problems, time.Now()
		if again {
			e.looked = time.Time{}
		}
	}()
	there := map[string]bool{}
	brief := model.Brief(problems, mostOfOne)
	for i := range brief {
		p := &brief[i]
		ref := e.reference(p.Origin)
		if ref == nil {
			continue
		}
		key := string(ref.UID) + p.String()
		there[key] = true
		if at, ok := e.told[key]; ok && time.Since(at) < repeatEvent {
			continue
		}
		if !e.limit.TryAccept() {
			again = true
			continue
		}
		e.told[key] = time.Now()
		e.recorder.Event(ref, corev1.EventTypeWarning, Reason(p), Message(p))
	}
	for key := range e.told {
		if !there[key] {
			delete(e.told, key)
		}
	}
	return again
}

// concern tells whether one of the problems is that of one of these Ingresses.
func concern(problems []model.Problem, seen map[string]bool) bool {
	return len(seen) > 0 && slices.ContainsFunc(problems, func(p model.Problem) bool {
		return p.Origin.Kind == "Ingress" && seen[p.Origin.Namespace+"/"+p.Origin.Name]
	})
}

// reference names the object that a problem is about: the Pod for what is wrong with
// the process itself.
func (e *events) reference(o model.Origin) *corev1.ObjectReference {
	if o.Kind == "Controller" || o.Kind == "Watch" {
		ns, name, _ := strings.Cut(e.opt.Pod, "/")
		return &corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: ns, Name: name}
	}
	return e.opt.Objects.Reference(o)
}

// Reason returns the reason of a problem's Event, for machines. One that ingress-nginx
// has keeps its name.
func Reason(p *model.Problem) string {
	switch {
	case p.Severity == model.Error && strings.HasPrefix(p.Field, "metadata.annotations["):
		return "AnnotationParsingFailed"
	case p.Severity == model.Error:
		return "NotServed"
	}
	return "Ignored"
}

// Message returns the text of a problem's Event: the object is named by the Event.
func Message(p *model.Problem) string {
	var parts []string
	if p.Field != "" {
		field := p.Field
		if p.Value != "" {
			field += " = " + strconv.Quote(model.Shorten(p.Value, longestMessage/2))
		}
		parts = append(parts, field)
	}
	text := strings.Join(append(parts, p.Reason), ": ")
	if p.Remedy != "" {
		text += "; " + p.Remedy
	}
	return model.Shorten(text, longestMessage)
}
