package kubectl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

// scope is what lint looks at.
type scope struct {
	k         *call
	namespace string // "" is all
	secrets   bool   // their content is read

	objects     *translate.Objects
	ingresses   int
	controllers int
	unchecked   []Unchecked

	backends []model.Origin        // Services that Ingresses name
	wanted   map[model.Origin]bool // Secrets and ConfigMaps whose content is needed
	refused  map[string]error      // kind and namespace whose content may not be read
}

func newScope(k *call, secrets bool) *scope {
	s := &scope{k: k, secrets: secrets, objects: translate.NewObjects(), wanted: map[model.Origin]bool{}, refused: map[string]error{}}
	if k.namespaceGiven() && !k.allNamespaces {
		s.namespace = k.cluster.namespace
	}
	return s
}

// namespaceGiven tells whether -n is on the command line.
func (k *call) namespaceGiven() bool { return k.flags.Changed("namespace") }

// read reads everything. Only Ingresses must be readable.
func (s *scope) read(ctx context.Context) error {
	if err := s.readIngresses(ctx); err != nil {
		return err
	}
	for _, step := range []struct {
		what    string
		read    func(context.Context) error
		matters string
	}{
		{unreadServices, s.readServices, "backends of Ingresses"},
		{"IngressClasses", s.readClasses, "which Ingresses are served: those of the class nginx are taken to be"},
		{"Deployments", s.readDeployments, "flags of controllers: the defaults are taken"},
		{"DaemonSets", s.readDaemonSets, "flags of controllers"},
	} {
		if err := step.read(ctx); err != nil {
			if !apierrors.IsForbidden(err) {
				return err
			}
			s.leave(step.what, told(err), step.matters)
		}
	}
	if s.namespace != "" {
		s.leave("everything outside of namespace "+s.namespace, nil, "hosts and paths that others have, and controllers there")
	}
	return s.readContent(ctx)
}

// leave notes what is not looked at.
func (s *scope) leave(what string, err error, matters string) {
	why := "-n was given"
	if err != nil {
		why = firstLine(err)
	}
	s.unchecked = append(s.unchecked, Unchecked{What: what, Why: strings.TrimSuffix(why, "; whoever may can allow it:"), For: given(matters)})
}

func given(word string) []string {
	if word == "" {
		return []string{}
	}
	return []string{word}
}

// take adds an object.
func (s *scope) take(obj runtime.Object) {
	if err := s.objects.Add(obj, translate.Place{}); err != nil {
		panic(err) // only kinds that translate reads are asked for
	}
}

// want notes whose content is needed.
func (s *scope) want(r translate.References) {
	for kind, keys := range map[string][]string{"Secret": r.Secrets, "ConfigMap": r.ConfigMaps} {
		for _, key := range keys {
			ns, name, ok := strings.Cut(key, "/")
			if ok && ns != "" && name != "" {
				s.wanted[model.Origin{Kind: kind, Namespace: ns, Name: name}] = true
			}
		}
	}
}

func (s *scope) readIngresses(ctx context.Context) error {
	all, err := everyPage(ctx, func(ctx context.Context, o metav1.ListOptions) ([]networkingv1.Ingress, string, error) {
		l, err := s.k.client.NetworkingV1().Ingresses(s.namespace).List(ctx, o)
		if err != nil {
			return nil, "", err
		}
		return l.Items, l.Continue, nil
	})
	for i := range all {
		s.want(translate.IngressReferences(&all[i]))
		s.take(&all[i])
		for _, r := range rulesOf(&all[i], nil) {
			s.backends = append(s.backends, model.Origin{Kind: "Service", Namespace: r.Namespace, Name: r.Service})
		}
	}
	s.ingresses = len(all)
	return err
}

func (s *scope) readServices(ctx context.Context) error {
	all, err := everyPage(ctx, func(ctx context.Context, o metav1.ListOptions) ([]corev1.Service, string, error) {
		l, err := s.k.client.CoreV1().Services(s.namespace).List(ctx, o)
		if err != nil {
			return nil, "", err
		}
		return l.Items, l.Continue, nil
	})
	for i := range all {
		s.take(&all[i])
	}
	if err != nil { // whether they are there is not known
		for _, o := range s.backends {
			s.objects.Refuse(o)
		}
	}
	return err
}

// usualClass is what an IngressClass that cannot be read is taken for.
var usualClass = networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "nginx"}, Spec: networkingv1.IngressClassSpec{Controller: "k8s.io/ingress-nginx"}}

func (s *scope) readClasses(ctx context.Context) error {
	l, err := s.k.client.NetworkingV1().IngressClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		s.take(usualClass.DeepCopy())
		return err
	}
	for i := range l.Items {
		s.take(&l.Items[i])
	}
	return nil
}

func (s *scope) readDeployments(ctx context.Context) error {
	all, err := everyPage(ctx, func(ctx context.Context, o metav1.ListOptions) ([]appsv1.Deployment, string, error) {
		l, err := s.k.client.AppsV1().Deployments(s.namespace).List(ctx, o)
		if err != nil {
			return nil, "", err
		}
		return l.Items, l.Continue, nil
	})
	for i := range all {
		s.takeWorkload(&all[i], all[i].Spec.Replicas)
	}
	return err
}

func (s *scope) readDaemonSets(ctx context.Context) error {
	all, err := everyPage(ctx, func(ctx context.Context, o metav1.ListOptions) ([]appsv1.DaemonSet, string, error) {
		l, err := s.k.client.AppsV1().DaemonSets(s.namespace).List(ctx, o)
		if err != nil {
			return nil, "", err
		}
		return l.Items, l.Continue, nil
	})
	for i := range all {
		s.takeWorkload(&all[i], nil)
	}
	return err
}

// takeWorkload adds a Deployment or DaemonSet that runs a controller.
func (s *scope) takeWorkload(obj runtime.Object, replicas *int32) {
	if r, ok := translate.ControllerReferences(obj); ok {
		if replicas == nil || *replicas > 0 {
			s.controllers++
		}
		s.want(r)
		s.take(obj)
	}
}

// readContent reads the Secrets and ConfigMaps that are named. A ConfigMap may name
// others.
func (s *scope) readContent(ctx context.Context) error {
	done := map[model.Origin]bool{}
	for len(done) < len(s.wanted) {
		var next []model.Origin
		for o := range s.wanted {
			if !done[o] {
				next = append(next, o)
			}
		}
		slices.SortFunc(next, func(a, b model.Origin) int { return strings.Compare(a.String(), b.String()) })
		for _, o := range next {
			done[o] = true
			if err := s.readOne(ctx, o); err != nil {
				return fmt.Errorf("%s: %w", o, err)
			}
		}
	}
	return nil
}

// readOne reads one Secret or ConfigMap. Where one of a namespace may not be read, the
// others are not asked for.
func (s *scope) readOne(ctx context.Context, o model.Origin) error {
	if o.Kind == "Secret" && !s.secrets {
		s.refuse(o, "Secrets are read only with --secrets")
		return nil
	}
	place := o.Kind + " " + o.Namespace
	err := s.refused[place]
	if err == nil {
		err = s.get(ctx, o)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil // translation tells
	case apierrors.IsForbidden(err):
		s.refused[place] = err
		why, _, _ := strings.Cut(firstLine(told(err)), "; whoever")
		s.refuse(o, why)
		return nil
	}
	return err
}

// refuse notes an object whose content is not known.
func (s *scope) refuse(o model.Origin, why string) {
	s.objects.Refuse(o)
	s.unchecked = append(s.unchecked, Unchecked{What: o.String(), Why: why, For: []string{}})
}

// get reads one object.
func (s *scope) get(ctx context.Context, o model.Origin) error {
	if o.Kind == "Secret" {
		v, err := s.k.client.CoreV1().Secrets(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{})
		if err == nil {
			s.take(v)
		}
		return err
	}
	v, err := s.k.client.CoreV1().ConfigMaps(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{})
	if err == nil {
		s.want(translate.SettingsReferences(v.Data))
		s.take(v)
	}
	return err
}
