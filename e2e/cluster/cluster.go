package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pierhead/pierhead/e2e/netns"
	"github.com/pierhead/pierhead/e2e/node"
	"github.com/pierhead/pierhead/e2e/process"
	"github.com/pierhead/pierhead/e2e/service"
)

// A Cluster is a running control plane with its node.
type Cluster struct {
	Dir       string // everything it writes
	Bin       string // etcd, kube-apiserver, kube-controller-manager, kubectl
	Images    *node.Images
	Namespace *netns.Namespace // where all of it is; the node's network

	options   Options
	keys      *keys
	owner     *os.File // locked as long as the cluster runs
	log       *slog.Logger
	logFile   *os.File
	bridge    *netns.Bridge
	programs  []*process.Program
	forwarder *forwarder
	config    *rest.Config
	client    kubernetes.Interface
	agent     *node.Agent
	stop      context.CancelFunc
	parts     sync.WaitGroup
	once      sync.Once
	closed    error
}

// Start builds what is missing, which takes minutes the first time on a machine, starts
// everything, and returns when Pods can be created. It needs root.
func Start(ctx context.Context, o Options) (c *Cluster, err error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("the cluster needs root for its network namespaces: user id is %d, must be 0 (run it with sudo)", os.Geteuid())
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	c = &Cluster{options: o, stop: func() {}}
	if err := c.makeDir(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Close()
			c = nil
		}
	}()
	sandbox, err := c.build(ctx)
	if err != nil {
		return c, err
	}
	begun := time.Now()
	if err := c.network(sandbox); err != nil {
		return c, err
	}
	if err := c.controlPlane(ctx); err != nil {
		return c, err
	}
	if err := c.startParts(sandbox); err != nil {
		return c, err
	}
	if err := c.usable(ctx); err != nil {
		return c, err
	}
	c.say("cluster ready after %s", time.Since(begun).Round(10*time.Millisecond))
	return c, nil
}

func (c *Cluster) say(format string, args ...any) {
	fmt.Fprintf(c.options.Progress, format+"\n", args...)
}

// network makes the namespace with the bridge.
func (c *Cluster) network(sandbox string) error {
	resolv := filepath.Join(c.Dir, "resolv.conf")
	text := fmt.Sprintf("nameserver %s\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n", dnsAddr.Addr())
	if err := os.WriteFile(resolv, []byte(text), 0o644); err != nil {
		return err
	}
	n, err := netns.New(sandbox, resolv)
	if err != nil {
		return err
	}
	c.Namespace = n
	c.bridge, err = netns.NewBridge(n, podPrefix)
	return err
}

// startParts starts what runs in this process: the node's agent, the Services, the DNS.
func (c *Cluster) startParts(sandbox string) error {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	f := informers.NewSharedInformerFactory(c.client, 0)
	table, err := service.NewTable(f)
	if err != nil {
		return err
	}
	f.Start(ctx.Done())
	c.agent = &node.Agent{Client: c.client, Name: NodeName, In: c.Namespace, Bridge: c.bridge, DNS: dnsAddr.Addr(), API: serviceAPI, Images: c.Images,
		Sandbox: sandbox, Dir: filepath.Join(c.Dir, "pods"), Logs: filepath.Join(c.Dir, "logs", "pods"), Log: c.log}
	part := func(name string, run func(context.Context) error) {
		c.parts.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				c.log.Error("ended", "part", name, "error", err)
				c.say("%s has ended: %v", name, err)
			}
		})
	}
	if err := table.Wait(ctx); err != nil {
		return err
	}
	part("node agent", c.agent.Run)
	part("logs of Pods", func(ctx context.Context) error { return c.agent.ServeLogs(ctx, c.keys.serving) })
	part("services", (&service.Proxy{Table: table, In: c.Namespace, Node: c.bridge.Gateway, Balancers: c.options.Balancers, Log: c.log}).Run)
	part("cluster DNS", (&service.DNS{Table: table, In: c.Namespace, Addr: dnsAddr}).Run)
	if c.options.Balancers.IsValid() {
		part("load balancers", (&service.Balancer{Table: table, Client: c.client, Prefix: c.options.Balancers, Log: c.log}).Run)
	}
	c.parts.Go(func() {
		<-ctx.Done()
		f.Shutdown()
	})
	return nil
}

// Client returns a client with all rights and without limits of rate.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// Config returns a copy of the client's configuration.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Kubeconfig returns the path of a kubeconfig for use from outside the namespace.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.Dir, "kubeconfig") }

// InsideKubeconfig returns the path of a kubeconfig for programs in the namespace.
func (c *Cluster) InsideKubeconfig() string { return filepath.Join(c.Dir, "inside.kubeconfig") }

// Kubectl returns the path of the kubectl that belongs to the cluster.
func (c *Cluster) Kubectl() string { return filepath.Join(c.Bin, "kubectl") }

// PodLog returns the path of the file with a container's output, over all its starts.
func (c *Cluster) PodLog(namespace, pod, container string) string {
	return filepath.Join(c.Dir, "logs", "pods", namespace+"_"+pod+"_"+container+".log")
}

// Program returns one of etcd, kube-apiserver and kube-controller-manager, to be killed and
// started again. It panics for any other name.
func (c *Cluster) Program(name string) *process.Program {
	for _, p := range c.programs {
		if p.Name == name {
			return p
		}
	}
	panic(fmt.Sprintf("program %q: must be etcd, kube-apiserver or kube-controller-manager", name))
}

// Close ends everything at once and removes the folder.
func (c *Cluster) Close() error {
	c.once.Do(func() { c.closed = c.close() })
	return c.closed
}

func (c *Cluster) close() error {
	var all []error
	c.stop()
	c.parts.Wait()
	if c.forwarder != nil {
		c.forwarder.close()
	}
	for i := len(c.programs) - 1; i >= 0; i-- {
		if c.programs[i].Pid() != 0 {
			all = append(all, c.programs[i].Kill())
		}
	}
	if c.bridge != nil {
		c.bridge.Close()
	}
	if c.Namespace != nil {
		all = append(all, c.Namespace.Close())
	}
	if c.logFile != nil {
		c.logFile.Close()
	}
	all = append(all, os.RemoveAll(c.Dir))
	if c.owner != nil {
		c.owner.Close()
	}
	return errors.Join(all...)
}
