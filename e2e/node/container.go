package node

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The pauses between a container's end and its next start: a kubelet's are 10 s to 5 min,
// which no test wants to wait for.
const (
	firstBackOff = 200 * time.Millisecond
	longBackOff  = 10 * time.Second
)

// A container is one container of a pod, over all its starts.
type container struct {
	pod  *pod
	spec *corev1.Container

	// Under the pod's lock:
	state    corev1.ContainerState
	last     corev1.ContainerState
	restarts int32
	probed   bool // readiness as the probe says it
	started  bool // the startup probe has succeeded
	process  *running
}

// running is one start of a container.
type running struct {
	cmd     *exec.Cmd
	pid     int
	begun   metav1.Time
	exited  chan struct{} // closed when the process has ended
	restart chan string   // a reason to end it and start it again
}

func newContainer(p *pod, spec *corev1.Container) *container {
	return &container{pod: p, spec: spec,
		state: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}}
}

// run starts the container, again and again as its restart policy says, until the Pod
// shall end.
func (c *container) run() {
	pause := firstBackOff
	for {
		r, reason, err := c.start()
		if err != nil {
			c.set(func() { c.wait(reason, err.Error()) })
			if !c.pod.sleep(500 * time.Millisecond) {
				return
			}
			continue
		}
		c.supervise(r)
		if c.isOver() {
			return
		}
		if time.Since(r.begun.Time) > longBackOff {
			pause = firstBackOff
		}
		c.set(func() {
			c.last = c.state
			c.restarts++
			c.wait("CrashLoopBackOff", fmt.Sprintf("starts again after %s", pause))
		})
		if !c.pod.sleep(pause) {
			return
		}
		pause = min(2*pause, longBackOff)
	}
}

// supervise watches over one start of the container until it has ended.
func (c *container) supervise(r *running) {
	ctx, cancel := context.WithCancel(c.pod.ctx)
	defer cancel()
	c.set(func() {
		c.process = r
		c.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: r.begun}}
		c.started = c.spec.StartupProbe == nil
		c.probed = c.spec.ReadinessProbe == nil
	})
	go c.probe(ctx, r)
	go c.disturb(ctx, r)
	select {
	case <-r.exited:
	case <-c.pod.stop:
		c.end(r, true)
	case <-c.pod.ctx.Done():
		c.end(r, false)
	case reason := <-r.restart:
		c.pod.log.Info("restart", "container", c.spec.Name, "reason", reason)
		c.end(r, reason != "annotation")
	}
	c.set(func() {
		c.process, c.started, c.probed = nil, false, false
		c.state = corev1.ContainerState{Terminated: r.outcome(c)}
	})
}

// end ends the container's process: with grace by the preStop hook, SIGTERM, and SIGKILL
// when the Pod's time is over; else by SIGKILL.
func (c *container) end(r *running, grace bool) {
	if grace {
		ctx, cancel := c.graceful()
		defer cancel()
		if h := c.spec.Lifecycle; h != nil && h.PreStop != nil {
			if err := c.hook(ctx, r, h.PreStop); err != nil {
				c.pod.log.Warn("preStop", "container", c.spec.Name, "error", err)
			}
		}
		r.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-r.exited:
			return
		case <-ctx.Done():
		}
	}
	r.cmd.Process.Kill() // the first process of its namespace takes all others with it
	<-r.exited
}

// graceful returns a context that is done when the grace period has passed: the Pod's own
// clock when it is being deleted, the one in its spec for a restart.
func (c *container) graceful() (context.Context, context.CancelFunc) {
	select {
	case <-c.pod.stop:
		return c.pod.ctx, func() {}
	default:
	}
	grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if s := c.pod.spec().Spec.TerminationGracePeriodSeconds; s != nil {
		grace = *s
	}
	return context.WithTimeout(c.pod.ctx, time.Duration(grace)*time.Second)
}

// outcome describes how the process ended.
func (r *running) outcome(c *container) *corev1.ContainerStateTerminated {
	t := &corev1.ContainerStateTerminated{StartedAt: r.begun, FinishedAt: metav1.Now(), Reason: "Completed", ContainerID: c.id()}
	status := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	t.ExitCode = int32(status.ExitStatus())
	if status.Signaled() {
		t.Signal = int32(status.Signal())
		t.ExitCode = 128 + t.Signal
	}
	if t.ExitCode != 0 {
		t.Reason = "Error"
	}
	return t
}

// isOver says whether the container's end is final.
func (c *container) isOver() bool {
	select {
	case <-c.pod.stop:
		return true
	case <-c.pod.ctx.Done():
		return true
	default:
	}
	switch policy := c.pod.spec().Spec.RestartPolicy; {
	case policy == corev1.RestartPolicyNever:
		return true
	case policy == corev1.RestartPolicyOnFailure || c.isInit():
		return c.succeeded()
	default:
		return false
	}
}

func (c *container) isInit() bool {
	for _, i := range c.pod.init {
		if i == c {
			return true
		}
	}
	return false
}

// succeeded says whether the process has ended well.
func (c *container) succeeded() bool {
	c.pod.mu.Lock()
	defer c.pod.mu.Unlock()
	return c.state.Terminated != nil && c.state.Terminated.ExitCode == 0
}

// set changes the container under the pod's lock and has the status reported.
func (c *container) set(f func()) {
	c.pod.mu.Lock()
	f()
	c.pod.mu.Unlock()
	c.pod.touch()
}

func (c *container) wait(reason, message string) {
	c.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// id names this start of the container.
func (c *container) id() string {
	return fmt.Sprintf("process://%s/%s/%d", c.pod.uid, c.spec.Name, c.restarts)
}

// execute runs a command in the container, for hooks and probes.
func (c *container) execute(ctx context.Context, r *running, command []string) error {
	args := []string{"--target", fmt.Sprint(r.pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd=/", "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(args, command...)...)
	cmd.Env = r.cmd.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Errorf("command %q: %w: %s", command, err, strings.TrimSpace(string(out)))
	}
	return err
}
