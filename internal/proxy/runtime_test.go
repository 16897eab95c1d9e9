package proxy_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// What a step asks another server is not bound by the timeouts of the route's
// upstream, but its answer's head by the route's limit.
func TestStepsAskUnderTheirOwnTimeouts(t *testing.T) {
	other := app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			w.Header().Set("X-Large", strings.Repeat("x", 1000))
		}
		w.WriteHeader(204)
	})
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{other}, forward(func(f *exchange.Forward) {
			f.ConnectTimeout, f.SendTimeout, f.ReadTimeout, f.HeadLimit = 1, 1, time.Nanosecond, 500
		}), with(request(func(x *exchange.Exchange) *exchange.Reply {
			to, err := exchange.ParseURL(other + x.In.Target)
			if err != nil {
				return &exchange.Reply{Status: 400}
			}
			req := &message.Request{Method: "GET", Host: to.Host, Target: to.Path}
			var resp message.Response
			done, err := x.Run.Do(x, &to, req, &resp)
			var failure *exchange.Error
			if errors.As(err, &failure) {
				return &exchange.Reply{Status: 500, Err: failure.Kind}
			}
			done()
			return &exchange.Reply{Status: resp.Status}
		})))
		c := dial(t, s.Addr("http"))
		c.send("GET /small HTTP/1.1\r\nHost: h.test\r\n\r\n")
		c.want("GET", 204, "")
		c.send("GET /large HTTP/1.1\r\nHost: h.test\r\n\r\n")
		c.want("GET", 500, "*")
		if r := s.Reports(); len(r) != 1 || r[0].Kind != exchange.UpstreamHeadTooLarge {
			t.Errorf("reports are %v", r)
		}
	})
}
