package upstream

import (
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
)

// h2c starts a server of HTTP/2 without TLS, and nothing else.
func h2c(s *httptest.Server) {
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
}

// h2 starts one of HTTP/2 over TLS.
func h2(s *httptest.Server) {
	s.EnableHTTP2 = true
	s.StartTLS()
}

var starts = map[string]func(*httptest.Server){"GRPC": h2c, "GRPCS": h2}

// framed is a message of gRPC.
func framed(message string) string {
	b := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return string(b) + message
}

// says is a server of gRPC's health checks, whose answer depends on the service.
func says(answers map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		h := r.Header
		if err != nil || r.Method != "POST" || r.URL.Path != "/grpc.health.v1.Health/Check" || r.ProtoMajor != 2 || len(body) < 5 ||
			h.Get("Content-Type") != "application/grpc" || h.Get("Te") != "trailers" || h.Get("User-Agent") != "pierhead-health-check" {
			w.WriteHeader(400)
			return
		}
		name := ""
		if len(body) > 5 {
			name = strings.TrimPrefix(string(body[5:]), "\x0a"+string(rune(len(body)-7)))
		}
		w.Header().Set("Content-Type", "application/grpc")
		answer := answers[name]
		if answer == "" || string(body[:5]) != framed(string(body[5:]))[:5] {
			answer = "5"
		}
		if code, err := strconv.Atoi(answer); err == nil { // no body: all in one head
			w.Header().Set("Grpc-Status", strconv.Itoa(code))
			return
		}
		w.Header().Set("Trailer", "Grpc-Status")
		io.WriteString(w, answer)
		w.Header().Set("Grpc-Status", "0")
	}
}

// TestGRPCChecks holds that endpoints that speak gRPC are asked by its own protocol.
func TestGRPCChecks(t *testing.T) {
	bad := often
	bad.Host, bad.Unhealthy = "", 1
	for _, c := range []struct{ name, answer, why string }{
		{"serving", framed("\x08\x01"), ""},
		{"not serving", framed("\x08\x02"), "NOT_SERVING"},
		{"unknown", framed(""), "UNKNOWN"},
		{"a number of later", framed("\x08\x09"), "serving status 9"},
		{"fields of later", framed("\x12\x03abc\x08\x01\x19\x01\x02\x03\x04\x05\x06\x07\x08"), ""},
		{"no such service", "5", "gRPC status 5"},
		{"no health checks", "12", ""},
		{"half a message", framed("\x08\x01")[:6], errAnswer.Error()},
		{"endless", strings.Repeat("x", 2*maxAnswer), errAnswer.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
				for protocol, start := range starts {
					asked := make(chan bool, 1000)
					answers := says(map[string]string{"": framed("\x08\x01"), "my.Service": c.answer})
					srv := newServerOf(t, func(w http.ResponseWriter, r *http.Request) {
						answers(w, r)
						select {
						case asked <- true:
						default:
						}
					}, start)
					check := bad
					check.Service = "my.Service"
					set, p, told := checkedBy(t, e, protocol, check, srv)
					if c.why != "" {
						if h := next(t, told); h.Fit || h.Why != c.why {
							t.Errorf("%s: told %+v, want %q", protocol, h, c.why)
						}
					} else {
						for range 5 {
							<-asked
						}
						if len(told) > 0 {
							t.Errorf("%s: told %+v", protocol, <-told)
						}
					}
					if c.name == "serving" {
						check.Service = "" // which is another question
						set.Apply(nil, DefaultKeepAlive)
						_, p, told = checkedBy(t, e, protocol, check, srv)
						for range 5 {
							<-asked
						}
						if len(told) > 0 {
							t.Errorf("%s: of the server as a whole %+v is told", protocol, <-told)
						}
					}
					if n := counts(p); n != [4]int64{} {
						t.Errorf("%s: questions count as requests: %v", protocol, n)
					}
					set.Apply(nil, DefaultKeepAlive)
					srv.awaitClosed(t, 1) // no question leaves its connection
				}
			})
		})
	}
}

// TestGRPCCheckFailures holds that what is no server of gRPC, or none at all, is
// unhealthy, and that a connection that says nothing costs no more than the timeout.
func TestGRPCCheckFailures(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		check := often
		check.Timeout, check.Unhealthy = 50*time.Millisecond, 1
		for name, c := range map[string]struct {
			handler http.HandlerFunc
			start   func(*httptest.Server)
			why     string
		}{
			"HTTP/1.1":     {says(nil), func(s *httptest.Server) { s.Start() }, ""},
			"another page": {http.NotFound, h2c, "status 404"},
			"no status":    {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, framed("\x08\x01")) }, h2c, "no gRPC status"},
			"silence":      {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, h2c, "time"},
		} {
			srv := newServerOf(t, c.handler, c.start)
			set, _, told := checkedBy(t, e, "GRPC", check, srv)
			for { // a slow machine may need more than the timeout
				h := next(t, told)
				if !h.Fit && strings.Contains(h.Why, c.why) {
					break
				}
				if !strings.Contains(h.Why, "time") {
					t.Fatalf("%s: told %+v, want %q", name, h, c.why)
				}
				set.Apply(nil, DefaultKeepAlive)
				set, _, told = checkedBy(t, e, "GRPC", check, srv)
			}
			set.Apply(nil, DefaultKeepAlive)
			srv.awaitClosed(t, 1)
		}
	})
}

// TestH2CChecks holds that endpoints of HTTP/2 alone are asked by it, as they are
// requested.
func TestH2CChecks(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		seen := make(chan string, 1000)
		status := 500
		srv := newServerOf(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			select {
			case seen <- r.Proto + " " + r.Method + " " + r.Host + " " + r.URL.String():
			default:
			}
		}, h2c)
		_, p, told := checkedBy(t, e, H2C, often, srv)
		if got := <-seen; got != "HTTP/2.0 GET check.example /healthz?full" {
			t.Errorf("the question is %q", got)
		}
		if h := next(t, told); h.Fit || h.Why != "status 500" {
			t.Errorf("told %+v", h)
		}
		if p.GRPC() {
			t.Error("it is taken for gRPC")
		}
		if at := p.Pick(&exchange.Exchange{}); at.Addr() != srv.addr {
			t.Errorf("picked %v", at.Addr())
		}
	})
}

// FuzzHealthStatus holds that no answer hurts, and that fields of later change nothing.
func FuzzHealthStatus(f *testing.F) {
	for _, s := range []string{"", framed(""), framed("\x08\x01"), framed("\x08\x02\x08\x01"), framed("\x12\x03abc\x08\x01"), framed("\x0d\x01\x02\x03\x04"), "\x01\x00\x00\x00\x00", framed("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		status, err := healthStatus(b)
		if err != nil {
			return
		}
		if string(b[:5]) != framed(string(b[5:]))[:5] {
			t.Fatalf("%q is taken", b)
		}
		for _, more := range []string{framed("\x12\x02ab" + string(b[5:])), framed(string(b[5:]) + "\x50\x07")} {
			if again, err := healthStatus([]byte(more)); again != status || err != nil {
				t.Errorf("%q says %d, with another field %d, %v", b, status, again, err)
			}
		}
		if one, err := healthStatus([]byte(framed(string(b[5:]) + "\x08\x01"))); one != serving || err != nil {
			t.Errorf("the last field of %q does not count: %d, %v", b, one, err)
		}
	})
}

func TestHealthRequest(t *testing.T) {
	long := strings.Repeat("s", 300)
	for service, want := range map[string]string{"": framed(""), "a.B": framed("\x0a\x03a.B"), long: framed("\x0a\xac\x02" + long)} {
		if got := string(healthRequest(service)); got != want {
			t.Errorf("%q is asked of by %q, want %q", service, got, want)
		}
	}
}
