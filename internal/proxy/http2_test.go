package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
)

// TestProtocolVersions sends the same conversations over HTTP/1.1 and HTTP/2.
func TestProtocolVersions(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{app(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/echo" {
				w.Header().Set("Trailer", "X-Sum")
				io.Copy(w, r.Body)
				w.Header().Set("X-Sum", "42")
				return
			}
			digest(w, r)
		})}, forward(unlimited))
		body := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
		for _, h2 := range []bool{false, true} {
			b := browser(t, s.Addr("https"), h2)
			resp, err := b.Post("https://h.test/", "", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := fmt.Sprintf("%d %d %x <nil>", len(body), len(body), sha256.Sum256(body)); string(got) != want || (resp.ProtoMajor == 2) != h2 {
				t.Errorf("h2 %v: upload is answered %s %q", h2, resp.Proto, got)
			}
			resp, err = b.Post("https://h.test/echo", "", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if !bytes.Equal(got, body) || err != nil || resp.Trailer.Get("X-Sum") != "42" {
				t.Errorf("h2 %v: download of %d bytes, %v, trailer %v", h2, len(got), err, resp.Trailer)
			}
			resp, err = b.Get("https://other.test/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 404 {
				t.Errorf("h2 %v: unknown host is answered %d", h2, resp.StatusCode)
			}
		}
	})
}

// TestManyStreams has many requests on one connection, with bodies both ways at the
// same time.
func TestManyStreams(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{app(t, echo)}, forward(streamed))
		postMany(t, browser(t, s.Addr("https"), true), 100, 20000)
	})
}

// postMany sends n requests at one time and looks at what echo answers. Their bodies have
// three times size bytes.
func postMany(t *testing.T, b *http.Client, n, size int) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			body := strings.Repeat(fmt.Sprintf("%03d", i), size)
			resp, err := b.Post(fmt.Sprintf("https://h.test/%d", i), "", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if want := fmt.Sprintf("POST h.test /%d %s", i, body); string(got) != want || err != nil {
				t.Errorf("answer %d is %d bytes, %v", i, len(got), err)
			}
		})
	}
	all.Wait()
}

// TestTwoWays holds that an endpoint may answer piece by piece what it is sent piece
// by piece.
func TestTwoWays(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{app(t, func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			rc.EnableFullDuplex()
			rc.Flush()
			in := bufio.NewReader(r.Body)
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				io.WriteString(w, strings.ToUpper(line))
				rc.Flush()
			}
		})}, forward(streamed))
		speakBothWays(t, browser(t, s.Addr("https"), true), "https://h.test/")
	})
}

// speakBothWays sends lines to an endpoint that answers each before it gets the next.
func speakBothWays(t *testing.T, b *http.Client, url string) {
	t.Helper()
	r, w := io.Pipe()
	resp, err := b.Post(url, "", r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for i := range 10 {
		fmt.Fprintf(w, "line %d\n", i)
		if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("LINE %d\n", i) {
			t.Fatalf("answer is %q, %v", line, err)
		}
	}
	w.Close()
	if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
		t.Errorf("end is %q, %v", rest, err)
	}
}

// TestStreamReset holds that a client that gives a stream up ends the request to the
// endpoint, and nothing else on its connection.
func TestStreamReset(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		asked, ended := make(chan bool, 1), make(chan bool, 1)
		s := site(t, kind, []string{rawApp(t, func(c net.Conn, r *bufio.Reader) {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if req.URL.Path == "/ok" {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
				return
			}
			asked <- true
			r.ReadByte()
			ended <- true
		})}, forward(func(f *exchange.Forward) { f.RetryOn = 0 }))
		b := browser(t, s.Addr("https"), true)
		ctx, cancel := context.WithCancel(context.Background())
		req, _ := http.NewRequestWithContext(ctx, "GET", "https://h.test/hang", nil)
		failed := make(chan error, 1)
		go func() { _, err := b.Do(req); failed <- err }()
		<-asked
		cancel()
		<-failed
		<-ended
		s.Log.Wait(t, " 499 0 ")
		resp, err := b.Get("https://h.test/ok")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); string(body) != "ok" {
			t.Errorf("answer is %q", body)
		}
	})
}
