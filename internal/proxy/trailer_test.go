package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
)

// TestRequestTrailersStop holds that an endpoint of HTTP/1 does not get the trailers of
// requests, from clients of both versions; TestHTTP2Upstream holds it for HTTP/2.
func TestRequestTrailersStop(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{app(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if mine := r.Trailer.Get("X-Mine") + r.Header.Get("X-Mine"); mine != "" || err != nil {
				t.Errorf("the endpoint got the trailer %q, %v", mine, err)
			}
			w.Write(body)
		})}, forward(streamed))
		for _, h2 := range []bool{false, true} {
			req, err := http.NewRequest("POST", "https://h.test/", io.MultiReader(strings.NewReader("hello")))
			if err != nil {
				t.Fatal(err)
			}
			req.Trailer = http.Header{"X-Mine": {"7"}}
			resp, err := browser(t, s.Addr("https"), h2).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(got) != "hello" || err != nil {
				t.Errorf("h2 %v: %q came back, %v", h2, got, err)
			}
		}
	})
}
