package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// secure decides the certificate of a host by one rule, when its Ingress has TLS
// entries. The first such rule decides, whatever comes of it; the catch-all always has
// the default certificate.
func (b *hostBuilder) secure(p part) {
	if len(p.src.value.Spec.TLS) == 0 || b.name == "" || b.TLS {
		return
	}
	b.TLS = true
	if b.pair = b.certificate(p.src, p.rule, b.name); b.pair != nil {
		b.Certificate = b.pair.Name
	}
}

// idleTLS tells which TLS entries are for none of the rules' hosts.
func (src *source) idleTLS(r *report) {
	if len(src.value.Spec.TLS) == 0 {
		return
	}
	named := map[string]bool{}
	for i := range src.rules {
		if h := src.rules[i].host; h != nil {
			named[h.name] = true
		} else {
			named[""] = true
		}
	}
	for i, entry := range src.value.Spec.TLS {
		for j, host := range entry.Hosts {
			if !named[strings.ToLower(host)] {
				field := fmt.Sprintf("spec.tls[%d].hosts[%d]", i, j)
				r.add(model.Info, src.at(field), field, host, "no rule of the Ingress is for this host, so the entry has no effect on it", "")
			}
		}
	}
}

// certificate returns the key pair for the host of rule i, or nil for the default one.
func (b *hostBuilder) certificate(src *source, i int, host string) *pair {
	const effect = "; the default certificate is served"
	for j, entry := range src.value.Spec.TLS {
		if !slices.ContainsFunc(entry.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
			continue
		}
		field := fmt.Sprintf("spec.tls[%d].secretName", j)
		if entry.SecretName == "" {
			b.r.add(model.Info, src.at(field), field, "", "no Secret is named"+effect, "")
			return nil
		}
		p := b.look(id{src.id.namespace, entry.SecretName})
		switch {
		case p.err != "":
			b.r.add(model.Warning, src.at(field), field, entry.SecretName, p.err+effect, "put a key pair for the host into the Secret")
			return nil
		case !p.covers(host):
			b.r.add(model.Warning, src.at(field), field, entry.SecretName,
				fmt.Sprintf("the certificate is for %s and not for the host %q%s", strings.Join(p.Names, ", "), host, effect),
				"name a Secret whose certificate is for the host")
			return nil
		}
		return p
	}
	for _, entry := range src.value.Spec.TLS {
		if entry.SecretName == "" {
			continue
		}
		if p := b.look(id{src.id.namespace, entry.SecretName}); p.covers(host) {
			return p
		}
	}
	field := ruleField(i) + ".host"
	b.r.add(model.Warning, src.at(field), field, host, "no TLS entry of the Ingress is for this host, and it counts as one of TLS all the same"+effect,
		"add the host to a TLS entry")
	return nil
}

// look returns the key pair of a Secret, and remembers that the host was made from it.
func (b *hostBuilder) look(i id) *pair {
	p := b.s.m.pair(i)
	p.users++
	b.pairs = append(b.pairs, p)
	return p
}

// defaultCertificate returns the name of --default-ssl-certificate, or "".
func (s *servers) defaultCertificate() string {
	i, err := parseID(s.c.DefaultSSLCertificate)
	if s.c.DefaultSSLCertificate == "" || err != nil {
		return ""
	}
	p := s.m.pair(i)
	s.m.keep(p)
	if p.err != "" {
		at, field := s.c.at("default-ssl-certificate")
		s.r.add(model.Warning, at, field, s.c.DefaultSSLCertificate, p.err+"; a certificate made at start is served", "put a key pair into the Secret")
		return ""
	}
	s.m.served.call(p)
	return p.Name
}
