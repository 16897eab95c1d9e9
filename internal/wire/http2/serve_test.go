package http2

import (
	"io"
	"net/netip"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type handlerFunc func(*message.Request, message.Writer)

func (f handlerFunc) Handle(r *message.Request, w message.Writer) { f(r, w) }

// kinds are the engines that tests over TCP run on.
func kinds() []loop.Kind {
	if loop.DefaultKind() == loop.Goroutines {
		return []loop.Kind{loop.Goroutines}
	}
	return []loop.Kind{loop.Goroutines, loop.Loops}
}

func newEngine(t testing.TB, kind loop.Kind, loops int) *loop.Engine {
	t.Helper()
	e, err := loop.New(kind, loops)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// listen serves cfg on a free port of the loopback.
func listen(t testing.TB, kind loop.Kind, cfg *ServerConfig) netip.AddrPort {
	t.Helper()
	e := newEngine(t, kind, 1)
	ln, err := e.Listen(netip.MustParseAddrPort("127.0.0.1:0"), func(c *loop.Conn) { Serve(c, cfg) })
	if err != nil {
		t.Fatal(err)
	}
	return ln.Addr()
}

// withLimits returns a copy of the default limits after change.
func withLimits(change func(*Limits)) func() *Limits {
	lim := DefaultLimits
	change(&lim)
	return func() *Limits { return &lim }
}

// echo answers with the body of the request, or with the target when there is none.
func echo(r *message.Request, w message.Writer) {
	resp := message.Response{Status: 200, Length: message.Unknown}
	resp.Header.Add("Content-Type", "text/plain")
	if r.Body == nil {
		resp.Length = int64(len(r.Target))
		if w.WriteHead(&resp) == nil {
			w.(message.LastWriter).WriteLast([]byte(r.Target), nil)
		}
		return
	}
	if w.WriteHead(&resp) != nil {
		return
	}
	buf := make([]byte, 8<<10)
	for {
		n, err := r.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
		}
		if err == io.EOF {
			w.Finish(&r.Trailer)
			return
		}
		if err != nil {
			return
		}
	}
}
