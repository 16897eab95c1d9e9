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

// certificates reads key pairs out of Secrets, each once.
type certificates struct {
	o    *Objects
	r    *report
	read map[id]*keyPair
}

// keyPair is a Secret read as a certificate.
type keyPair struct {
	model.Certificate
	leaf *x509.Certificate
	err  string // why there is none
	used bool
}

// get returns the key pair of a Secret. A Secret that is there and is no key pair is
// told to its owner.
func (cs *certificates) get(i id) *keyPair {
	if kp := cs.read[i]; kp != nil {
		return kp
	}
	kp := &keyPair{}
	cs.read[i] = kp
	e := cs.o.secrets[i]
	if e == nil {
		kp.err = cs.o.missing("Secret", i)
		return kp
	}
	data := merged(e)
	field, err := kp.parse(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		kp.err = fmt.Sprintf("Secret %s is no key pair", i)
		at := "data[" + field + "]"
		if _, ok := e.value.StringData[field]; ok {
			at = "stringData[" + field + "]"
		}
		cs.r.add(model.Error, e.at(at), at, "", fmt.Sprintf("the Secret is no key pair: %v", err),
			"put a PEM certificate with its chain in tls.crt and its PEM key in tls.key")
		return kp
	}
	kp.Name, kp.Origin = i.String(), e.origin
	return kp
}

// parse reads the PEM texts. An error comes with the key of the Secret that is wrong.
func (kp *keyPair) parse(cert, key []byte) (string, error) {
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
	kp.leaf = pair.Leaf
	if kp.leaf == nil {
		if kp.leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return corev1.TLSCertKey, err
		}
	}
	sum := sha256.New()
	sum.Write(cert)
	sum.Write([]byte{0})
	sum.Write(key)
	kp.Cert, kp.Key, kp.Digest = cert, key, hex.EncodeToString(sum.Sum(nil))
	kp.Names = namesOf(kp.leaf)
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
func (kp *keyPair) covers(host string) bool {
	if kp.leaf == nil {
		return false
	}
	if kp.leaf.VerifyHostname(host) == nil {
		return true
	}
	cn := strings.ToLower(kp.leaf.Subject.CommonName)
	if cn == host {
		return cn != ""
	}
	suffix, wild := strings.CutPrefix(cn, "*.")
	_, parent, ok := strings.Cut(host, ".")
	return wild && ok && parent == suffix
}

// use marks a key pair as served and returns its name.
func (kp *keyPair) use() string {
	kp.used = true
	return kp.Name
}

// served lists the certificates in use.
func (cs *certificates) served() []model.Certificate {
	var out []model.Certificate
	for _, kp := range cs.read {
		if kp.used {
			out = append(out, kp.Certificate)
		}
	}
	slices.SortFunc(out, func(a, b model.Certificate) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// checkAll reads the TLS Secrets that nobody refers to, so that a bad one is told
// before it is needed.
func (cs *certificates) checkAll() {
	for _, e := range cs.o.secrets.sorted() {
		if e.value.Type == corev1.SecretTypeTLS {
			cs.get(e.id)
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
