package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// The labels and annotations that ask for names in the DNS.
const (
	mapperLabel = "dns" // with the value route53
	mapperNote  = "domainName"
)

// externalDNSNotes mean the same to another program.
var externalDNSNotes = []string{"external-dns.kubernetes.io/hostname", "external-dns.alpha.kubernetes.io/hostname"}

// claim is a wish for a name, with what decides between several.
type claim struct {
	model.NameClaim
	svc *entry[corev1.Service]
}

// claims reads the names that Services ask for, unless no Service changed.
func (m *Memo) claims(o *Objects) []model.NameClaim {
	if !m.same(ofService) {
		r := &report{}
		m.names = settle(m.names, names(o, r))
		m.namesTold = m.telling.tell(m.namesTold, r.told())
	}
	return m.names
}

// names reads the names that Services ask for, each once a Service. Of several
// claims for a name the oldest comes first; who gets it in which zone is decided
// where the zones are known.
func names(o *Objects, r *report) []model.NameClaim {
	var cs []claim
	for _, svc := range o.services.where(asksForNames).sorted() {
		cs = append(cs, claimsOf(svc, r)...)
	}
	slices.SortStableFunc(cs, func(a, b claim) int {
		return cmp.Or(
			cmp.Compare(a.Name, b.Name),
			a.svc.value.CreationTimestamp.Compare(b.svc.value.CreationTimestamp.Time),
			cmp.Compare(a.Origin.File, b.Origin.File),
			a.svc.id.compare(b.svc.id),
		)
	})
	var out []model.NameClaim
	for i, c := range cs {
		if i == 0 || cs[i-1].Name != c.Name || cs[i-1].svc != c.svc {
			out = append(out, c.NameClaim)
		}
	}
	return out
}

// asksForNames tells whether a Service may have something to say of names.
func asksForNames(svc *corev1.Service) bool {
	if svc.Labels[mapperLabel] != "" {
		return true
	}
	if len(svc.Annotations) == 0 {
		return false
	}
	_, mapped := svc.Annotations[mapperNote]
	return mapped || slices.ContainsFunc(externalDNSNotes, func(note string) bool { _, noted := svc.Annotations[note]; return noted })
}

// claimsOf reads the names that one Service asks for.
func claimsOf(svc *entry[corev1.Service], r *report) []claim {
	var cs []claim
	notes := svc.value.Annotations
	mapped := svc.value.Labels[mapperLabel] == "route53"
	text, noted := notes[mapperNote]
	switch {
	case mapped && noted:
		cs = append(cs, readNames(svc, mapperNote, text, r)...)
	case mapped:
		r.add(model.Warning, svc.at("metadata.labels["+mapperLabel+"]"), "metadata.labels["+mapperLabel+"]", "route53",
			"the label has no effect without the annotation "+mapperNote, "add the annotation "+mapperNote)
	case noted:
		r.add(model.Warning, svc.at(noteField(mapperNote)), noteField(mapperNote), text,
			"the annotation has no effect without the label dns: route53", "add the label dns: route53")
	}
	for _, note := range externalDNSNotes {
		if text, ok := notes[note]; ok {
			cs = append(cs, readNames(svc, note, text, r)...)
		}
	}
	return cs
}

// readNames reads one annotation: names with commas between them.
func readNames(svc *entry[corev1.Service], note, text string, r *report) []claim {
	field := noteField(note)
	at := svc.at(field)
	if svc.value.Spec.Type != corev1.ServiceTypeLoadBalancer {
		r.add(model.Error, at, field, text, "the names are not served: only a Service of type LoadBalancer has an address for them",
			"set spec.type: LoadBalancer or remove the annotation")
		return nil
	}
	var cs []claim
	for part := range strings.SplitSeq(text, ",") {
		name, err := readName(part)
		if err != nil {
			r.add(model.Error, at, field, part, fmt.Sprintf("the name is not served: %v", err), "write names such as app.example.com, with commas between them")
			continue
		}
		cs = append(cs, claim{model.NameClaim{Name: name, LoadBalancer: svc.id.String(), Origin: at}, svc})
	}
	return cs
}

// readName reads one name. A dot before it means the name itself.
func readName(text string) (string, error) {
	name := strings.TrimSpace(text)
	name = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(name, "."), "."))
	switch {
	case name == "":
		return "", fmt.Errorf("it is empty")
	case isAddress(name):
		return "", fmt.Errorf("an address is no name")
	case len(name) > 253:
		return "", fmt.Errorf("it is longer than 253 letters")
	}
	labels := strings.Split(name, ".")
	if len(labels) < 2 {
		return "", fmt.Errorf("it has no dot")
	}
	for i, l := range labels {
		if l == "*" && i == 0 && len(labels) > 2 {
			continue
		}
		if err := checkLabel(l); err != nil {
			return "", err
		}
	}
	return name, nil
}

// checkLabel checks the part of a name between two dots.
func checkLabel(l string) error {
	switch {
	case l == "":
		return fmt.Errorf("it has two dots in a row")
	case len(l) > 63:
		return fmt.Errorf("the part %q is longer than 63 letters", l)
	case strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" || strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-"):
		return fmt.Errorf("the part %q is not made of letters, digits and inner dashes", l)
	}
	return nil
}
