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
	"k8s.io/apimachinery/pkg/types"

	"github.com/pierhead/pierhead/e2e/netns"
)

// A pod is a Pod that runs here, from its binding to its removal.
type pod struct {
	agent           *Agent
	log             *slog.Logger
	dir             string
	namespace, name string
	uid             types.UID

	stop  chan struct{}      // closed when the Pod shall end
	ctx   context.Context    // done when the Pod must be over: the grace period has passed, or we end
	kill  context.CancelFunc // ends ctx
	dirty chan struct{}      // holds one item when the status is to be reported

	net    *netns.Namespace
	ip     netip.Addr
	tokens map[string]issued // by path of the file; used by the one that fills volumes

	refreshing sync.WaitGroup

	mu         sync.Mutex
	object     *corev1.Pod // as told last
	stopping   bool
	deadline   *time.Timer
	init, main []*container
	inited     bool
	over       bool   // no container will start any more
	waiting    string // why no container can start yet
	since      map[corev1.PodConditionType]transition
}

func newPod(a *Agent, o *corev1.Pod) *pod {
	p := &pod{agent: a, object: o, namespace: o.Namespace, name: o.Name, uid: o.UID, log: a.Log.With("pod", o.Namespace+"/"+o.Name), dir: filepath.Join(a.Dir, string(o.UID)),
		stop: make(chan struct{}), dirty: make(chan struct{}, 1), since: map[corev1.PodConditionType]transition{}, tokens: map[string]issued{}}
	p.ctx, p.kill = context.WithCancel(a.ctx)
	for i := range o.Spec.InitContainers {
		p.init = append(p.init, newContainer(p, &o.Spec.InitContainers[i]))
	}
	for i := range o.Spec.Containers {
		p.main = append(p.main, newContainer(p, &o.Spec.Containers[i]))
	}
	return p
}

// update takes the newest object, which may ask for the Pod's end or for a sooner one.
func (p *pod) update(o *corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.object = o
	p.touch()
	if o.DeletionTimestamp == nil {
		return
	}
	grace := time.Until(o.DeletionTimestamp.Time) // it already lies the grace period ahead
	if s := o.DeletionGracePeriodSeconds; s != nil {
		// The timestamp has whole seconds only; the first notice comes at once.
		grace = time.Duration(*s) * time.Second
	}
	if !p.stopping {
		p.stopping = true
		close(p.stop)
		p.deadline = time.AfterFunc(grace, p.kill)
	} else if grace == 0 {
		p.kill()
	}
}

// gone ends the Pod without grace: its object has been deleted by force.
func (p *pod) gone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopping {
		p.stopping = true
		close(p.stop)
	}
	p.kill()
}

// spec returns the newest object, which must not be changed.
func (p *pod) spec() *corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.object
}

// run is the whole life of the Pod.
func (p *pod) run() {
	defer p.kill()
	reporter := p.startReporter()
	p.live()
	p.mu.Lock()
	p.over = true
	if p.deadline != nil {
		p.deadline.Stop()
	}
	p.mu.Unlock()
	p.tearDown()
	p.touch()
	select { // a Pod that has done its work stays as an object
	case <-p.stop:
	case <-p.agent.ctx.Done():
	}
	reporter.finish()
	if p.agent.ctx.Err() == nil {
		p.agent.remove(p.spec())
	}
}

// live sets the Pod up and runs its containers until all have ended.
func (p *pod) live() {
	if !p.retry(p.setUp) {
		return
	}
	if !p.retry(p.fillVolumes) {
		return
	}
	p.refreshing.Go(p.refreshVolumes)
	for _, c := range p.init {
		if c.run(); !c.succeeded() {
			return
		}
	}
	p.mu.Lock()
	p.inited = true
	p.mu.Unlock()
	p.touch()
	var all sync.WaitGroup
	for _, c := range p.main {
		all.Go(c.run)
	}
	all.Wait()
}

// retry repeats f until it works; false means that the Pod shall end first. A Secret that
// comes after its Pod is a matter of time, as with any kubelet.
func (p *pod) retry(f func() error) bool {
	for {
		err := f()
		p.mu.Lock()
		p.waiting = ""
		if err != nil {
			p.waiting = err.Error()
		}
		p.mu.Unlock()
		if err == nil {
			return true
		}
		p.touch()
		if !p.sleep(300 * time.Millisecond) {
			return false
		}
	}
}

// sleep waits; false means that the Pod shall end.
func (p *pod) sleep(d time.Duration) bool {
	select {
	case <-p.stop:
		return false
	case <-p.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// setUp makes the Pod's network and the files that every container gets.
func (p *pod) setUp() error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	if err := p.connect(); err != nil {
		return err
	}
	hosts := fmt.Sprintf("127.0.0.1\tlocalhost\n%s\t%s\n", p.ip, p.hostname())
	for _, h := range p.spec().Spec.HostAliases {
		for _, name := range h.Hostnames {
			hosts += h.IP + "\t" + name + "\n"
		}
	}
	for name, text := range map[string]string{"hosts": hosts, "resolv.conf": p.resolvConf(), "hostname": p.hostname() + "\n"} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// connect gives the Pod its network: the node's, or one of its own with an address.
func (p *pod) connect() error {
	if p.net != nil {
		return nil // from an attempt before
	}
	if p.spec().Spec.HostNetwork {
		p.net = p.agent.In
		p.setIP(p.agent.Bridge.Gateway)
		return nil
	}
	n, err := netns.New(p.agent.Sandbox, "")
	if err != nil {
		return err
	}
	ip, err := p.agent.Bridge.Attach(n)
	if err != nil {
		n.Close()
		return err
	}
	p.net = n
	p.setIP(ip)
	return nil
}

func (p *pod) setIP(a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ip = a
}

// tearDown frees what setUp took.
func (p *pod) tearDown() {
	p.kill()
	p.refreshing.Wait()
	if p.net != nil && p.net != p.agent.In {
		p.net.Close()
		p.agent.Bridge.Free(p.ip)
	}
	if err := os.RemoveAll(p.dir); err != nil {
		p.log.Warn("remove the folder", "error", err)
	}
}

func (p *pod) hostname() string {
	switch o := p.spec(); {
	case o.Spec.HostNetwork:
		return p.agent.Name
	case o.Spec.Hostname != "":
		return o.Spec.Hostname
	default:
		return o.Name
	}
}

// resolvConf follows the Pod's dnsConfig; otherwise it names the cluster's DNS.
func (p *pod) resolvConf() string {
	o, text := p.spec(), ""
	search := []string{o.Namespace + ".svc.cluster.local", "svc.cluster.local", "cluster.local"}
	options := "ndots:5"
	if o.Spec.DNSPolicy == corev1.DNSNone {
		search, options = nil, ""
	} else {
		text = fmt.Sprintf("nameserver %s\n", p.agent.DNS)
	}
	if c := o.Spec.DNSConfig; c != nil {
		for _, s := range c.Nameservers {
			text += "nameserver " + s + "\n"
		}
		search = append(search, c.Searches...)
		for _, opt := range c.Options {
			options += " " + opt.Name
			if opt.Value != nil {
				options += ":" + *opt.Value
			}
		}
	}
	for i, s := range search {
		if i == 0 {
			text += "search"
		}
		text += " " + s
	}
	return text + "\noptions " + options + "\n"
}
