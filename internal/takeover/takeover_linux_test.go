package takeover

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func place(t *testing.T, name string, ask bool) *Place {
	t.Helper()
	p, err := New(name, ask, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(10*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// asks repeats Listen until the process before is there to ask.
func asks(t *testing.T, p *Place, addr string) (ln net.Listener) {
	t.Helper()
	eventually(t, "the socket is handed over", func() bool {
		l, err := p.Listen(addr)
		ln = l
		return err == nil
	})
	t.Cleanup(func() { ln.Close() })
	return ln
}

// A connection in the queue of the first process is served by the second, after the
// first has closed its socket; and so on, from process to process.
func TestSocketsGoOn(t *testing.T) {
	first := place(t, t.Name(), true)
	ln, err := first.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := first.ListenPacket("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	first.Live()
	last, lastLn, at := first, ln, ln.Addr().String()
	for range 3 {
		queued, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer queued.Close()
		next := place(t, t.Name(), true)
		nextLn := asks(t, next, at)
		if !next.Preceded() || last.Preceded() && last == first {
			t.Error("a process does not know whether there is one before it")
		}
		if !last.Left(netip.MustParseAddrPort(at)) {
			t.Error("a socket that was handed over is not left to anybody")
		}
		next.Live()
		<-last.Succeeded()
		lastLn.Close()
		served, err := nextLn.Accept()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(served, "here")
		served.Close()
		if text, err := io.ReadAll(queued); string(text) != "here" {
			t.Errorf("who stood in the queue reads %q, %v", text, err)
		}
		last, lastLn = next, nextLn
	}
	// The second took no UDP socket: that one went with the first.
	pc.Close()
	if pc, err = net.ListenPacket("udp", pc.LocalAddr().String()); err != nil {
		t.Errorf("what nobody took is still in use: %v", err)
	} else {
		pc.Close()
	}
}

// A socket of every address is found again however that is written, and one of UDP is
// read by who goes on with it.
func TestEveryAddress(t *testing.T) {
	first := place(t, t.Name(), true)
	ln, err := first.Listen("0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	udp, err := first.ListenUDP("udp4", netip.MustParseAddrPort("0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	at := bound(udp)
	first.Live()
	if first.Followed() || first.LeftUDP("udp4", at) {
		t.Error("a process without one after it is followed")
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	next := place(t, t.Name(), true)
	asks(t, next, ":"+port)
	heard, err := next.ListenUDP("udp4", at)
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	if !first.LeftUDP("udp4", at) || first.LeftUDP("udp6", at) {
		t.Error("the UDP socket is left to nobody, or one that is not there is")
	}
	next.Live()
	eventually(t, "the first one is followed", first.Followed)
	udp.Close()
	c, err := net.Dial("udp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(at.Port()))))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "hello")
	buf := make([]byte, 16)
	heard.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := heard.Read(buf); string(buf[:n]) != "hello" {
		t.Errorf("the second one hears %q, %v", buf[:n], err)
	}
	next.Close()
	eventually(t, "the first one is not followed any more", func() bool { return !first.Followed() })
}

// A process that ends before it is live changes nothing; the next one is answered.
func TestHeirDies(t *testing.T) {
	first := place(t, t.Name(), true)
	ln, err := first.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	first.Live()
	at := netip.MustParseAddrPort(ln.Addr().String())
	for range 2 {
		heir := place(t, t.Name(), true)
		asks(t, heir, at.String()).Close()
		heir.Close()
		eventually(t, "the process is forgotten", func() bool { return !first.Left(at) })
		select {
		case <-first.Succeeded():
			t.Fatal("a process that never was live succeeds")
		default:
		}
	}
	// One that takes its leave while the first one is there leaves name and sockets to it.
	leaving := place(t, t.Name(), true)
	asks(t, leaving, at.String())
	leaving.Live()
	eventually(t, "the first one is followed", first.Followed)
	leaving.Leave()
	eventually(t, "the first one is not followed any more", func() bool { return !first.Followed() })
	if !leaving.Left(at) {
		t.Error("the socket of a process that is still there would be shut")
	}
	// One that is live and dies before the first ends leaves the name to it again.
	heir := place(t, t.Name(), true)
	asks(t, heir, at.String()).Close()
	heir.Live()
	<-first.Succeeded()
	heir.Close()
	again := place(t, t.Name(), true)
	asks(t, again, at.String())
}

// Who does not ask gets nothing; a nil Place is a process on its own.
func TestAlone(t *testing.T) {
	first := place(t, t.Name(), true)
	ln, err := first.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	first.Live()
	other := place(t, t.Name(), false)
	if _, err := other.Listen(ln.Addr().String()); !inUse(err) {
		t.Errorf("a process that does not ask: %v, want that the address is in use", err)
	}
	if _, ok := other.Take(netip.MustParseAddrPort(ln.Addr().String())); ok {
		t.Error("a process that does not ask got a socket")
	}
	var none *Place
	l, err := none.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	none.Live()
	none.Close()
	if none.Succeeded() != nil || none.Followed() {
		t.Error("a process on its own is succeeded")
	}
	for _, name := range []string{"", "a@b", string(make([]byte, 91))} {
		if _, err := New(name, true, nil); err == nil {
			t.Errorf("name %q is taken", name)
		}
	}
}

// A process that talks something else, or goes silent, gets no socket and does no harm.
func TestStranger(t *testing.T) {
	first := place(t, t.Name(), true)
	ln, err := first.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	first.Live()
	var c *net.UnixConn
	eventually(t, "the name is there", func() bool {
		c, err = net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: first.name, Net: "unixpacket"})
		return err == nil
	})
	defer c.Close()
	say(c, "pierhead 2")
	rights := make([]byte, unix.CmsgSpace(4))
	if n, m, _, _, err := c.ReadMsgUnix(make([]byte, 64), rights); n != 0 || m != 0 {
		t.Errorf("a stranger got %d bytes and %d of rights, %v", n, m, err)
	}
	asks(t, place(t, t.Name(), true), ln.Addr().String())
}
