// Package node is the scheduler and the kubelet of the test bed: it binds every Pod to
// its one node and runs the containers as local processes, each Pod in a network namespace
// of its own. It does what tests of traffic need, and says so in the Pod's status where it
// cannot do something.
package node

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/pierhead/pierhead/e2e/netns"
)

// An Agent runs the Pods of one node.
type Agent struct {
	Client  kubernetes.Interface
	Name    string           // of the node
	In      *netns.Namespace // the node's network
	Bridge  *netns.Bridge    // the Pods' network
	DNS     netip.Addr
	API     netip.AddrPort // what Pods are told as KUBERNETES_SERVICE_HOST and _PORT
	Images  *Images
	Sandbox string // path of the sandbox program
	Dir     string // for volumes and root folders of Pods
	Logs    string // folder of the containers' output
	Log     *slog.Logger

	ctx  context.Context
	mu   sync.Mutex
	pods map[types.UID]*pod
	all  sync.WaitGroup
}

// Run registers the node and runs its Pods until ctx is done; then it kills them.
func (a *Agent) Run(ctx context.Context) error {
	a.ctx, a.pods = ctx, map[types.UID]*pod{}
	for _, dir := range []string{a.Dir, a.Logs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := a.register(); err != nil {
		return fmt.Errorf("register node %s: %w", a.Name, err)
	}
	f := informers.NewSharedInformerFactory(a.Client, 0)
	_, err := f.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { a.observe(o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { a.observe(o.(*corev1.Pod)) },
		DeleteFunc: func(o any) {
			if lost, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = lost.Obj
			}
			if p := a.pod(o.(*corev1.Pod).UID); p != nil {
				p.gone()
			}
		},
	})
	if err != nil {
		return err
	}
	f.Start(ctx.Done())
	<-ctx.Done()
	f.Shutdown()
	a.all.Wait()
	return nil
}

// register tells the API server about the node.
func (a *Agent) register() error {
	nodes := a.Client.CoreV1().Nodes()
	n, err := nodes.Create(a.ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: a.Name, Labels: map[string]string{
		corev1.LabelHostname: a.Name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: arch}}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		n, err = nodes.Get(a.ctx, a.Name, metav1.GetOptions{})
	}
	if err != nil {
		return err
	}
	now := metav1.Now()
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "AgentRuns",
		LastHeartbeatTime: now, LastTransitionTime: now}}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: a.Bridge.Gateway.String()}, {Type: corev1.NodeHostName, Address: a.Name}}
	n.Status.DaemonEndpoints.KubeletEndpoint.Port = LogsPort
	n.Status.NodeInfo = corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: arch, KubeletVersion: "v0.0.0-pierhead-e2e"}
	if n, err = nodes.UpdateStatus(a.ctx, n, metav1.UpdateOptions{}); err != nil {
		return err
	}
	// A new node starts with the taint "not ready", which no controller takes away here.
	n.Spec.Taints = nil
	_, err = nodes.Update(a.ctx, n, metav1.UpdateOptions{})
	return err
}

// observe acts on a Pod as the API server tells it.
func (a *Agent) observe(o *corev1.Pod) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.pods[o.UID]; p != nil {
		p.update(o)
		return
	}
	over := o.Status.Phase == corev1.PodSucceeded || o.Status.Phase == corev1.PodFailed
	switch {
	case o.Spec.NodeName == "" && o.DeletionTimestamp == nil && len(o.Spec.SchedulingGates) == 0:
		a.all.Go(func() { a.bind(o) })
	case o.Spec.NodeName == a.Name && o.DeletionTimestamp != nil:
		a.all.Go(func() { a.remove(o) })
	case o.Spec.NodeName == a.Name && !over:
		p := newPod(a, o)
		a.pods[o.UID] = p
		a.all.Go(func() {
			p.run()
			a.mu.Lock()
			defer a.mu.Unlock()
			delete(a.pods, o.UID)
		})
	}
}

func (a *Agent) pod(uid types.UID) *pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pods[uid]
}

// bind gives the Pod to this node.
func (a *Agent) bind(o *corev1.Pod) {
	a.insist("bind", o, func() error {
		return a.Client.CoreV1().Pods(o.Namespace).Bind(a.ctx, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, UID: o.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: a.Name},
		}, metav1.CreateOptions{})
	})
}

// remove deletes the object of a Pod that has ended.
func (a *Agent) remove(o *corev1.Pod) {
	a.insist("remove", o, func() error {
		return a.Client.CoreV1().Pods(o.Namespace).Delete(a.ctx, o.Name, metav1.DeleteOptions{
			GracePeriodSeconds: new(int64(0)), Preconditions: &metav1.Preconditions{UID: &o.UID}})
	})
}

// insist repeats a request about a Pod until the API server has taken it or has said that
// it is pointless.
func (a *Agent) insist(what string, o *corev1.Pod, request func() error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := request()
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || a.ctx.Err() != nil {
			return
		}
		a.Log.Warn(what, "pod", o.Namespace+"/"+o.Name, "error", err)
		select {
		case <-a.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// logFile returns where a container's output goes.
func (a *Agent) logFile(namespace, pod, container string) string {
	return filepath.Join(a.Logs, namespace+"_"+pod+"_"+container+".log")
}
