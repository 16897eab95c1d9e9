package cluster

import (
	"net/http"

	"github.com/pierhead/pierhead/e2e/netns"
)

// A Process is a container of a Pod as it runs now. It is meaningless once the container
// has ended.
type Process struct {
	Pid int
	in  *netns.Namespace
}

// PodProcess finds the process of a container.
func (c *Cluster) PodProcess(namespace, pod, container string) (Process, error) {
	pid, in, err := c.agent.Inside(namespace, pod, container)
	return Process{pid, in}, err
}

// Transport returns a new transport for requests from inside the Pod, whose loopback
// addresses it reaches. Hosts must be IP addresses.
func (p Process) Transport() *http.Transport { return &http.Transport{DialContext: p.in.Dial} }
