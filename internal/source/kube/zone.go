package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/pierhead/pierhead/internal/model"
)

// zoneAgain is when the zone is asked for again where it could not be found out.
const zoneAgain = 30 * time.Second

// findZone finds out in which zone the Pod runs, and has its endpoints go first from then
// on. Until it is known all endpoints are alike, which is a problem.
func (s *Source) findZone(ctx context.Context) {
	if s.opt.ZoneOf == "" {
		return
	}
	if s.tryZone(ctx) {
		return
	}
	s.running.Go(func() {
		again := time.NewTicker(zoneAgain)
		defer again.Stop()
		for {
			select {
			case <-again.C:
				if s.tryZone(ctx) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
}

// tryZone asks once and reports whether that is enough.
func (s *Source) tryZone(ctx context.Context) bool {
	asking, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	zone, err := s.askZone(asking)
	if ctx.Err() != nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noZone = err
	s.all.tell()
	if err != nil {
		return false
	}
	s.endpoints.PreferZone(zone)
	for _, f := range s.feeds {
		if f.kind == "Service" {
			for key := range f.have {
				s.noteEndpoints(key)
			}
		}
	}
	return true
}

// askZone asks for the node of the Pod and its zone.
func (s *Source) askZone(ctx context.Context) (string, error) {
	ns, name := split(s.opt.ZoneOf)
	pods, err := s.opt.Client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()})
	if err != nil {
		return "", err
	}
	node := ""
	for i := range pods.Items {
		if pods.Items[i].Name == name {
			node = pods.Items[i].Spec.NodeName
		}
	}
	if node == "" {
		return "", errors.New("there is no Pod of this name on a node")
	}
	n, err := s.opt.Client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	zone := n.Labels[corev1.LabelTopologyZone]
	if zone == "" {
		return "", fmt.Errorf("node %s has no label %s", node, corev1.LabelTopologyZone)
	}
	return zone, nil
}

// zoneProblem tells that the zone is not known, or is nil. The mutex is held.
func (s *Source) zoneProblem() *model.Problem {
	if s.noZone == nil {
		return nil
	}
	return &model.Problem{
		Origin: ref{"Pod", s.opt.ZoneOf}.origin(), Field: "--enable-topology-aware-routing", Value: "true", Severity: model.Warning,
		Reason: "endpoints of all zones are used: the zone of the Pod's node is not known: " + s.noZone.Error(),
		Remedy: "give nodes the label " + corev1.LabelTopologyZone + ", and let the ServiceAccount list Pods in its namespace and get nodes",
	}
}
