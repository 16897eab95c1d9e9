package service

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"

	"github.com/pierhead/pierhead/e2e/netns"
)

// Zone is the domain of the cluster.
const Zone = "cluster.local."

// DNS answers for the names of Services: name.namespace.svc.cluster.local, with the
// endpoints' names before it for headless ones, SRV records of named ports, and a CNAME
// for an external name. It knows nothing of the world outside.
type DNS struct {
	Table *Table
	In    *netns.Namespace
	Addr  netip.AddrPort
}

// Run serves UDP and TCP until ctx is done.
func (d *DNS) Run(ctx context.Context) error {
	a, err := newAddresses(d.In)
	if err != nil {
		return err
	}
	defer a.close()
	if err := a.add(d.Addr.Addr()); err != nil {
		return err
	}
	pc, err := d.In.ListenPacket("udp", d.Addr.String())
	if err != nil {
		return err
	}
	l, err := d.In.Listen("tcp", d.Addr.String())
	if err != nil {
		pc.Close()
		return err
	}
	ended := make(chan error, 2)
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: dns.HandlerFunc(d.serve)}, {Listener: l, Handler: dns.HandlerFunc(d.serve)}} {
		go func() { ended <- s.ActivateAndServe() }()
	}
	left := 2
	select {
	case err = <-ended:
		left--
	case <-ctx.Done():
	}
	pc.Close()
	l.Close()
	for range left {
		<-ended
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (d *DNS) serve(w dns.ResponseWriter, q *dns.Msg) {
	r := new(dns.Msg).SetReply(q)
	r.Authoritative, r.RecursionAvailable = true, true // resolvers ask for recursion; there is nothing to recurse to
	if len(q.Question) == 1 {
		d.answer(r, q.Question[0], 0)
	} else {
		r.Rcode = dns.RcodeFormatError
	}
	if w.LocalAddr().Network() == "udp" {
		size := uint16(dns.MinMsgSize)
		if opt := q.IsEdns0(); opt != nil {
			size = max(size, opt.UDPSize())
			r.SetEdns0(4096, false)
		}
		r.Truncate(int(size))
	}
	w.WriteMsg(r)
}

// answer adds the records for a question; depth counts the external names on the way.
func (d *DNS) answer(r *dns.Msg, q dns.Question, depth int) {
	name := strings.ToLower(q.Name)
	head, inside := strings.CutSuffix(name, ".svc."+Zone)
	labels := strings.Split(head, ".")
	if !inside || len(labels) < 2 {
		r.Rcode = dns.RcodeNameError
		return
	}
	namespace, service, before := labels[len(labels)-1], labels[len(labels)-2], labels[:len(labels)-2]
	s, err := d.Table.services.Services(namespace).Get(service)
	if err != nil {
		r.Rcode = dns.RcodeNameError
		return
	}
	switch {
	case s.Spec.Type == corev1.ServiceTypeExternalName && len(before) == 0:
		target := dns.Fqdn(s.Spec.ExternalName)
		r.Answer = append(r.Answer, &dns.CNAME{Hdr: header(q.Name, dns.TypeCNAME), Target: target})
		if depth < 8 && strings.HasSuffix(strings.ToLower(target), ".svc."+Zone) {
			d.answer(r, dns.Question{Name: target, Qtype: q.Qtype, Qclass: q.Qclass}, depth+1)
		}
	case len(before) == 0:
		addrList(d.addrs(s, "")).answer(r, q)
	case len(before) == 1:
		found := d.addrs(s, before[0])
		if len(found) == 0 {
			r.Rcode = dns.RcodeNameError
			return
		}
		addrList(found).answer(r, q)
	case len(before) == 2 && strings.HasPrefix(before[0], "_"):
		d.ports(r, q, s, before[0][1:], strings.TrimPrefix(before[1], "_"))
	default:
		r.Rcode = dns.RcodeNameError
	}
}

// addrs returns the cluster IP of a Service, or the endpoints of a headless one; host
// limits them to the one of that name.
func (d *DNS) addrs(s *corev1.Service, host string) (out []netip.Addr) {
	if s.Spec.ClusterIP != corev1.ClusterIPNone {
		if a, err := netip.ParseAddr(s.Spec.ClusterIP); err == nil && host == "" {
			return []netip.Addr{a}
		}
		return nil
	}
	seen := map[netip.Addr]bool{}
	ports := s.Spec.Ports
	if len(ports) == 0 {
		ports = []corev1.ServicePort{{}}
	}
	for _, p := range ports {
		found, err := d.Table.endpoints(s.Namespace, s.Name, p.Name, s.Spec.PublishNotReadyAddresses)
		if err != nil {
			return nil
		}
		for _, e := range found {
			if a := e.addr.Addr(); !seen[a] && (host == "" || host == e.name || host == strings.ReplaceAll(a.String(), ".", "-")) {
				seen[a] = true
				out = append(out, a)
			}
		}
	}
	return out
}

// ports adds the SRV record of a named port.
func (d *DNS) ports(r *dns.Msg, q dns.Question, s *corev1.Service, port, protocol string) {
	for _, p := range s.Spec.Ports {
		if p.Name != port || !strings.EqualFold(string(p.Protocol), protocol) {
			continue
		}
		if q.Qtype == dns.TypeSRV {
			r.Answer = append(r.Answer, &dns.SRV{Hdr: header(q.Name, dns.TypeSRV), Weight: 100, Port: uint16(p.Port),
				Target: s.Name + "." + s.Namespace + ".svc." + Zone})
		}
		return
	}
	r.Rcode = dns.RcodeNameError
}

// addrList is an answer of addresses.
type addrList []netip.Addr

func (l addrList) answer(r *dns.Msg, q dns.Question) {
	for _, a := range l {
		switch {
		case q.Qtype == dns.TypeA && a.Is4():
			r.Answer = append(r.Answer, &dns.A{Hdr: header(q.Name, dns.TypeA), A: net.IP(a.AsSlice())})
		case q.Qtype == dns.TypeAAAA && a.Is6():
			r.Answer = append(r.Answer, &dns.AAAA{Hdr: header(q.Name, dns.TypeAAAA), AAAA: net.IP(a.AsSlice())})
		}
	}
}

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 1}
}
