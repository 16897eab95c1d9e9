package translate

import (
	"bytes"
	"crypto/x509"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// checkChain tells when clients cannot follow the certificates of a Secret to somebody
// they trust: one that stands in the wrong place, or an intermediate that is missing. None
// is ever fetched: the address of it would be one that whoever may write a Secret chooses.
func (p *pair) checkChain(r *report, e *entry[corev1.Secret], chain [][]byte) {
	field := "data[" + corev1.TLSCertKey + "]"
	if _, ok := e.value.StringData[corev1.TLSCertKey]; ok {
		field = "stringData[" + corev1.TLSCertKey + "]"
	}
	certs := make([]*x509.Certificate, 0, len(chain))
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return // what is behind the first one is not our business
		}
		certs = append(certs, c)
	}
	for i := 1; i < len(certs); i++ {
		if !bytes.Equal(certs[i-1].RawIssuer, certs[i].RawSubject) {
			r.add(model.Warning, e.at(field), field, "",
				fmt.Sprintf("certificate %d of the chain, %q, has not issued the one before it: clients may refuse it", i+1, certs[i].Subject.String()),
				"put the certificates in order: the host's first, then who issued it")
			return
		}
	}
	last := certs[len(certs)-1]
	if len(certs) == 1 && !bytes.Equal(last.RawIssuer, last.RawSubject) && len(last.IssuingCertificateURL) > 0 {
		r.add(model.Warning, e.at(field), field, "",
			fmt.Sprintf("the chain is not complete: the certificate of its issuer %q is missing, and clients that do not know it refuse the connection", last.Issuer.String()),
			"append the issuer's certificate to "+corev1.TLSCertKey)
	}
}
