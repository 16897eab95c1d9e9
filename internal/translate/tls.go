package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// secure decides the certificates of the hosts of one Ingress that has TLS entries.
// The first such Ingress of a host decides, whatever comes of it; the catch-all
// always has the default certificate.
func (s *servers) secure(src *source) {
	if len(src.value.Spec.TLS) == 0 {
		return
	}
	named := map[string]bool{}
	for i, rule := range src.value.Spec.Rules {
		name, ok := src.host(nil, i, rule.Host)
		named[name] = true
		if h := s.hosts[name]; ok && name != "" && !h.decided {
			h.decided, h.TLS = true, true
			h.Certificate = s.certificate(src, i, name)
		}
	}
	for i, entry := range src.value.Spec.TLS {
		for j, host := range entry.Hosts {
			if !named[strings.ToLower(host)] {
				field := fmt.Sprintf("spec.tls[%d].hosts[%d]", i, j)
				s.r.add(model.Info, src.at(field), field, host, "no rule of the Ingress is for this host, so the entry has no effect on it", "")
			}
		}
	}
}

// certificate returns the name of the certificate for the host of rule i, or "" for
// the default one.
func (s *servers) certificate(src *source, i int, host string) string {
	const effect = "; the default certificate is served"
	for j, entry := range src.value.Spec.TLS {
		if !slices.ContainsFunc(entry.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
			continue
		}
		field := fmt.Sprintf("spec.tls[%d].secretName", j)
		if entry.SecretName == "" {
			s.r.add(model.Info, src.at(field), field, "", "no Secret is named"+effect, "")
			return ""
		}
		kp := s.certs.get(id{src.id.namespace, entry.SecretName})
		switch {
		case kp.err != "":
			s.r.add(model.Warning, src.at(field), field, entry.SecretName, kp.err+effect, "put a key pair for the host into the Secret")
			return ""
		case !kp.covers(host):
			s.r.add(model.Warning, src.at(field), field, entry.SecretName,
				fmt.Sprintf("the certificate is for %s and not for the host %q%s", strings.Join(kp.Names, ", "), host, effect),
				"name a Secret whose certificate is for the host")
			return ""
		}
		return kp.use()
	}
	for _, entry := range src.value.Spec.TLS {
		if entry.SecretName == "" {
			continue
		}
		if kp := s.certs.get(id{src.id.namespace, entry.SecretName}); kp.covers(host) {
			return kp.use()
		}
	}
	field := ruleField(i) + ".host"
	s.r.add(model.Warning, src.at(field), field, host, "no TLS entry of the Ingress is for this host, and it counts as one of TLS all the same"+effect,
		"add the host to a TLS entry")
	return ""
}

// defaultCertificate returns the name of --default-ssl-certificate, or "".
func (s *servers) defaultCertificate() string {
	i, err := parseID(s.c.DefaultSSLCertificate)
	if s.c.DefaultSSLCertificate == "" || err != nil {
		return ""
	}
	kp := s.certs.get(i)
	if kp.err != "" {
		at, field := s.c.at("default-ssl-certificate")
		s.r.add(model.Warning, at, field, s.c.DefaultSSLCertificate, kp.err+"; a certificate made at start is served", "put a key pair into the Secret")
		return ""
	}
	return kp.use()
}
