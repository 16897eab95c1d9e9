package proxy_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
)

// TestEmptyStream is a call without messages: its request has an end and no bytes, and its
// answer is trailers alone.
func TestEmptyStream(t *testing.T) {
	onProtocols(t, func(t *testing.T, kind loop.Kind, protocol string, secure bool) {
		up, _ := app2(t, secure, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		})
		s := site2(t, kind, protocol, []string{up})
		b := browser(t, s.Addr("https"), true)
		pr, pw := io.Pipe()
		req, err := http.NewRequest("POST", "https://h.test/x", pr)
		if err != nil {
			t.Fatal(err)
		}
		go pw.Close()
		resp, err := b.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if len(body) > 0 || err != nil || resp.StatusCode != 200 || resp.Trailer.Get("Grpc-Status")+resp.Header.Get("Grpc-Status") != "0" {
			t.Errorf("%q, %v, %d, %v, %v", body, err, resp.StatusCode, resp.Header, resp.Trailer)
		}
	})
}
