package service

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Annotations by which a Service tells AWS what its load balancer is to be like.
const (
	aws          = "service.beta.kubernetes.io/aws-load-balancer-"
	internalNote = aws + "internal"
	proxyNote    = aws + "proxy-protocol"
	idleNote     = aws + "connection-idle-timeout"
	rangesNote   = "service.beta.kubernetes.io/load-balancer-source-ranges"
)

// A manner is how a load balancer treats its connections. The zero value treats them as a
// cluster IP does.
type manner struct {
	proxyProtocol bool           // version 1, as a classic load balancer of AWS sends it
	idle          time.Duration  // after which a connection without bytes ends; 0: never
	ranges        []netip.Prefix // of clients; nil: all
}

// mannerOf reads what a Service asks for. What cannot be read lets nobody in, as a cloud
// would give such a Service no load balancer.
func mannerOf(s *corev1.Service) manner {
	m := manner{proxyProtocol: s.Annotations[proxyNote] == "*"}
	if n, err := strconv.Atoi(s.Annotations[idleNote]); err == nil && n > 0 {
		m.idle = time.Duration(n) * time.Second
	}
	texts := s.Spec.LoadBalancerSourceRanges
	if note := s.Annotations[rangesNote]; len(texts) == 0 && note != "" {
		texts = strings.Split(note, ",")
	}
	for _, text := range texts {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			p = netip.PrefixFrom(netip.IPv4Unspecified(), 32)
		}
		m.ranges = append(m.ranges, p)
	}
	return m
}

// isInternal says whether a Service asks for a load balancer inside of the network.
func isInternal(s *corev1.Service) bool {
	note := s.Annotations[internalNote]
	return note != "" && note != "false"
}

// admits says whether a client may connect.
func (m *manner) admits(client net.Addr) bool {
	a := client.(*net.TCPAddr).AddrPort().Addr().Unmap()
	return m.ranges == nil || slices.ContainsFunc(m.ranges, func(p netip.Prefix) bool { return p.Contains(a) })
}

// greet tells the upstream who the client is, where that is asked for.
func (m *manner) greet(upstream io.Writer, client *net.TCPConn) error {
	if !m.proxyProtocol {
		return nil
	}
	from, to := client.RemoteAddr().(*net.TCPAddr), client.LocalAddr().(*net.TCPAddr)
	_, err := fmt.Fprintf(upstream, "PROXY TCP4 %s %s %d %d\r\n", from.IP, to.IP, from.Port, to.Port)
	return err
}

// bound ends both connections when neither has carried a byte for as long as the manner
// allows. The two readers are to be read from in their place; stop takes the bound away.
func (m *manner) bound(a, b *net.TCPConn) (fromA, fromB io.Reader, stop func()) {
	if m.idle == 0 {
		return a, b, func() {}
	}
	timer := time.AfterFunc(m.idle, func() {
		a.Close()
		b.Close()
	})
	return &ticking{a, timer, m.idle}, &ticking{b, timer, m.idle}, func() { timer.Stop() }
}

// ticking winds up the timer with every read.
type ticking struct {
	from  io.Reader
	timer *time.Timer
	idle  time.Duration
}

func (t *ticking) Read(b []byte) (int, error) {
	n, err := t.from.Read(b)
	if n > 0 && t.timer.Stop() { // once it has fired, both are closed
		t.timer.Reset(t.idle)
	}
	return n, err
}
