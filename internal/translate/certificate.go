package translate

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// pair is a Secret read as a certificate.
type pair struct {
	mark
	id      id
	key     string // namespace/name
	users   int    // how many results are built on it
	read    read   // the Secret that it was made from
	changed uint64 // the translation that made it
	told    *told

	model.Certificate
	leaf  *x509.Certificate
	chain [][]byte // while it is read
	err   string   // why there is none
}

// pair returns the key pair of a Secret. A Secret that is there and is no key pair is
// told to its owner. Whoever builds on it counts as a user.
func (m *Memo) pair(i id) *pair {
	p := m.pairs[i]
	if p == nil {
		p = &pair{id: i, key: i.String()}
		m.pairs[i] = p
		m.renew(p)
	}
	return p
}

// keep makes the translation itself a user of a key pair.
func (m *Memo) keep(p *pair) {
	p.users++
	m.kept = append(m.kept, p)
}

// drop ends one use of a key pair.
func (m *Memo) drop(p *pair) {
	if p.users--; p.users == 0 {
		m.idle = append(m.idle, p)
	}
}

// beginPairs reads the key pairs again whose Secrets are others.
func (m *Memo) beginPairs() {
	m.renewed = false
	for _, p := range m.kept {
		m.drop(p)
	}
	clear(m.kept)
	m.kept = m.kept[:0]
	if m.same(ofSecret) {
		return
	}
	for _, p := range m.pairs {
		if m.touched(ofSecret, p.id) && !m.objects.look(ofSecret, p.id).is(&p.read) {
			m.renew(p)
			m.renewed = true
		}
	}
}

// renew reads a key pair.
func (m *Memo) renew(p *pair) {
	r := &report{}
	had := p.told
	*p = pair{mark: p.mark, id: p.id, key: p.key, users: p.users, changed: m.turn, read: m.objects.look(ofSecret, p.id)}
	p.load(m.objects, r)
	p.told = m.telling.tell(had, r.told())
}

// load reads the Secret.
func (p *pair) load(o *Objects, r *report) {
	e := o.secrets[p.id]
	if e == nil {
		p.err = o.missing("Secret", p.id)
		return
	}
	data := merged(e)
	field, err := p.parse(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		p.err = fmt.Sprintf("Secret %s is no key pair", p.id)
		at := "data[" + field + "]"
		if _, ok := e.value.StringData[field]; ok {
			at = "stringData[" + field + "]"
		}
		r.add(model.Error, e.at(at), at, "", fmt.Sprintf("the Secret is no key pair: %v", err),
			"put a PEM certificate with its chain in tls.crt and its PEM key in tls.key")
		return
	}
	p.Name, p.Origin = p.id.String(), e.origin
	p.checkChain(r, e, p.chain)
	p.chain = nil
}

// parse reads the PEM texts. An error comes with the key of the Secret that is wrong.
func (p *pair) parse(cert, key []byte) (string, error) {
	if len(cert) == 0 {
		return corev1.TLSCertKey, fmt.Errorf("%s is missing", corev1.TLSCertKey)
	}
	if len(key) == 0 {
		return corev1.TLSPrivateKeyKey, fmt.Errorf("%s is missing", corev1.TLSPrivateKeyKey)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		field := corev1.TLSPrivateKeyKey
		if err := readable509(cert); err != nil {
			return corev1.TLSCertKey, err
		}
		return field, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "tls: "))
	}
	p.leaf, p.chain = pair.Leaf, pair.Certificate
	if p.leaf == nil {
		if p.leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return corev1.TLSCertKey, err
		}
	}
	sum := sha256.New()
	sum.Write(cert)
	sum.Write([]byte{0})
	sum.Write(key)
	p.Cert, p.Key, p.Digest = cert, key, hex.EncodeToString(sum.Sum(nil))
	p.Names = namesOf(p.leaf)
	return "", nil
}

// namesOf lists what a certificate is for: its alternative names, or its common name
// where it has none.
func namesOf(leaf *x509.Certificate) []string {
	var names []string
	for _, n := range leaf.DNSNames {
		names = append(names, strings.ToLower(n))
	}
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 && leaf.Subject.CommonName != "" {
		names = append(names, strings.ToLower(leaf.Subject.CommonName))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// covers tells whether the certificate is valid for a host, by its alternative names
// or, as ingress-nginx has it, its common name.
func (p *pair) covers(host string) bool {
	if p.leaf == nil {
		return false
	}
	if p.leaf.VerifyHostname(host) == nil {
		return true
	}
	cn := strings.ToLower(p.leaf.Subject.CommonName)
	if cn == host {
		return cn != ""
	}
	suffix, wild := strings.CutPrefix(cn, "*.")
	_, parent, ok := strings.Cut(host, ".")
	return wild && ok && parent == suffix
}

// certificates lists the key pairs in use.
func (m *Memo) certificates(had []model.Certificate) []model.Certificate {
	list, moved := m.served.end()
	if !moved && !(m.renewed && slices.ContainsFunc(list, func(p *pair) bool { return p.changed == m.turn })) {
		return had
	}
	if len(list) == 0 {
		return nil
	}
	out := make([]model.Certificate, 0, len(list))
	for _, p := range list {
		out = append(out, p.Certificate)
	}
	return out
}

// checkPairs reads the TLS Secrets that nobody refers to, so that a bad one is told
// before it is needed.
func (m *Memo) checkPairs(o *Objects) {
	for i, e := range o.secrets {
		if e.value.Type == corev1.SecretTypeTLS {
			m.keep(m.pair(i))
		}
	}
}

// merged returns the data of a Secret with its stringData, as the API server stores
// it.
func merged(e *entry[corev1.Secret]) map[string][]byte {
	if len(e.value.StringData) == 0 {
		return e.value.Data
	}
	out := map[string][]byte{}
	for k, v := range e.value.Data {
		out[k] = v
	}
	for k, v := range e.value.StringData {
		out[k] = []byte(v)
	}
	return out
}

// readable509 tells why PEM text holds no certificate.
func readable509(text []byte) error {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s holds no PEM certificate that can be read", corev1.TLSCertKey)
	}
	return nil
}
