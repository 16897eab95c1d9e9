package control

import (
	"encoding/binary"
	"encoding/json"
	"hash"
	"hash/fnv"
	"slices"
	"sync"

	"github.com/pierhead/pierhead/internal/model"
)

// configHash makes one number of what a controller serves, the same in every process.
// What has not changed since it was last asked is not looked at again.
type configHash struct {
	mu      sync.Mutex
	config  *model.Config
	results map[string]float64 // by controller, of config
	hosts   map[string]hostHash
}

// hostHash is the hash of one host, and what it was made of.
type hostHash struct {
	of   *model.Host
	hash uint64
}

// of returns the number: of 53 bits, which a float64 holds.
func (h *configHash) of(config *model.Config, c *model.Controller) float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.config != config {
		h.config, h.results = config, map[string]float64{}
	}
	if n, ok := h.results[c.Name]; ok {
		return n
	}
	sum := fnv.New64a()
	write(sum, c.Listeners, c.Settings, c.Publish, c.PublishAddresses, config.Upstreams)
	for i := range config.Certificates {
		write(sum, config.Certificates[i].Name, config.Certificates[i].Digest)
	}
	hosts := make(map[string]hostHash, len(c.Hosts))
	for _, m := range c.Hosts {
		had, ok := h.hosts[c.Name+"|"+m.Name]
		if !ok || !sameHost(had.of, m) {
			had = hostHash{m, hashHost(m)}
		}
		hosts[c.Name+"|"+m.Name] = had
		sum.Write(binary.BigEndian.AppendUint64(nil, had.hash))
	}
	for key, had := range h.hosts {
		if _, ok := hosts[key]; !ok && len(config.Controllers) > 1 && key[:len(c.Name)+1] != c.Name+"|" {
			hosts[key] = had // of another controller
		}
	}
	h.hosts = hosts
	n := float64(sum.Sum64() >> 11)
	h.results[c.Name] = n
	return n
}

func sameHost(a, b *model.Host) bool {
	return a == b || model.Identical(a.Routes, b.Routes) && a.TLS == b.TLS && a.Regex == b.Regex && a.Certificate == b.Certificate && slices.Equal(a.Aliases, b.Aliases)
}

func hashHost(m *model.Host) uint64 {
	sum := fnv.New64a()
	write(sum, m.Name, m.Aliases, m.TLS, m.Certificate, m.Regex)
	for i := range m.Routes {
		r := &m.Routes[i]
		write(sum, r.ID, r.Upstream, r.Closed, r.Ingress, r.Namespace)
		for _, p := range r.Policies {
			write(sum, p.PolicyName(), p)
		}
	}
	return sum.Sum64()
}

// write writes values in a form that is the same in every process. What has no such form
// does not count.
func write(sum hash.Hash64, values ...any) {
	for _, v := range values {
		text, err := json.Marshal(v)
		if err == nil {
			sum.Write(text)
		}
		sum.Write([]byte{0})
	}
}
