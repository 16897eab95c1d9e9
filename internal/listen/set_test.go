package listen_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/listen"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
)

func TestApply(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, certificates(t, nil, ""))
		before := f.addr("http")
		kept := f.dial("http")
		get(t, kept, "/")

		f.settings(func(s *model.Settings) { s.KeepAliveRequests = 3 })
		if f.addr("http") != before {
			t.Error("a change of settings opened another socket")
		}
		get(t, kept, "/") // a change of settings closes nothing
		if status, _ := get(t, kept, "/"); status != 200 {
			t.Errorf("answer is %d", status)
		}
		ends(t, kept) // the third request was the last: the new settings count

		idle := f.dial("http")
		get(t, idle, "/")
		f.want = f.want[1:]
		f.apply()
		ends(t, idle)
		if c, err := net.Dial("tcp", before); err == nil {
			c.Close()
			t.Error("a listener that is gone still accepts")
		}
	})
}

func TestPortTaken(t *testing.T) {
	f := start(t, loop.DefaultKind(), certificates(t, nil, ""))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.Addr().(*net.TCPAddr).AddrPort()
	third := f.want[0]
	third.Name, third.Bind = "third", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), at.Port())
	fs := f.set.Apply(append(f.want, third))
	if len(fs) != 1 || fs[0].Name != "third" || !strings.Contains(fs[0].Err.Error(), "address already in use") {
		t.Fatalf("failures are %v", fs)
	}
	get(t, f.dial("http"), "/") // the others do not mind
	taken.Close()
	for begin := time.Now(); len(f.set.Failures()) > 0; { // it is tried again
		if time.Since(begin) > patience {
			t.Fatal("the listener was not tried again")
		}
		if c, err := net.Dial("tcp", at.String()); err == nil {
			c.Close()
		}
	}
	get(t, f.dial("third"), "/")
}

func TestDrain(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, certificates(t, nil, ""))
		at := f.addr("http")
		idle, secure, busy := f.dial("http"), f.shake("x.test"), f.dial("http")
		get(t, idle, "/")
		get(t, secure, "/")
		io.WriteString(busy, "GET /wait HTTP/1.1\r\nHost: h.test\r\n\r\n")
		<-f.facts.waiting

		drained := make(chan error, 1)
		go func() { drained <- f.set.Drain(context.Background()) }()
		ends(t, idle)
		ends(t, secure)
		if c, err := net.Dial("tcp", at); err == nil {
			c.Close()
			t.Error("a draining set accepts")
		}
		select {
		case err := <-drained:
			t.Fatalf("drained with a request in hand: %v", err)
		default:
		}
		f.facts.goOn <- true
		if status, _ := read(t, busy); status != 200 {
			t.Errorf("the request in hand got %d", status)
		}
		ends(t, busy)
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if n := f.set.Counts().Active; n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

func TestDrainTimeout(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, certificates(t, nil, ""))
		f.settings(func(s *model.Settings) { s.DrainTimeout = 50 * time.Millisecond })
		busy := f.dial("http")
		io.WriteString(busy, "GET /wait HTTP/1.1\r\nHost: h.test\r\n\r\n")
		<-f.facts.waiting
		if err := f.set.Drain(context.Background()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("drain answers %v", err)
		}
		ends(t, busy)
		f.facts.goOn <- true
	})
}

func TestDrainHTTP2(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, certificates(t, nil, ""))
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
		defer tr.CloseIdleConnections()
		answer := make(chan *http.Response, 1)
		go func() {
			resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get("https://" + f.addr("https") + "/wait")
			if err != nil {
				t.Error(err)
				resp = &http.Response{Body: http.NoBody}
			}
			answer <- resp
		}()
		<-f.facts.waiting
		drained := make(chan error, 1)
		go func() { drained <- f.set.Drain(context.Background()) }()
		f.facts.goOn <- true
		resp := <-answer
		defer resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != 200 {
			t.Errorf("answer is %v", resp)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

var _ listen.Service = (*facts)(nil)

// TestReading: a connection of which half a request head is here counts as one that is
// read, until the rest has come, is refused, or never will.
func TestReading(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, certificates(t, nil, ""))
		becomes := func(want int64) {
			t.Helper()
			for end := time.Now().Add(patience); f.set.Counts().Reading != want; {
				if time.Now().After(end) {
					t.Fatalf("%d connections are read, want %d", f.set.Counts().Reading, want)
				}
			}
		}
		idle := f.dial("http")
		get(t, idle, "/")
		whole, refused, left := f.dial("http"), f.dial("http"), f.dial("http")
		for _, c := range []net.Conn{whole, refused, left} {
			io.WriteString(c, "GET / HTTP/1.1\r\n")
		}
		becomes(3)
		io.WriteString(whole, "Host: h.test\r\n\r\n")
		if status, _ := read(t, whole); status != 200 {
			t.Errorf("the answer is %d", status)
		}
		becomes(2)
		io.WriteString(refused, "no field\r\n\r\n")
		if status, _ := read(t, refused); status != 400 {
			t.Errorf("the answer is %d", status)
		}
		becomes(1)
		left.Close()
		becomes(0)
	})
}
