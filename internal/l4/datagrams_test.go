package l4

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// udpServer answers each datagram with its name and the datagram, so many times.
func udpServer(t *testing.T, name string, times int) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, largest)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			for range times {
				c.WriteToUDPAddrPort(append([]byte(name+" "), buf[:n]...), from)
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// datagrams balances one UDP port until the test ends.
func datagrams(t *testing.T, o UDPOptions) (*Datagrams, netip.AddrPort) {
	t.Helper()
	g := NewDatagrams(nil)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		g.Close(ctx)
	})
	if errs := g.Apply([]DesiredUDP{{Key: "p", Listen: loopback, UDPOptions: o}}); errs != nil {
		t.Fatal(errs)
	}
	return g, g.Stats()[0].Listen
}

// ends gathers how sessions ended.
func ends(o *UDPOptions) <-chan *Session {
	c := make(chan *Session, 100)
	o.Ended = func(s *Session) { c <- s }
	return c
}

func fixed(addrs ...netip.AddrPort) func() []netip.AddrPort {
	return func() []netip.AddrPort { return addrs }
}

func udpClient(t *testing.T, at netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// ask sends a datagram and returns the answer.
func ask(t *testing.T, c *net.UDPConn, text string) string {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return hear(t, c)
}

func hear(t *testing.T, c *net.UDPConn) string {
	t.Helper()
	buf := make([]byte, largest)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func receive(t *testing.T, c <-chan *Session) *Session {
	t.Helper()
	select {
	case s := <-c:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("no session has ended")
		return nil
	}
}

// A session takes one endpoint after the other, ends with the answer that was expected,
// and the next datagram of the same client begins another one.
func TestDatagramsInTurn(t *testing.T) {
	one, two := udpServer(t, "one", 1), udpServer(t, "two", 1)
	o := UDPOptions{Find: fixed(one, two), Idle: time.Hour, Responses: 1}
	done := ends(&o)
	g, at := datagrams(t, o)
	c := udpClient(t, at)
	var names []string
	for i := range 4 {
		names = append(names, ask(t, c, fmt.Sprint(i)))
		if s := receive(t, done); s.Reason != Done || s.In != 1 || s.Out != 5 || s.Client != c.LocalAddr().(*net.UDPAddr).AddrPort() || s.Local != at {
			t.Errorf("session %+v", s)
		}
	}
	if names[0][:3] == names[1][:3] || names[0][:3] != names[2][:3] || names[1][:3] != names[3][:3] {
		t.Errorf("answers %q", names)
	}
	if s := g.Stats()[0]; s.Accepted != 4 || s.In != 4 || s.Out != 20 || s.Closed["done"] != 4 {
		t.Errorf("stats %+v", s)
	}
}

// Where several answers are expected the session stays for them all, and a client that
// goes on asking keeps its endpoint.
func TestDatagramsResponses(t *testing.T) {
	one, two := udpServer(t, "one", 3), udpServer(t, "two", 3)
	o := UDPOptions{Find: fixed(one, two), Idle: time.Hour, Responses: 4}
	done := ends(&o)
	_, at := datagrams(t, o)
	c := udpClient(t, at)
	first := ask(t, c, "x")
	for range 2 {
		if s := hear(t, c); s != first {
			t.Errorf("%q after %q", s, first)
		}
	}
	if s := ask(t, c, "x"); s != first {
		t.Errorf("%q after %q: another session", s, first)
	}
	select {
	case s := <-done:
		t.Errorf("session %+v has ended", s)
	default:
	}
}

// Many datagrams at once, each answered once: none is lost where a session ends.
func TestDatagramsAtOnce(t *testing.T) {
	o := UDPOptions{Find: fixed(udpServer(t, "x", 1), udpServer(t, "x", 1)), Idle: time.Hour, Responses: 1}
	_, at := datagrams(t, o)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := udpClient(t, at)
			for i := range 200 {
				for range 2 {
					c.Write(fmt.Append(nil, i))
				}
				for range 2 {
					if s := hear(t, c); s != fmt.Sprintf("x %d", i) {
						t.Errorf("%d is answered %q", i, s)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestDatagramsWithoutAnswer(t *testing.T) {
	heard := make(chan string, 1)
	sink, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback))
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	o := UDPOptions{Find: fixed(sink.LocalAddr().(*net.UDPAddr).AddrPort()), Idle: time.Hour}
	done := ends(&o)
	_, at := datagrams(t, o)
	go func() { heard <- hear(t, sink) }()
	udpClient(t, at).Write([]byte("log"))
	if s := receive(t, done); s.Reason != Done || s.Out != 0 {
		t.Errorf("session %+v", s)
	}
	if s := <-heard; s != "log" {
		t.Errorf("the endpoint got %q", s)
	}
}

func TestDatagramsIdle(t *testing.T) {
	silent, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	o := UDPOptions{Find: fixed(silent.LocalAddr().(*net.UDPAddr).AddrPort()), Idle: 50 * time.Millisecond, Responses: 1}
	done := ends(&o)
	_, at := datagrams(t, o)
	udpClient(t, at).Write([]byte("x"))
	if s := receive(t, done); s.Reason != Idle || s.End.Sub(s.Begin) < o.Idle {
		t.Errorf("session %+v", s)
	}
}

// Nobody to go to, nobody who listens there.
func TestDatagramsLeadNowhere(t *testing.T) {
	o := UDPOptions{Find: fixed(), Idle: time.Hour, Responses: 1}
	done := ends(&o)
	_, at := datagrams(t, o)
	udpClient(t, at).Write([]byte("x"))
	if s := receive(t, done); s.Reason != NoTarget {
		t.Errorf("without endpoints: %+v", s)
	}
	gone := udpServer(t, "gone", 1)
	o.Find = fixed(netip.AddrPortFrom(netip.MustParseAddr("127.9.9.9"), gone.Port()))
	_, at = datagrams(t, o)
	udpClient(t, at).Write([]byte("x"))
	if s := receive(t, done); s.Reason != Server {
		t.Errorf("an endpoint that refuses: %+v", s)
	}
}

// No more sessions than are allowed: the one whose client is silent for longest goes.
func TestDatagramsBounded(t *testing.T) {
	o := UDPOptions{Find: fixed(udpServer(t, "x", 1)), Idle: time.Hour, Responses: 1 << 20, Sessions: 2}
	done := ends(&o)
	g, at := datagrams(t, o)
	a, b, c := udpClient(t, at), udpClient(t, at), udpClient(t, at)
	ask(t, a, "1")
	ask(t, b, "1")
	ask(t, a, "2")
	ask(t, c, "1")
	if s := receive(t, done); s.Reason != Evicted || s.Client != b.LocalAddr().(*net.UDPAddr).AddrPort() {
		t.Errorf("session %+v has ended", s)
	}
	if s := ask(t, b, "again"); s != "x again" {
		t.Errorf("%q", s)
	}
	if s := receive(t, done); s.Client != a.LocalAddr().(*net.UDPAddr).AddrPort() {
		t.Errorf("session %+v has ended", s)
	}
	if s := g.Stats()[0]; s.Open > 3 || s.Accepted != 4 {
		t.Errorf("stats %+v", s)
	}
}

// Sessions live on when their port goes, none begins, and the port can come back
// meanwhile.
func TestDatagramsApply(t *testing.T) {
	o := UDPOptions{Find: fixed(udpServer(t, "x", 1)), Idle: time.Hour, Responses: 1 << 20}
	done := ends(&o)
	g, at := datagrams(t, o)
	old := udpClient(t, at)
	ask(t, old, "1")
	g.Apply(nil)
	if s := ask(t, old, "2"); s != "x 2" {
		t.Errorf("%q", s)
	}
	fresh := udpClient(t, at)
	fresh.Write([]byte("nobody"))
	ask(t, old, "3") // by now that one was read
	fresh.SetReadDeadline(time.Now())
	if _, err := fresh.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a port that went answers: %v", err)
	}
	fresh.SetReadDeadline(time.Now().Add(10 * time.Second))
	if errs := g.Apply([]DesiredUDP{{Key: "p", Listen: loopback, UDPOptions: o}}); errs != nil {
		t.Fatal(errs)
	}
	if s := ask(t, fresh, "back"); s != "x back" {
		t.Errorf("%q", s)
	}
	closed := make(chan error)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { closed <- g.Close(ctx) }()
	if s := ask(t, old, "4"); s != "x 4" {
		t.Errorf("%q", s)
	}
	cancel()
	if err := <-closed; err != context.Canceled {
		t.Errorf("Close: %v", err)
	}
	for range 2 {
		if s := receive(t, done); s.Reason != Drained {
			t.Errorf("session %+v", s)
		}
	}
	if errs := g.Apply(nil); len(errs) != 1 {
		t.Error("closed Datagrams take ports")
	}
}

func TestDatagramsTakenPort(t *testing.T) {
	taken := udpServer(t, "x", 1)
	g, at := datagrams(t, UDPOptions{Find: fixed(taken), Responses: 1})
	errs := g.Apply([]DesiredUDP{
		{Key: "p", Listen: loopback, UDPOptions: UDPOptions{Find: fixed(taken), Responses: 1}},
		{Key: "q", Listen: taken}, {Key: "r", Listen: taken},
	})
	var keys []string
	for _, e := range errs {
		keys = append(keys, e.Key)
	}
	if !slices.Equal(keys, []string{"q", "r"}) {
		t.Errorf("errors %v", errs)
	}
	if s := ask(t, udpClient(t, at), "1"); s != "x 1" {
		t.Errorf("%q", s)
	}
}

// An answer comes from the address that the client sent to.
func TestDatagramsAnswerFromWhereTheyArrived(t *testing.T) {
	g := NewDatagrams(nil)
	defer g.Close(context.Background())
	o := UDPOptions{Find: fixed(udpServer(t, "x", 1)), Responses: 1}
	if errs := g.Apply([]DesiredUDP{{Key: "p", Listen: netip.MustParseAddrPort("0.0.0.0:0"), UDPOptions: o}}); errs != nil {
		t.Fatal(errs)
	}
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), g.Stats()[0].Listen.Port())
	if s := ask(t, udpClient(t, at), "1"); s != "x 1" { // a connected socket hears nobody else
		t.Errorf("%q", s)
	}
}
