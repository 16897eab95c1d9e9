package l4

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// twin is a heritage whose sockets another process has too.
type twin struct {
	mu    sync.Mutex
	heirs map[netip.AddrPort]*net.UDPConn
}

// ListenUDP opens a socket, and a copy of it.
func (h *twin) ListenUDP(network string, at netip.AddrPort) (*net.UDPConn, error) {
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	f, err := c.File()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	copied, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heirs[c.LocalAddr().(*net.UDPAddr).AddrPort()] = copied.(*net.UDPConn)
	return c, nil
}

func (h *twin) LeftUDP(_ string, at netip.AddrPort) bool { return h.heir(at) != nil }

func (h *twin) heir(at netip.AddrPort) *net.UDPConn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.heirs[at]
}

// A port that another process goes on with is read by that one alone, and the answers to
// what was asked before come all the same.
func TestLeftToAnother(t *testing.T) {
	server, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	h := &twin{heirs: map[netip.AddrPort]*net.UDPConn{}}
	g := NewDatagrams(h)
	o := UDPOptions{Find: func() []netip.AddrPort { return []netip.AddrPort{server.LocalAddr().(*net.UDPAddr).AddrPort()} }, Idle: time.Minute, Responses: 1}
	if errs := g.Apply([]DesiredUDP{{Key: "p", Listen: loopback, UDPOptions: o}}); errs != nil {
		t.Fatal(errs)
	}
	at := g.Stats()[0].Listen
	heir := h.heir(at)
	defer heir.Close()
	client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.Write([]byte("before"))
	buf := make([]byte, 64)
	server.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, session, err := server.ReadFromUDPAddrPort(buf)
	if string(buf[:n]) != "before" {
		t.Fatalf("the server hears %q, %v", buf[:n], err)
	}
	closed := make(chan error, 1)
	go func() { closed <- g.Close(t.Context()) }()
	g.mu.Lock()
	p := g.ports[placeOf(Desired{Key: "p", Listen: loopback})]
	g.mu.Unlock()
	if p != nil {
		<-p.unread
	}
	client.Write([]byte("after"))
	heir.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := heir.Read(buf); string(buf[:n]) != "after" {
		t.Errorf("the process after hears %q, %v", buf[:n], err)
	}
	server.WriteToUDPAddrPort([]byte("answer"), session)
	client.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := client.Read(buf); string(buf[:n]) != "answer" {
		t.Errorf("the client hears %q, %v", buf[:n], err)
	}
	if err := <-closed; err != nil {
		t.Errorf("it is closed with %v", err)
	}
}
