// Package cluster starts a real Kubernetes control plane on a plain Linux machine, without
// containers: etcd, kube-apiserver and kube-controller-manager in a network namespace of
// their own, and a node agent that runs Pods as local processes. Nothing leaves that
// namespace but one loopback port by which kubectl reaches the API server. Everything
// dies with the process that started it.
package cluster

import (
	"io"
	"net/netip"

	"github.com/pierhead/pierhead/e2e/node"
)

// Options say how a cluster is to be. The zero value is good.
type Options struct {
	// Dir is the folder for everything the cluster writes, removed by Close. It must not
	// exist or be left over from a cluster that has ended. Default: a new folder in os.TempDir.
	Dir string
	// Images maps image names, without tag, to what runs in their place. There is always
	// pierhead.dev/echo, and registry.k8s.io/pause.
	Images map[string]node.Image
	// Balancers is where Services of type LoadBalancer without a class get their
	// addresses. Default: nowhere; they stay pending.
	Balancers netip.Prefix
	// APIServerFlags are given to kube-apiserver after ours.
	APIServerFlags []string
	// Progress is told what is going on. Default: nobody.
	Progress io.Writer
}

// The networks of a cluster. They exist in its own namespace only, so that any number of
// clusters may have them.
var (
	podPrefix     = netip.MustParsePrefix("10.244.0.0/16")
	servicePrefix = netip.MustParsePrefix("10.96.0.0/16")
	dnsAddr       = netip.MustParseAddrPort("10.96.0.10:53")
	serviceAPI    = netip.MustParseAddrPort("10.96.0.1:443")
	nodeAPI       = netip.MustParseAddrPort("10.244.0.1:6443")
)

// Names that a cluster has for its parts.
const (
	NodeName = "node-0"
	// EchoImage is the test application of apps/echo.
	EchoImage = "pierhead.dev/echo"
	// PauseImage does nothing.
	PauseImage = "registry.k8s.io/pause"
)
