package listen

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// KeyPairs are the certificates of one configuration, parsed and by name. It does
// not change once made.
type KeyPairs struct {
	byName   map[string]*tls.Certificate
	byDigest map[string]*tls.Certificate
	certs    []model.Certificate // what they were parsed from
	errs     []error
}

// ParseKeyPairs parses the certificates of a configuration. Those that prev holds
// already, told by their digest, are not parsed again; prev may be nil. A
// certificate that is no key pair is left out, and its error says why. The same list
// as that of prev, not only an equal one, gives prev.
func ParseKeyPairs(certs []model.Certificate, prev *KeyPairs) (*KeyPairs, []error) {
	if prev != nil && model.Identical(certs, prev.certs) {
		return prev, prev.errs
	}
	k := &KeyPairs{
		certs:    certs,
		byName:   make(map[string]*tls.Certificate, len(certs)),
		byDigest: make(map[string]*tls.Certificate, len(certs)),
	}
	for i := range certs {
		c := &certs[i]
		digest := digestOf(c)
		pair := k.byDigest[digest]
		if pair == nil && prev != nil {
			pair = prev.byDigest[digest]
		}
		if pair == nil {
			p, err := parseKeyPair(c)
			if err != nil {
				k.errs = append(k.errs, err)
				continue
			}
			pair = p
		}
		k.byName[c.Name], k.byDigest[digest] = pair, pair
	}
	return k, k.errs
}

// Get returns the key pair of that name, or nil.
func (k *KeyPairs) Get(name string) *tls.Certificate {
	if k == nil {
		return nil
	}
	return k.byName[name]
}

func digestOf(c *model.Certificate) string {
	if c.Digest != "" {
		return c.Digest
	}
	sum := sha256.Sum256(bytes.Join([][]byte{c.Cert, c.Key}, []byte{0}))
	return hex.EncodeToString(sum[:])
}

func parseKeyPair(c *model.Certificate) (*tls.Certificate, error) {
	if b, _ := pem.Decode(c.Cert); b == nil {
		return nil, fmt.Errorf("certificate %q is not PEM: it must begin with \"-----BEGIN CERTIFICATE-----\"", c.Name)
	}
	pair, err := tls.X509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %q is not a key pair: %w", c.Name, err)
	}
	return &pair, nil
}

// Certificates says which certificate a server name gets. It does not change once
// made: a new one replaces it whole.
type Certificates struct {
	exact    map[string]*tls.Certificate
	wild     map[string]*tls.Certificate // by parent: ".example.org" for "*.example.org"
	fallback *tls.Certificate
	made     bool // fallback was made at start

	hosts []*model.Host // what they were made from; whoever calls Renew has it
	pairs *KeyPairs
}

// Renew returns what NewCertificates returns, which is c where it would be the same; c
// may be nil.
func (c *Certificates) Renew(ctl *model.Controller, pairs *KeyPairs) (*Certificates, error) {
	if c == nil || c.pairs != pairs || !sameNames(c.hosts, ctl.Hosts) {
		return NewCertificates(ctl, pairs)
	}
	if fallback := pairs.Get(ctl.Settings.DefaultCertificate); fallback != nil && fallback != c.fallback || fallback == nil && !c.made {
		return NewCertificates(ctl, pairs)
	}
	c.hosts = ctl.Hosts // the old list goes
	return c, nil
}

// sameNames tells whether two lists of hosts get the same certificates.
func sameNames(a, b []*model.Host) bool {
	if model.Identical(a, b) {
		return true
	}
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		if a[i].Name != b[i].Name || a[i].Certificate != b[i].Certificate || !slices.Equal(a[i].Aliases, b[i].Aliases) {
			return false
		}
	}
	return true
}

// NewCertificates gives every host of a controller the certificate it names. A host
// without one, or whose certificate is not there, gets the controller's default
// certificate, and in its absence the one made at start. An alias gets its host's
// certificate when that covers the alias.
func NewCertificates(ctl *model.Controller, pairs *KeyPairs) (*Certificates, error) {
	fallback := pairs.Get(ctl.Settings.DefaultCertificate)
	made := fallback == nil
	if made {
		var err error
		if fallback, err = madeAtStart(); err != nil {
			return nil, err
		}
	}
	c := &Certificates{
		exact:    make(map[string]*tls.Certificate, len(ctl.Hosts)),
		wild:     map[string]*tls.Certificate{},
		fallback: fallback,
		made:     made,
		hosts:    ctl.Hosts,
		pairs:    pairs,
	}
	for _, h := range ctl.Hosts {
		pair := pairs.Get(h.Certificate)
		if pair == nil {
			pair = fallback // an exact host without certificate is not served its parent's wildcard one
		}
		c.add(h.Name, pair)
		for _, alias := range h.Aliases {
			if Covers(pair, alias) {
				c.add(alias, pair)
			}
		}
	}
	return c, nil
}

func (c *Certificates) add(host string, pair *tls.Certificate) {
	host = strings.ToLower(host)
	switch parent, wild := strings.CutPrefix(host, "*"); {
	case host == "":
	case wild:
		c.wild[parent] = pair
	case c.exact[host] == nil:
		c.exact[host] = pair
	}
}

// Covers tells whether a certificate is for a host.
func Covers(pair *tls.Certificate, host string) bool {
	return pair.Leaf != nil && pair.Leaf.VerifyHostname(host) == nil
}

// For returns the certificate for a server name: that of the host itself, else that
// of "*." and its parent, else the default one.
func (c *Certificates) For(serverName string) *tls.Certificate {
	name := strings.TrimSuffix(strings.ToLower(serverName), ".")
	if pair := c.exact[name]; pair != nil {
		return pair
	}
	if dot := strings.IndexByte(name, '.'); dot > 0 {
		if pair := c.wild[name[dot:]]; pair != nil {
			return pair
		}
	}
	return c.fallback
}
