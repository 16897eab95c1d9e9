package node

import (
	"fmt"

	"github.com/pierhead/pierhead/e2e/netns"
)

// Inside returns the process that a container of a Pod runs as now, and the network that
// it is in.
func (a *Agent) Inside(namespace, name, container string) (pid int, in *netns.Namespace, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.pods {
		if p.namespace != namespace || p.name != name {
			continue
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range p.main {
			if c.spec.Name == container && c.process != nil {
				return c.process.pid, p.net, nil
			}
		}
	}
	return 0, nil, fmt.Errorf("pod %s/%s: no container %q runs in it", namespace, name, container)
}
