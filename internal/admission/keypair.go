package admission

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"slices"
	"time"
)

// The entries of the Secret that an Authority keeps.
const (
	certEntry   = "tls.crt"
	keyEntry    = "tls.key"
	trustEntry  = "ca.crt" // the first one is the issuer
	issuerEntry = "ca.key"
)

// lives are how long certificates are good for. They are renewed after two thirds.
type lives struct{ issuer, server time.Duration }

const (
	day  = 24 * time.Hour
	skew = time.Hour // clocks of API servers may be behind ours
)

// issuerName is the name of all issuers that are made here.
const issuerName = "pierhead admission CA"

var usualLives = lives{issuer: 3650 * day, server: 365 * day}

// material is what the Secret holds, read. Parts that cannot be read are left out.
type material struct {
	trusted []*x509.Certificate // those who may have issued the server's, the newest first
	issuer  *ecdsa.PrivateKey   // of the first of trusted
	server  *tls.Certificate
	foreign bool // somebody else keeps the Secret
}

// read reads the entries of a Secret.
func read(data map[string][]byte) material {
	var m material
	m.trusted = certificates(data[trustEntry])
	if pair, err := tls.X509KeyPair(data[certEntry], data[keyEntry]); err == nil {
		m.server = &pair
	}
	m.foreign = len(data[certEntry]) > 0 && len(data[issuerEntry]) == 0
	if block, _ := pem.Decode(data[issuerEntry]); block != nil && len(m.trusted) > 0 {
		key, _ := x509.ParseECPrivateKey(block.Bytes)
		if key != nil && key.PublicKey.Equal(m.trusted[0].PublicKey) {
			m.issuer = key
		}
	}
	return m
}

// certificates reads those of a text in PEM.
func certificates(text []byte) (all []*x509.Certificate) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return all
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, c)
		}
	}
}

// joined adds to a bundle of ours what another one holds that was not made here and has
// not ended.
func joined(ours, other []byte, now time.Time) []byte {
	m := material{trusted: certificates(ours)}
	for _, c := range certificates(other) {
		if c.Subject.CommonName != issuerName && now.Before(c.NotAfter) && !slices.ContainsFunc(m.trusted, c.Equal) {
			m.trusted = append(m.trusted, c)
		}
	}
	return m.bundle()
}

// due tells whether two thirds of a certificate's life are over.
func due(c *x509.Certificate, now time.Time) bool {
	return now.After(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 3 * 2))
}

func valid(c *x509.Certificate, now time.Time) bool {
	return !now.Before(c.NotBefore) && now.Before(c.NotAfter)
}

// renew brings what has come to an end up to date and tells whether anything changed.
// A new issuer is trusted by everybody before it issues anything: the server's
// certificate stays as it is in the step that makes the issuer, as long as it is good.
func (m *material) renew(names []string, l lives, now time.Time) (bool, error) {
	changed := false
	good := m.serves(names, now)
	if m.issuer == nil || due(m.trusted[0], now) {
		issuer, key, err := newIssuer(l.issuer, now)
		if err != nil {
			return false, err
		}
		m.trusted = slices.DeleteFunc(m.trusted, func(c *x509.Certificate) bool { return !valid(c, now) })
		m.trusted, m.issuer = append([]*x509.Certificate{issuer}, m.trusted...), key
		changed = true
	}
	if good && (changed || !due(m.server.Leaf, now)) {
		return changed, nil
	}
	pair, err := newServer(names, m.trusted[0], m.issuer, l.server, now)
	m.server = pair
	return true, err
}

// serves tells whether the server's certificate is good for all names.
func (m *material) serves(names []string, now time.Time) bool {
	if m.server == nil {
		return false
	}
	if _, ours := m.server.PrivateKey.(*ecdsa.PrivateKey); !ours {
		return false
	}
	roots := x509.NewCertPool()
	for _, c := range m.trusted {
		roots.AddCert(c)
	}
	for _, name := range names {
		if _, err := m.server.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now}); err != nil {
			return false
		}
	}
	return true
}

// bundle returns those whom the API server is to trust.
func (m *material) bundle() []byte {
	var b bytes.Buffer
	for _, c := range m.trusted {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a buffer takes everything
	}
	return b.Bytes()
}

// entries returns the material as the Secret holds it.
func (m *material) entries() (map[string][]byte, error) {
	issuer, err := x509.MarshalECPrivateKey(m.issuer)
	if err != nil {
		return nil, err
	}
	private, _ := m.server.PrivateKey.(*ecdsa.PrivateKey) // others are replaced
	server, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		trustEntry:  m.bundle(),
		issuerEntry: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: issuer}),
		certEntry:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.server.Certificate[0]}),
		keyEntry:    pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: server}),
	}, nil
}

// newIssuer makes a certificate that issues others.
func newIssuer(life time.Duration, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: issuerName}, NotBefore: now.Add(-skew), NotAfter: now.Add(life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, key, err := issue(template, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	c, err := x509.ParseCertificate(raw)
	return c, key, err
}

// newServer makes a certificate for names and addresses. It does not outlive its issuer.
func newServer(names []string, issuer *x509.Certificate, issuerKey *ecdsa.PrivateKey, life time.Duration, now time.Time) (*tls.Certificate, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "pierhead admission"}, NotBefore: now.Add(-skew), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	if template.NotAfter.After(issuer.NotAfter) {
		template.NotAfter = issuer.NotAfter
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	raw, key, err := issue(template, issuer, issuerKey)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(raw)
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}, err
}

// issue signs a certificate for a new key; without an issuer, by that key itself.
func issue(template, issuer *x509.Certificate, by *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if issuer == nil {
		issuer, by = template, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), by) // with a random serial number
	return raw, key, err
}
