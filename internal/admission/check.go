package admission

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

// verdict is what is said of one Ingress.
type verdict struct {
	ours     bool   // a controller here takes it
	denied   string // why it must not be stored, or ""
	warnings []string
	looked   int // how many Ingresses were translated
	took     time.Duration
}

// check goes through the reasons to refuse an Ingress, in the order of ingress-nginx:
// the first one that holds is told. What another program serves is none of our business,
// but nobody may store what could do harm in a configuration file.
func (s *Server) check(ctx context.Context, in *networkingv1.Ingress) (v verdict) {
	begun := s.opt.Now()
	defer func() { v.took = s.opt.Now().Sub(begun) }()
	if in.DeletionTimestamp != nil {
		return v
	}
	if s.opt.DeepInspect {
		if v.denied = inspect(in); v.denied != "" {
			return v
		}
	}
	var takers []translate.Taker
	s.opt.View(func(o *translate.Objects) { takers = o.Review(in, s.opt.Translate, translate.Further{}).Takers() })
	if len(takers) == 0 {
		return v
	}
	v.ours = true
	for _, t := range takers {
		if v.denied = text(in, t); v.denied != "" {
			return v
		}
	}
	var further translate.Further
	if s.opt.Fetch != nil {
		if refs := translate.IngressReferences(in); len(refs.Secrets)+len(refs.ConfigMaps) > 0 {
			further = s.opt.Fetch(ctx, refs)
		}
	}
	var r *translate.Review
	var near translate.Nearby
	s.opt.View(func(o *translate.Objects) {
		r = o.Review(in, s.opt.Translate, further)
		v.denied = cmp.Or(refused(r.Refused()), overlap(in, r))
		near = r.Problems()
	})
	problems := near.Problems
	if s.opt.Compile != nil {
		problems = append(problems, r.Own(s.opt.Compile(near.Config))...)
	}
	v.looked = near.Ingresses
	v.warnings = warnings(in, model.SortProblems(problems))
	return v
}

// text checks what can be seen without other objects.
func text(in *networkingv1.Ingress, t translate.Taker) string {
	return cmp.Or(catchAll(in, t), uid(in), paths(in, t), prefix(in, t), words(in, t), snippets(in, t), risks(in, t))
}

// catchAll refuses Ingresses for requests of any host where there are to be none.
func catchAll(in *networkingv1.Ingress, t translate.Taker) string {
	anyHost := in.Spec.DefaultBackend != nil || slices.ContainsFunc(in.Spec.Rules, func(r networkingv1.IngressRule) bool { return r.Host == "" })
	if !t.Flags.DisableCatchAll || !anyHost {
		return ""
	}
	return "the Ingress is for requests of any host, which the controller's flag --disable-catch-all forbids: remove spec.defaultBackend and give every rule a host"
}

// uid refuses an identity that the API server has not made.
func uid(in *networkingv1.Ingress) string {
	text := string(in.UID)
	ok := len(text) == 36
	for i := 0; ok && i < len(text); i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			ok = text[i] == '-'
		} else {
			ok = strings.IndexByte("0123456789abcdefABCDEF", text[i]) >= 0
		}
	}
	if ok {
		return ""
	}
	return fmt.Sprintf("metadata.uid %q is not a UUID", shortened(text))
}

// paths refuses what is not a plain path where the path type says that it is one.
func paths(in *networkingv1.Ingress, t translate.Taker) string {
	if bad := badPaths(in); t.Review.StrictPaths && len(bad) > 0 {
		return "ingress contains invalid paths: " + strings.Join(bad, "; ")
	}
	return ""
}

// prefix refuses annotations of the default prefix where another one is in use.
func prefix(in *networkingv1.Ingress, t translate.Taker) string {
	if t.Flags.AnnotationsPrefix == defaultPrefix {
		return ""
	}
	for _, key := range annotations(in) {
		if strings.HasPrefix(key, defaultPrefix+"/") {
			return fmt.Sprintf("annotation %s is not read: the controller's annotations begin with %s instead of %s", key, t.Flags.AnnotationsPrefix, defaultPrefix)
		}
	}
	return ""
}

// words refuses values that hold a word of the blocklist.
func words(in *networkingv1.Ingress, t translate.Taker) string {
	for _, key := range annotations(in) {
		if _, ok := annotationName(key, t); !ok {
			continue
		}
		for _, word := range t.Review.Blocklist {
			if strings.Contains(in.Annotations[key], word) {
				return fmt.Sprintf("%s annotation contains invalid word %s", key, word)
			}
		}
	}
	return ""
}

// snippets refuses directives of nginx unless they are allowed.
func snippets(in *networkingv1.Ingress, t translate.Taker) string {
	for _, key := range annotations(in) {
		if strings.HasSuffix(key, "-snippet") && !t.Review.Snippets {
			return key + " annotation cannot be used. Snippet directives are disabled by the Ingress administrator"
		}
	}
	return ""
}

// refused says which values keep an Ingress from being served at all.
func refused(problems []model.Problem) string {
	var texts []string
	for _, p := range problems {
		texts = append(texts, sentence(p))
	}
	return strings.Join(texts, "; ")
}

// overlap refuses a host and path that another Ingress has, unless exactly one of the
// two says whether it is a canary. Path types make no difference.
func overlap(in *networkingv1.Ingress, r *translate.Review) string {
	for _, rule := range in.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, p := range rule.HTTP.Paths {
			if p.Backend.Service == nil {
				continue
			}
			path := cmp.Or(p.Path, "/")
			for _, other := range r.Others(strings.ToLower(rule.Host), path) {
				if collide(in, other, r.Takers()) {
					return fmt.Sprintf("host %q and path %q is already defined in ingress %s/%s", cmp.Or(rule.Host, "_"), path, other.Namespace, other.Name)
				}
			}
		}
	}
	return ""
}

// collide tells whether two Ingresses cannot have the same host and path: two normal
// ones or two canaries.
func collide(a, b *networkingv1.Ingress, takers []translate.Taker) bool {
	for _, t := range takers {
		givenA, onA := canary(a, t)
		givenB, onB := canary(b, t)
		if !givenA && !givenB || onA && onB {
			return true
		}
	}
	return false
}

// canary tells whether an Ingress says that it is a canary or that it is none, and
// which.
func canary(in *networkingv1.Ingress, t translate.Taker) (given, on bool) {
	for key, value := range in.Annotations {
		if name, ok := annotationName(key, t); ok && name == "canary" && strings.TrimSpace(value) != "" {
			given = true
			yes, _ := strconv.ParseBool(strings.TrimSpace(value))
			on = on || yes
		}
	}
	return given, on
}
