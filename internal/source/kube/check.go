package kube

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Needed is an object that a flag names and without which a controller does not start.
type Needed struct {
	Flag string // without dashes
	Kind string // "Service", "ConfigMap" or "Namespace"
	Key  string // namespace/name; "": the flag is not given
}

// checkNeeded returns an error about the first object that is not there, or cannot be
// read. A ConfigMap that is not there is no error: it may come.
func (s *Source) checkNeeded(ctx context.Context) error {
	for _, n := range s.opt.Needed {
		if n.Key == "" {
			continue
		}
		if n.Kind == "Namespace" {
			if err := s.checkNamespace(ctx, n); err != nil {
				return err
			}
			continue
		}
		r := ref{n.Kind, n.Key}
		switch err := s.unreadable(r); {
		case err != nil:
			return fmt.Errorf("--%s=%s: %s %s cannot be read: %w; let the ServiceAccount list and watch it", n.Flag, n.Key, n.Kind, n.Key, err)
		case n.Kind == "Service" && s.find(r) == nil:
			return fmt.Errorf("--%s=%s: Service %s does not exist; add it, or name another one", n.Flag, n.Key, n.Key)
		}
	}
	return nil
}

// checkNamespace looks for a namespace. Who may not ask goes on without knowing.
func (s *Source) checkNamespace(ctx context.Context, n Needed) error {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	_, err := s.opt.Client.CoreV1().Namespaces().Get(ctx, n.Key, metav1.GetOptions{})
	switch {
	case err == nil:
	case apierrors.IsNotFound(err):
		return fmt.Errorf("--%s=%s: namespace %s does not exist; create it, or name another one", n.Flag, n.Key, n.Key)
	default:
		s.opt.Log.Warn("it is not known whether the namespace exists", "flag", "--"+n.Flag, "namespace", n.Key, "error", err)
	}
	return nil
}

// unreadable returns why objects like this one are not read, or nil.
func (s *Source) unreadable(r ref) error {
	ns, _ := split(r.key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, f := range s.feeds {
		if f.kind == r.kind && (f.namespace == ns || f.namespace == "") {
			if apierrors.IsForbidden(f.err) {
				return f.err
			}
			return nil
		}
	}
	return fmt.Errorf("nothing is read in namespace %s", ns)
}
