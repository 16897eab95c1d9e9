package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"

	"github.com/pierhead/pierhead/e2e/process"
)

// patience is how long a part of the control plane may take to come up: seconds on an idle
// machine, much more on a busy one.
const patience = 4 * time.Minute

// controllers are those of kube-controller-manager that a test can see.
const controllers = "endpointslice-controller,endpointslice-mirroring-controller,endpoints-controller,deployment-controller,replicaset-controller," +
	"statefulset-controller,daemonset-controller,job-controller,serviceaccount-controller,serviceaccount-token-controller," +
	"root-ca-certificate-publisher-controller,namespace-controller,garbage-collector-controller,clusterrole-aggregation-controller," +
	"horizontal-pod-autoscaler-controller,disruption-controller"

// controlPlane starts the three programs and waits for the API server.
func (c *Cluster) controlPlane(ctx context.Context) error {
	dir := filepath.Join(c.Dir, "keys")
	k, err := makeKeys(dir)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	c.keys = k
	tokens := k.admin + ",admin,admin,system:masters\n" + k.manager + ",system:kube-controller-manager,manager\n"
	if err := os.WriteFile(filepath.Join(c.Dir, "tokens.csv"), []byte(tokens), 0o600); err != nil {
		return err
	}
	if err := c.kubeconfigs(); err != nil {
		return err
	}
	program := func(name string, args ...string) *process.Program {
		p := process.New(c.Namespace, filepath.Join(c.Dir, "logs"), name, append([]string{filepath.Join(c.Bin, name)}, args...)...)
		c.programs = append(c.programs, p)
		return p
	}
	const client, member = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
	etcd := program("etcd", "--data-dir", filepath.Join(c.Dir, "etcd"), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", member, "--initial-advertise-peer-urls", member, "--initial-cluster", "default="+member,
		"--unsafe-no-fsync", "--quota-backend-bytes", "8589934592", "--log-level", "warn")
	server := program("kube-apiserver", append([]string{"--etcd-servers", client, "--bind-address", "0.0.0.0",
		"--advertise-address", nodeAPI.Addr().String(), "--secure-port", fmt.Sprint(nodeAPI.Port()), "--cert-dir", dir,
		"--tls-cert-file", filepath.Join(dir, "serving.crt"), "--tls-private-key-file", filepath.Join(dir, "serving.key"),
		"--service-cluster-ip-range", servicePrefix.String(), "--authorization-mode", "Node,RBAC", "--token-auth-file", filepath.Join(c.Dir, "tokens.csv"),
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", filepath.Join(dir, "sa.pub"),
		"--service-account-signing-key-file", filepath.Join(dir, "sa.key"), "--kubelet-preferred-address-types", "InternalIP",
		"--enable-priority-and-fairness=false", "--max-requests-inflight", "0", "--max-mutating-requests-inflight", "0", "--allow-privileged"},
		c.options.APIServerFlags...)...)
	manager := program("kube-controller-manager", "--kubeconfig", filepath.Join(c.Dir, "manager.kubeconfig"), "--leader-elect=false",
		"--bind-address", "127.0.0.1", "--service-account-private-key-file", filepath.Join(dir, "sa.key"), "--root-ca-file", filepath.Join(dir, "ca.crt"),
		"--use-service-account-credentials=true", "--kube-api-qps", "500", "--kube-api-burst", "1000", "--controllers", controllers,
		"--concurrent-service-endpoint-syncs", "10", "--concurrent-namespace-syncs", "10")
	for _, p := range []*process.Program{etcd, server} {
		c.say("starting %s", p.Name)
		if err := p.Start(); err != nil {
			return err
		}
	}
	if err := c.await(ctx, server, func(ctx context.Context) error {
		return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	}); err != nil {
		return err
	}
	c.say("starting %s", manager.Name)
	return manager.Start()
}

// kubeconfigs writes one for each side and makes the client.
func (c *Cluster) kubeconfigs() (err error) {
	dial := func(ctx context.Context) (net.Conn, error) { return c.Namespace.Dial(ctx, "tcp", nodeAPI.String()) }
	if c.forwarder, err = newForwarder(dial); err != nil {
		return err
	}
	inside, outside := "https://"+nodeAPI.String(), "https://"+c.forwarder.addr()
	for path, is := range map[string][2]string{
		c.Kubeconfig(): {outside, c.keys.admin}, c.InsideKubeconfig(): {inside, c.keys.admin},
		filepath.Join(c.Dir, "manager.kubeconfig"): {inside, c.keys.manager},
	} {
		k := api.NewConfig()
		k.Clusters["pierhead"] = &api.Cluster{Server: is[0], CertificateAuthorityData: c.keys.authority}
		k.AuthInfos["pierhead"] = &api.AuthInfo{Token: is[1]}
		k.Contexts["pierhead"] = &api.Context{Cluster: "pierhead", AuthInfo: "pierhead"}
		k.CurrentContext = "pierhead"
		if err := clientcmd.WriteToFile(*k, path); err != nil {
			return err
		}
	}
	c.config = &rest.Config{Host: inside, BearerToken: c.keys.admin, TLSClientConfig: rest.TLSClientConfig{CAData: c.keys.authority},
		QPS: -1, Dial: c.Namespace.Dial, ContentConfig: rest.ContentConfig{ContentType: "application/vnd.kubernetes.protobuf"}}
	c.client, err = kubernetes.NewForConfig(c.config)
	return err
}

// await repeats check until it succeeds, and shows the log of p when it does not.
func (c *Cluster) await(ctx context.Context, p *process.Program, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		once, end := context.WithTimeout(ctx, 10*time.Second)
		err := check(once)
		end()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: not ready: %w\n%s", p.Name, err, strings.TrimSpace(p.Tail(2000)))
		}
	}
}

// usable returns when Pods can be created and will run.
func (c *Cluster) usable(ctx context.Context) error {
	return c.await(ctx, c.Program("kube-controller-manager"), func(ctx context.Context) error {
		if _, err := c.client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err
		}
		if _, err := c.client.CoreV1().ConfigMaps("default").Get(ctx, "kube-root-ca.crt", metav1.GetOptions{}); err != nil {
			return err
		}
		n, err := c.client.CoreV1().Nodes().Get(ctx, NodeName, metav1.GetOptions{})
		if err == nil && (len(n.Status.Conditions) == 0 || len(n.Spec.Taints) > 0) {
			return apierrors.NewServiceUnavailable("the node is not ready")
		}
		return err
	})
}
