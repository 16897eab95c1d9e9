package rolling

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/net/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/e2e/bed"
)

// What each kind of connection to a Pod sees when the Pod is told to end: docs/install.md
// says it in the same order.
func TestPodDrains(t *testing.T) {
	s, host := application(t)
	pods, err := kube.Pods(t.Context())
	if err != nil || len(pods) == 0 {
		t.Fatalf("%d Pods of the controller, %v", len(pods), err)
	}
	pod := pods[0]
	h1 := &plain{t: t, host: host, Conn: dial(t, pod.IP+":80")}
	if last, err := h1.ask(); err != nil || last {
		t.Fatalf("before: the last answer %t, %v", last, err)
	}
	h2 := openH2(t, pod.IP, host)
	ws := openSocket(t, pod.IP, host)
	if err := ws.echo("before"); err != nil {
		t.Fatal(err)
	}

	api := kube.Client().CoreV1().Pods(kube.Installed.Namespace)
	if err := api.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	told := time.Now()
	once := kube.Transport()
	once.DisableKeepAlives = true
	s.Eventually(2*time.Second, func() error {
		status, err := bed.StatusBy(t.Context(), once, "http://"+pod.IP+":10254/healthz", "")
		if err == nil && status != http.StatusInternalServerError {
			err = fmt.Errorf("the health check answers %d", status)
		}
		return err
	})
	if status, err := bed.StatusBy(t.Context(), once, "http://"+pod.IP+"/", host); err != nil || status != http.StatusOK {
		t.Errorf("a new connection after the Pod was told to end: %d, %v", status, err)
	}
	// The kept connection is served until it is told that its answer is the last one.
	s.Eventually(30*time.Second, func() error {
		last, err := h1.ask()
		if err != nil {
			t.Fatalf("a kept connection ended without a word after %s: %v", time.Since(told), err)
		}
		if !last {
			return fmt.Errorf("no answer was the last one")
		}
		return nil
	})
	t.Logf("Connection: close came %s after the end was told", time.Since(told).Round(time.Millisecond))
	h2.leaves(told)
	// The WebSocket goes on, up to the limit of the drain.
	drains := time.Now()
	n := 0
	for ; time.Since(drains) < 3*drainLimit; n++ {
		if err := ws.echo(fmt.Sprint(n)); err != nil {
			break
		}
		pause := time.NewTimer(100 * time.Millisecond)
		<-pause.C
	}
	lasted := time.Since(drains)
	t.Logf("the WebSocket lasted %s and %d messages of the drain", lasted.Round(time.Millisecond), n)
	if lasted < drainLimit/2 || lasted > drainLimit+3*time.Second {
		t.Errorf("the WebSocket lasted %s of the drain, want about %s", lasted, drainLimit)
	}
	s.Eventually(30*time.Second, func() error {
		_, err := api.Get(t.Context(), pod.Name, metav1.GetOptions{})
		if err == nil {
			return fmt.Errorf("the Pod is still there")
		}
		return nil
	})
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := kube.Dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// plain is a connection of HTTP/1.1.
type plain struct {
	net.Conn
	t    *testing.T
	host string
	read *bufio.Reader
}

// ask sends a request; last tells whether the answer says that there is no further one.
func (p *plain) ask() (last bool, err error) {
	if p.read == nil {
		p.read = bufio.NewReader(p.Conn)
	}
	p.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(p.Conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", p.host); err != nil {
		return false, err
	}
	answer, err := http.ReadResponse(p.read, nil)
	if err != nil {
		return false, err
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(answer.Body); err != nil {
		return false, err
	}
	if answer.StatusCode != http.StatusOK {
		return false, fmt.Errorf("status %s", answer.Status)
	}
	return answer.Close, nil
}

// h2 is a connection of HTTP/2 without TLS.
type h2 struct {
	net.Conn
	*http2.Framer
	t *testing.T
}

// openH2 opens a connection and has one request answered.
func openH2(t *testing.T, ip, host string) *h2 {
	t.Helper()
	c := dial(t, ip+":80")
	c.SetDeadline(time.Now().Add(60 * time.Second))
	k := &h2{c, http2.NewFramer(c, c), t}
	if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	var head bytes.Buffer
	e := hpack.NewEncoder(&head)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", host}, {":path", "/"}} {
		if err := e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	if err := k.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := k.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f.Header().StreamID == 1 && f.Header().Flags.Has(http2.FlagDataEndStream) {
			return k
		}
	}
}

// leaves reads two GOAWAY frames: one that lets requests come that are on their way, one
// that names the last request; and the end.
func (k *h2) leaves(told time.Time) {
	k.t.Helper()
	var last []uint32
	for {
		f, err := k.ReadFrame()
		if err != nil {
			break // the end
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			if g.ErrCode != http2.ErrCodeNo {
				k.t.Errorf("GOAWAY says %s", g.ErrCode)
			}
			last = append(last, g.LastStreamID)
			k.t.Logf("GOAWAY with stream %d came %s after the end was told", g.LastStreamID, time.Since(told).Round(time.Millisecond))
		}
		if p, ok := f.(*http2.PingFrame); ok && !p.IsAck() {
			if err := k.WritePing(true, p.Data); err != nil {
				break
			}
		}
	}
	if len(last) != 2 || last[0] != 1<<31-1 || last[1] != 1 {
		k.t.Errorf("GOAWAY named streams %v, want %v", last, []uint32{1<<31 - 1, 1})
	}
}

// socket is a WebSocket.
type socket struct{ *websocket.Conn }

func openSocket(t *testing.T, ip, host string) *socket {
	t.Helper()
	raw := dial(t, ip+":80")
	config, err := websocket.NewConfig("ws://"+host+"/ws", "http://"+host)
	if err != nil {
		t.Fatal(err)
	}
	raw.SetDeadline(time.Now().Add(10 * time.Second))
	c, err := websocket.NewClient(config, raw)
	if err != nil {
		t.Fatal(err)
	}
	return &socket{c}
}

// echo sends a message, which comes back.
func (s *socket) echo(text string) error {
	s.SetDeadline(time.Now().Add(10 * time.Second))
	if err := websocket.Message.Send(s.Conn, text); err != nil {
		return err
	}
	var back string
	if err := websocket.Message.Receive(s.Conn, &back); err != nil {
		return err
	}
	if back != text {
		return fmt.Errorf("%q came back for %q", back, text)
	}
	return nil
}
