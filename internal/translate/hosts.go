package translate

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// servers folds the Ingresses of one controller into hosts with routes, in the order
// and by the rules of ingress-nginx: the first Ingress decides.
type servers struct {
	m      *Memo
	k      *ledger
	o      *Objects
	noting *Objects // the same, and what is looked up is noted
	c      *controller
	r      *report

	afresh  bool    // the settings are others than the last time
	changed []*host // that are not what they were
	renamed bool    // names came or went, or may be aliases or twins of another host now
}

// target is where requests go.
type target struct {
	upstream *upstream // nil: the controller answers itself
	service  string
	port     string
}

// name returns the name of the upstream, or "".
func (t target) name() string {
	if t.upstream == nil {
		return ""
	}
	return t.upstream.Name
}

// collect takes what changed of the Ingresses and of what they lead to.
func (s *servers) collect() {
	s.m.stirHost(s.k, s.host("")) // the catch-all is always there
	s.take()
	s.seek()
	s.defaultBackend()
}

// build brings the hosts up to date whose rules changed, or all where something changed
// that counts for all of them.
func (s *servers) build() {
	fallback := target{}
	if s.k.own != nil {
		fallback = s.k.own.backends[0].target()
	}
	if s.afresh || s.m.renewed || fallback != s.k.fallback {
		for _, h := range s.k.hosts {
			s.m.stirHost(s.k, h)
		}
	}
	s.k.fallback = fallback
	for _, h := range s.k.stirred {
		s.finish(h)
	}
	if s.renamed || s.afresh {
		s.dropAliases()
		s.addTwins()
	}
}

// catchAll tells whether an Ingress is for requests of any host.
func catchAll(in *ingress) bool {
	return in.Spec.DefaultBackend != nil || slices.ContainsFunc(in.Spec.Rules, func(r networkingv1.IngressRule) bool { return r.Host == "" })
}

// readCatchAll returns what the annotations of an Ingress come to on the catch-all.
func (s *servers) readCatchAll(src *source) *policy.Result {
	if src.catchAll == nil {
		result := s.c.readRoute(s.noting, src.entry, forCatchAll(src.value.Annotations))
		src.catchAll, src.reads = &result, append(src.reads, s.noting.noted()...)
	}
	return src.catchAll
}

// target returns where a backend leads.
func (b *backend) target() target {
	return target{upstream: b.lead.upstream, service: b.service.name, port: b.port}
}

// defaultBackend finds the Service of --default-backend-service, by its first port.
func (s *servers) defaultBackend() {
	had := s.k.own
	s.k.own = s.readDefaultBackend()
	if had != nil {
		s.m.usesNoLonger(had)
	}
	if s.k.own != nil {
		s.m.uses(s.k.own)
	}
}

// readDefaultBackend returns what the controller's own backend comes to, or nil.
func (s *servers) readDefaultBackend() *source {
	i, err := parseID(s.c.DefaultBackendService)
	if s.c.DefaultBackendService == "" || err != nil {
		return nil
	}
	at, field := s.c.at("default-backend-service")
	svc := s.o.service(i)
	if svc == nil || len(svc.value.Spec.Ports) == 0 {
		reason := s.o.missing("Service", i)
		if svc != nil {
			reason = fmt.Sprintf("Service %s has no port", i)
		}
		s.r.add(model.Warning, at, field, s.c.DefaultBackendService,
			reason+"; requests that no rule takes are answered 404", "add the Service or remove the flag")
		return nil
	}
	b := &backend{
		service: i, port: fmt.Sprint(svc.value.Spec.Ports[0].Port),
		at: func(string) model.Origin { return at }, nameField: field, portField: field,
	}
	own := &source{settings: s.settings(s.c.plain.Upstream), backends: []*backend{b}}
	b.lead = s.lead(b, own.settings.protocol)
	own.found = []found{b.find(s.o, s.r, s.m.opt, own.settings)}
	return own
}

// host returns the host of that name, named by a rule or not.
func (s *servers) host(name string) *host { return s.k.host(name) }

func (k *ledger) host(name string) *host {
	h := k.hosts[name]
	if h == nil {
		h = newHost(name)
		k.hosts[name] = h
	}
	return h
}

// rulesOf goes through the hosts that an Ingress has rules for.
func (k *ledger) rulesOf(src *source) iter.Seq2[*host, int] {
	return func(yield func(*host, int) bool) {
		if src.fallback != nil && len(src.rules) == 0 {
			yield(k.host(""), wholeHost)
			return
		}
		for i := range src.rules {
			if h := src.rules[i].host; h != nil && !yield(h, i) {
				return
			}
		}
	}
}

// stirHost has a host looked at in this translation.
func (m *Memo) stirHost(k *ledger, h *host) {
	if h.stirred != m.turn {
		h.stirred = m.turn
		k.stirred = append(k.stirred, h)
	}
}

// stirHosts has all hosts of an Ingress looked at; src may be the controller's own.
func (m *Memo) stirHosts(k *ledger, src *source) {
	if src.entry == nil {
		return // its target is compared
	}
	for h := range k.rulesOf(src) {
		m.stirHost(k, h)
	}
}

// compareParts orders the rules of a host, the oldest first.
func compareParts(a, b part) int {
	if a.src == b.src {
		return cmp.Compare(a.rule, b.rule)
	}
	return byAge(a.src.entry, b.src.entry)
}

// finish brings a host up to date, or forgets it when no rule names it.
func (s *servers) finish(h *host) {
	if len(h.parts) == 0 && h.name != "" {
		s.forget(h)
		return
	}
	slices.SortFunc(h.parts, compareParts)
	if h.holders == 0 {
		s.k.roll.hold(h)
		s.renamed = true
	}
	if h.holds(s) {
		return
	}
	had := *h
	s.assemble(h)
	s.renamed = s.renamed || had.twin || h.twin || !h.keepsAliases(&had)
	note(s.k.aliased, h, len(h.Aliases) > 0)
	note(s.k.twinned, h, h.twin)
	note(s.k.handing, h, h.Passthrough != "")
	switch {
	case len(h.Aliases) == 0:
		s.publish(h, nil)
	case h.keepsAliases(&had):
		s.publish(h, h.Aliases)
	}
}

// keepsAliases tells whether the host has all the aliases that it asks for, since it had
// them before, and nobody came before it. Then it makes no difference to others either.
func (h *host) keepsAliases(had *host) bool {
	if len(h.Aliases) == 0 && len(had.Aliases) == 0 {
		return true
	}
	return had.published > 0 && slices.Equal(h.Aliases, had.Aliases) && slices.Equal(had.Aliases, had.out.Aliases) &&
		h.from[0].rule == had.from[0].rule && byAge(h.from[0].src.entry, had.from[0].src.entry) == 0
}

// note adds a host to a set or takes it away.
func note(set map[*host]bool, h *host, is bool) {
	if is {
		set[h] = true
	} else {
		delete(set, h)
	}
}

// forget takes a host away.
func (s *servers) forget(h *host) {
	s.renamed = true
	s.letGo(h)
	s.m.telling.tell(h.told, nil)
	if h.holders > 0 {
		s.k.roll.release(h)
	}
	delete(s.k.hosts, h.name)
	delete(s.k.aliased, h)
	delete(s.k.twinned, h)
	delete(s.k.handing, h)
}

// letGo gives back what a host was made of.
func (s *servers) letGo(h *host) {
	for _, u := range h.upstreams {
		s.m.used.release(u)
	}
	if h.pair != nil {
		s.m.served.release(h.pair)
	}
	for _, p := range h.pairs {
		s.m.drop(p)
	}
}

// publish gives a host the aliases that it may have. A host that is the same as the
// last time keeps its lists.
func (s *servers) publish(h *host, aliases []string) {
	if h.published >= h.built && slices.Equal(aliases, h.out.Aliases) {
		return
	}
	out := h.Host
	out.Aliases = aliases
	h.out = &out
	h.published = s.m.turn
	s.changed = append(s.changed, h)
}

// compareNamed orders hosts as rules name them first.
func compareNamed(a, b *host) int {
	switch {
	case a == b:
		return 0
	case a.name == "":
		return -1
	case b.name == "":
		return 1
	}
	return compareParts(a.parts[0], b.parts[0])
}

// inOrder lists the hosts of a set as rules name them first.
func inOrder(set map[*host]bool) []*host {
	list := make([]*host, 0, len(set))
	for h := range set {
		list = append(list, h)
	}
	slices.SortFunc(list, compareNamed)
	return list
}

// dropAliases removes names that are hosts of their own, and those that an earlier
// host has.
func (s *servers) dropAliases() {
	owner, r := map[string]string{}, &report{}
	for _, h := range inOrder(s.k.aliased) {
		var kept []string
		for _, alias := range h.Aliases {
			other, taken := owner[alias]
			if s.k.hosts[alias] != nil {
				other, taken = alias, true
			}
			if !taken {
				owner[alias] = h.name
				kept = append(kept, alias)
				continue
			}
			field := h.named.annotation("server-alias")
			r.add(model.Warning, h.named.at(field), field, alias,
				fmt.Sprintf("the alias is not served: it belongs to the host %q", other), "remove the alias")
		}
		s.publish(h, kept)
	}
	s.k.aliasTold = s.m.telling.tell(s.k.aliasTold, r.told())
}

// result returns the hosts as the model has them.
func (s *servers) result() []*model.Host {
	list, moved := s.k.roll.end()
	switch {
	case moved:
		s.k.list = make([]*model.Host, len(list))
		for i, h := range list {
			h.place, s.k.list[i] = i, h.out
		}
	case len(s.changed) > 0:
		s.k.list = slices.Clone(s.k.list) // that of the last time is in use
		for _, h := range s.changed {
			s.k.list[h.place] = h.out
		}
	}
	return s.k.list
}

// handedOn returns those whose TLS connections are handed on.
func (s *servers) handedOn() (list []*model.Host) {
	for h := range s.k.handing {
		list = append(list, h.out)
	}
	slices.SortFunc(list, func(a, b *model.Host) int { return strings.Compare(a.Name, b.Name) })
	return list
}
