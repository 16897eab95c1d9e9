// Package kube reads the objects of a Kubernetes API server, as package file reads
// those of a folder: it lists and watches what a controller needs, keeps no more of it
// than translation reads, and goes on with what it has while the server is away.
//
// The life of an event: a feed takes it from the server (feed.go) and cuts it down
// (trim.go); note says whom it concerns (change.go); a signal gathers what comes
// together (signal.go); Load hands it out.
package kube

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

// Options are what a Source is started with.
type Options struct {
	Client     kubernetes.Interface
	Namespace  string   // whose Ingresses are read; "" is all
	Others     []string // further namespaces whose Services, Secrets and ConfigMaps are read
	Namespaces bool     // the labels of namespaces are read too
	ConfigMap  string   // the controller's, as namespace/name
	ConfigMaps []string // further ones whose content is read, likewise
	ZoneOf     string   // the Pod, as namespace/name, whose zone's endpoints go first; "": no zone's
	Needed     []Needed // without which Start fails
	Secrets    []string // whose content is read although no Ingress names them, as namespace/name
	Review     bool     // View may be called
	Log        *slog.Logger
	// Seen is told of every Ingress and Service that came, went or changed, before that
	// is live; either may be nil. It must not wait.
	Seen func(had, has Object)
	// Followed names a Secret, as namespace/name, and is what is told when it came, went
	// or changed. It must not wait.
	Followed string
	Follow   func()
}

// Source reads the objects of an API server. Any goroutine may call its methods,
// except that Load is for one.
type Source struct {
	opt     Options
	feeds   []*feed
	all     *signal        // something that needs a translation changed
	ends    *signal        // endpoints changed
	running sync.WaitGroup // the feeds

	// objects is what Load returned. It belongs to whoever called Load.
	objects *translate.Objects
	review  review // what View shows

	mu        sync.RWMutex
	endpoints *translate.Objects // Services and EndpointSlices alone, always up to date
	changed   map[string]bool    // Services whose endpoints changed
	pending   map[ref]Object     // changes that objects has not seen; nil: gone
	late      map[ref]Object     // those that review has not seen; nil: nobody looks
	refused   map[ref]error      // content that could not be read
	wanted    map[ref]int        // how often the content of a Secret or ConfigMap is asked for
	missing   map[ref]bool       // wanted content that must be fetched
	noZone    error              // why the zone of ZoneOf is not known

	slices map[string][]model.Problem // of EndpointSlices
}

// ref names an object of any kind.
type ref struct{ kind, key string } // key is namespace/name, or the name where there is no namespace

func (r ref) origin() model.Origin {
	o := model.Origin{Kind: r.kind}
	o.Namespace, o.Name = split(r.key)
	return o
}

// split takes namespace/name apart.
func split(key string) (namespace, name string) {
	if ns, name, ok := strings.Cut(key, "/"); ok {
		return ns, name
	}
	return "", key
}

// New returns a Source that has not started.
func New(opt Options) *Source {
	s := &Source{
		opt: opt, all: newSignal(quiet, patience), ends: newSignal(quietEndpoints, patienceEndpoints),
		objects: translate.NewObjects(), endpoints: translate.NewObjects(),
		changed: map[string]bool{}, pending: map[ref]Object{}, refused: map[ref]error{}, wanted: map[ref]int{}, missing: map[ref]bool{}, slices: map[string][]model.Problem{},
	}
	if opt.Review {
		s.late, s.review.objects = map[ref]Object{}, translate.NewObjects()
	}
	if opt.ConfigMap != "" {
		s.wanted[ref{"ConfigMap", opt.ConfigMap}] = 1
	}
	for _, key := range opt.ConfigMaps {
		s.wanted[ref{"ConfigMap", key}]++
	}
	for _, key := range opt.Secrets {
		s.wanted[ref{"Secret", key}] = 1
	}
	s.feeds = s.makeFeeds()
	return s
}

// Start begins to watch and returns when every object has been read once. It goes on
// until ctx ends. A kind that may not be read is waited for, unless one can do without.
func (s *Source) Start(ctx context.Context) error {
	// Secrets come last: by then it is known whose content is needed.
	for _, last := range []bool{false, true} {
		for _, f := range s.feeds {
			if (f.kind == "Secret") == last {
				s.running.Go(func() { f.run(ctx) })
			}
		}
		for _, f := range s.feeds {
			if (f.kind == "Secret") != last {
				continue
			}
			select {
			case <-f.settled:
			case <-ctx.Done():
				return fmt.Errorf("API server: %s", s.Waiting())
			}
		}
	}
	for s.fetch(ctx) > 0 {
		select {
		case <-time.After(refetch):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.findZone(ctx)
	s.mu.Lock()
	clear(s.changed) // whoever asks for endpoints from now on gets those of the moment
	s.mu.Unlock()
	s.ends.forget()
	s.opt.Log.Info("everything has been read")
	return s.checkNeeded(ctx)
}

// Waiting says which kinds have not been read yet, and why; "" when all have.
func (s *Source) Waiting() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var texts []string
	for _, f := range s.feeds {
		select {
		case <-f.settled:
			continue
		default:
		}
		text := f.what()
		if f.err != nil {
			text += " (" + f.err.Error() + ")"
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return ""
	}
	return "waiting for " + strings.Join(texts, ", ")
}

// Load returns the objects as they are now, and which of them cannot be read any
// more. The objects are the same as those of the last Load, with what has changed
// since: they are valid until the next one.
func (s *Source) Load() (*translate.Objects, []model.Problem) {
	s.bringUpSome()
	s.mu.Lock()
	defer s.mu.Unlock()
	for r, obj := range s.pending {
		s.put(s.objects, r.kind, r.key, obj)
	}
	clear(s.pending)
	var problems []model.Problem
	for r, err := range s.refused {
		s.objects.Refuse(r.origin())
		problems = append(problems, model.Problem{
			Origin: r.origin(), Reason: "it cannot be read: " + err.Error(), Remedy: "let the ServiceAccount list and watch it", Severity: model.Error,
		})
	}
	for _, of := range s.slices {
		problems = append(problems, of...)
	}
	for _, f := range s.feeds {
		if p := f.problem(); p != nil {
			problems = append(problems, *p)
		}
	}
	if p := s.zoneProblem(); p != nil {
		problems = append(problems, *p)
	}
	return s.objects, model.SortProblems(problems)
}

// Watch calls changed after every change since the last Load, until ctx ends. Changes
// that come together are told once. It returns when Start's ctx has ended too.
func (s *Source) Watch(ctx context.Context, changed func()) error {
	defer s.running.Wait()
	for s.all.wait(ctx) {
		if s.fetch(ctx) > 0 {
			time.AfterFunc(refetch, s.all.tell)
		}
		s.all.forget() // whatever was told up to here is seen by the Load that follows
		changed()
	}
	return ctx.Err()
}

// WatchEndpoints calls changed with the Services, as namespace/name, whose endpoints
// changed, until ctx ends.
func (s *Source) WatchEndpoints(ctx context.Context, changed func(services []string)) error {
	for s.ends.wait(ctx) {
		s.mu.Lock()
		services := make([]string, 0, len(s.changed))
		for key := range s.changed {
			services = append(services, key)
		}
		clear(s.changed)
		s.mu.Unlock()
		slices.Sort(services)
		changed(services)
	}
	return ctx.Err()
}

// Endpoints returns the endpoints that these upstreams have now.
func (s *Source) Endpoints(ups []model.Upstream) []model.EndpointSet {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return translate.Endpoints(s.endpoints, &model.Config{Upstreams: ups})
}

// find returns what is known of an object, or nil.
func (s *Source) find(r ref) Object {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, obj := s.holder(r); obj != nil {
		return obj
	}
	return nil
}

// Ingress returns an Ingress with its status, or nil. The caller must not change it.
func (s *Source) Ingress(key string) *networkingv1.Ingress {
	in, _ := s.find(ref{"Ingress", key}).(*networkingv1.Ingress)
	return in
}

// Service returns a Service with its status, or nil. The caller must not change it.
func (s *Source) Service(key string) *corev1.Service {
	svc, _ := s.find(ref{"Service", key}).(*corev1.Service)
	return svc
}

// apiVersions are the versions that kinds are read in.
var apiVersions = map[string]string{
	"Ingress": "networking.k8s.io/v1", "IngressClass": "networking.k8s.io/v1", "EndpointSlice": "discovery.k8s.io/v1",
	"Service": "v1", "Secret": "v1", "ConfigMap": "v1", "Namespace": "v1",
}

// Reference returns how an Event names an object, or nil when it is not there.
func (s *Source) Reference(o model.Origin) *corev1.ObjectReference {
	key := o.Name
	if o.Namespace != "" {
		key = o.Namespace + "/" + o.Name
	}
	obj := s.find(ref{o.Kind, key})
	if obj == nil {
		return nil
	}
	return &corev1.ObjectReference{
		Kind: o.Kind, APIVersion: apiVersions[o.Kind], Namespace: o.Namespace, Name: o.Name, UID: obj.GetUID(), ResourceVersion: obj.GetResourceVersion(),
	}
}
