package node

import (
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A transition is the last change of a condition.
type transition struct {
	status corev1.ConditionStatus
	at     metav1.Time
}

// touch has the status reported.
func (p *pod) touch() {
	select {
	case p.dirty <- struct{}{}:
	default:
	}
}

// A reporter writes the Pod's status, always the newest and one at a time.
type reporter struct {
	pod        *pod
	stop, done chan struct{}
}

func (p *pod) startReporter() *reporter {
	r := &reporter{pod: p, stop: make(chan struct{}), done: make(chan struct{})}
	go r.run()
	return r
}

// finish writes what is still to be written and ends the reporter.
func (r *reporter) finish() {
	close(r.stop)
	<-r.done
}

func (r *reporter) run() {
	defer close(r.done)
	var last string
	for {
		final := false
		select {
		case <-r.pod.dirty:
		case <-r.stop:
			final = true
		}
		for wait := 100 * time.Millisecond; ; wait = min(2*wait, time.Second) {
			status := r.pod.status()
			text, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": r.pod.uid}, "status": status})
			if err != nil {
				panic(err) // a status is always JSON
			}
			if string(text) == last {
				break
			}
			if r.write(text) {
				last = string(text)
				break
			}
			select {
			case <-r.pod.agent.ctx.Done():
				return
			case <-time.After(wait):
			}
		}
		if final {
			return
		}
	}
}

// write sends the status; false means that another attempt may work.
func (r *reporter) write(text []byte) bool {
	_, err := r.pod.agent.Client.CoreV1().Pods(r.pod.namespace).Patch(r.pod.agent.ctx, r.pod.name, types.StrategicMergePatchType, text, metav1.PatchOptions{}, "status")
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // another Pod of that name
		return true
	}
	if r.pod.agent.ctx.Err() == nil {
		r.pod.log.Warn("status", "error", err)
	}
	return apierrors.IsInvalid(err)
}

// status describes the Pod as it is now.
func (p *pod) status() corev1.PodStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	node := p.agent.Bridge.Gateway.String()
	s := corev1.PodStatus{HostIP: node, HostIPs: []corev1.HostIP{{IP: node}}, StartTime: &p.object.CreationTimestamp,
		ObservedGeneration: p.object.Generation}
	if p.ip.IsValid() {
		s.PodIP = p.ip.String()
		s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	}
	ready := len(p.main) > 0
	for _, c := range p.init {
		s.InitContainerStatuses = append(s.InitContainerStatuses, c.status())
	}
	for _, c := range p.main {
		one := c.status()
		ready = ready && one.Ready
		s.ContainerStatuses = append(s.ContainerStatuses, one)
	}
	s.Phase = p.phase()
	reason := ""
	if !ready {
		reason = "ContainersNotReady"
	}
	if !ready && s.Phase == corev1.PodSucceeded {
		reason = "PodCompleted"
	}
	s.Conditions = []corev1.PodCondition{p.condition(corev1.PodScheduled, true, ""), p.condition(corev1.PodInitialized, p.inited, ""),
		p.condition(corev1.ContainersReady, ready, reason), p.condition(corev1.PodReady, ready, reason)}
	return s
}

// condition returns a condition with the time of its last change; the lock is held.
func (p *pod) condition(kind corev1.PodConditionType, is bool, reason string) corev1.PodCondition {
	status := corev1.ConditionFalse
	if is {
		status = corev1.ConditionTrue
	}
	if p.since[kind].status != status {
		p.since[kind] = transition{status, metav1.Now()}
	}
	return corev1.PodCondition{Type: kind, Status: status, Reason: reason, LastTransitionTime: p.since[kind].at, ObservedGeneration: p.object.Generation}
}

// phase sums up the containers; the lock is held.
func (p *pod) phase() corev1.PodPhase {
	failed := false
	begun := false
	for _, c := range append(append([]*container{}, p.init...), p.main...) {
		failed = failed || c.state.Terminated != nil && c.state.Terminated.ExitCode != 0
	}
	for _, c := range p.main {
		begun = begun || c.state.Waiting == nil || c.restarts > 0
	}
	switch {
	case p.over && failed:
		return corev1.PodFailed
	case p.over && begun:
		return corev1.PodSucceeded
	case p.over:
		return corev1.PodFailed
	case begun:
		return corev1.PodRunning
	default:
		return corev1.PodPending
	}
}

// status describes one container; the lock is held.
func (c *container) status() corev1.ContainerStatus {
	started := c.state.Running != nil && c.started
	out := corev1.ContainerStatus{Name: c.spec.Name, Image: c.spec.Image, ImageID: "file:///" + ImageName(c.spec.Image), State: c.state,
		LastTerminationState: c.last, RestartCount: c.restarts, Started: &started}
	if out.State.Waiting != nil && c.pod.waiting != "" {
		out.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating", Message: c.pod.waiting}
	}
	if c.state.Waiting == nil || c.restarts > 0 {
		out.ContainerID = c.id()
	}
	out.Ready = started && c.probed && c.pod.object.Annotations[Unready] != "true"
	if c.isInit() {
		out.Ready = c.state.Terminated != nil && c.state.Terminated.ExitCode == 0
	}
	return out
}
