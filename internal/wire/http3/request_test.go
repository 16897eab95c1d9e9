package http3

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/quic-go/quic-go"
)

// TestRequests sends requests that are served.
func TestRequests(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := start(t, kind, ServerConfig{Handler: handlerFunc(answer)})
		for name, tt := range map[string]struct {
			frames [][]byte
			body   string
		}{
			"GET":                      {[][]byte{request("GET")}, "GET h.test /x "},
			"POST":                     {[][]byte{request("POST"), data("abc"), data("def")}, "POST h.test /x abcdef"},
			"Content-Length":           {[][]byte{request("POST", "content-length", "3"), data("abc")}, "POST h.test /x abc"},
			"unknown frames":           {[][]byte{appendFrame(0x21, []byte("grease")), request("POST"), appendFrame(0x40, nil), data("abc"), appendFrame(0x21, []byte("x"))}, "POST h.test /x abc"},
			"trailers":                 {[][]byte{request("POST"), data("abc"), headers("x-sum", "1")}, "POST h.test /x abc"},
			"frames after the trailer": {[][]byte{request("POST"), headers("x-sum", "1"), appendFrame(0x21, nil)}, "POST h.test /x "},
			"Host alone":               {[][]byte{headers(":method", "GET", ":scheme", "https", ":path", "/", "host", "other.test")}, "GET other.test / "},
			"OPTIONS *":                {[][]byte{headers(":method", "OPTIONS", ":scheme", "https", ":authority", "h.test", ":path", "*")}, "OPTIONS h.test * "},
		} {
			t.Run(name, func(t *testing.T) {
				c := s.dial(t)
				r := c.want(c.send(tt.frames...), "200", tt.body)
				if r.heads[0]["content-length"] == "" {
					t.Errorf("head is %v", r.heads[0])
				}
			})
		}
	})
}

// TestLateEnd holds that a GET has no body when its end comes after its head, and that
// one whose end does not come in time is served.
func TestLateEnd(t *testing.T) {
	head := bytes.NewReader(request("GET"))
	if s := fed(iotest.OneByteReader(head)); s.readHead() != nil || s.req.Body != nil || s.req.Length != 0 {
		t.Errorf("a GET that ends after its head has a body of %d bytes", s.req.Length)
	}
	head.Seek(0, io.SeekStart)
	slow := io.MultiReader(head, iotest.ErrReader(os.ErrDeadlineExceeded))
	if s := fed(slow); s.readHead() != nil || s.req.Body == nil || s.req.Length != message.Unknown {
		t.Errorf("a GET that does not end has no body, length %d", s.req.Length)
	}
}

// TestMalformed sends requests that break HTTP/3 or HTTP: each ends its stream with
// H3_MESSAGE_ERROR or what RFC 9114 names, and the next request is served.
func TestMalformed(t *testing.T) {
	s := start(t, loop.DefaultKind(), ServerConfig{Handler: handlerFunc(answer)})
	get := []string{":method", "GET", ":scheme", "https", ":authority", "h.test", ":path", "/"}
	with := func(more ...string) [][]byte {
		return [][]byte{headers(append(append([]string(nil), get...), more...)...)}
	}
	for name, tt := range map[string]struct {
		frames [][]byte
		code   quic.StreamErrorCode
	}{
		"no head":                  {nil, codeRequestIncomplete},
		"no method":                {[][]byte{headers(get[2:]...)}, codeMessage},
		"no path":                  {[][]byte{headers(get[:6]...)}, codeMessage},
		"no scheme":                {[][]byte{headers(append([]string{":method", "GET"}, get[4:]...)...)}, codeMessage},
		"pseudo-field after field": {with("x", "1", ":status", "200"), codeMessage},
		"repeated pseudo-field":    {with(":path", "/y"), codeMessage},
		"unknown pseudo-field":     {with(":x", "1"), codeMessage},
		"upper case":               {with("X-Upper", "1"), codeMessage},
		"Connection":               {with("connection", "close"), codeMessage},
		"Transfer-Encoding":        {with("transfer-encoding", "chunked"), codeMessage},
		"TE":                       {with("te", "gzip"), codeMessage},
		"two lengths":              {with("content-length", "1", "content-length", "1"), codeMessage},
		"length without body":      {with("content-length", "1"), codeMessage},
		"Host differs":             {with("host", "other.test"), codeMessage},
		"line feed":                {with("x", "a\nb"), codeMessage},
		"body too long":            {append(with("content-length", "1"), data("ab")), codeMessage},
		"body too short":           {append(with("content-length", "3"), data("ab")), codeMessage},
		"trailer is pseudo-field":  {append(with(), data("ab"), headers(":path", "/")), codeMessage},
		"trailer too large":        {append(with(), headers("x", strings.Repeat("a", 40<<10))), codeExcessiveLoad},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial(t)
			c.wantReset(c.send(tt.frames...), tt.code)
			c.want(c.send(request("GET")), "200", "*")
		})
	}
}

// TestRefused sends requests that are answered without reaching the handler.
func TestRefused(t *testing.T) {
	refused := make(chan http2.Fault, 1)
	s := start(t, loop.DefaultKind(), ServerConfig{
		Handler: handlerFunc(answer),
		Refuse: func(r *message.Request, w message.Writer, f http2.Fault) {
			refused <- f
			w.WriteHead(&message.Response{Status: f.Status()})
			w.Finish(nil)
		},
	})
	for name, tt := range map[string]struct {
		fields []string
		fault  http2.Fault
		status string
	}{
		"path":         {[]string{":method", "GET", ":scheme", "https", ":authority", "h.test", ":path", "x y"}, http2.BadPath, "400"},
		"host":         {[]string{":method", "GET", ":scheme", "https", ":authority", "a@b", ":path", "/"}, http2.BadHost, "400"},
		"no host":      {[]string{":method", "GET", ":scheme", "https", ":path", "/"}, http2.NoHost, "400"},
		"CONNECT":      {[]string{":method", "CONNECT", ":authority", "h.test"}, http2.MethodConnect, "405"},
		"TRACE":        {[]string{":method", "TRACE", ":scheme", "https", ":authority", "h.test", ":path", "/"}, http2.MethodTrace, "405"},
		"long path":    {[]string{":method", "GET", ":scheme", "https", ":authority", "h.test", ":path", "/" + strings.Repeat("a", 9<<10)}, http2.PathTooLong, "414"},
		"long field":   {[]string{":method", "GET", ":scheme", "https", ":authority", "h.test", ":path", "/", "x", strings.Repeat("a", 9<<10)}, http2.FieldTooLong, "400"},
		"large head":   {[]string{":method", "GET", ":scheme", "https", ":authority", "h.test", ":path", "/", "x", strings.Repeat("a", 40<<10)}, http2.HeadTooLarge, "400"},
		"unread head":  {[]string{":method", "GET", ":scheme", "https", ":authority", "h.test", ":path", "/", "x", strings.Repeat("\x00", 40<<10)}, http2.HeadTooLarge, "400"},
		"wrong scheme": {[]string{":method", "GET", ":scheme", "ftp", ":authority", "h.test", ":path", "/"}, http2.BadScheme, "400"},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial(t)
			str := c.stream(headers(tt.fields...))
			c.want(str, tt.status, "")
			if f := wait(t, refused); f != tt.fault {
				t.Errorf("refused for %v, want %v", f, tt.fault)
			}
			str.CancelRead(0)
			str.CancelWrite(0)
			c.want(c.send(request("GET")), "200", "*")
		})
	}
}

// TestConnectionErrors has clients break the protocol in ways that end the connection.
func TestConnectionErrors(t *testing.T) {
	s := start(t, loop.DefaultKind(), ServerConfig{Handler: handlerFunc(answer)})
	settings := appendFrame(frameSettings, nil)
	one := []byte{1}
	for name, tt := range map[string]struct {
		control []byte
		request []byte
		kind    uint64
		uni     []byte
		code    quic.ApplicationErrorCode
	}{
		"DATA first":               {request: data("x"), code: codeFrameUnexpected},
		"SETTINGS on a request":    {request: join(request("POST"), settings), code: codeFrameUnexpected},
		"PUSH_PROMISE":             {request: appendFrame(framePushPromise, one), code: codeFrameUnexpected},
		"PING of HTTP/2":           {request: join(request("POST"), appendFrame(0x6, nil)), code: codeFrameUnexpected},
		"DATA after trailers":      {request: join(request("POST"), headers("x", "1"), data("x")), code: codeFrameUnexpected},
		"HEADERS cut off":          {request: request("GET")[:10], code: codeFrame},
		"DATA cut off":             {request: join(request("POST"), data("abcdef")[:4]), code: codeFrame},
		"frame header cut off":     {request: join(request("POST"), []byte{0x40}), code: codeFrame},
		"QPACK of a dynamic table": {request: appendFrame(frameHeaders, []byte{2, 0, 0x80}), code: codeDecompression},
		"QPACK cut off":            {request: appendFrame(frameHeaders, []byte{0, 0, 0x27}), code: codeDecompression},
		"QPACK without prefix":     {request: appendFrame(frameHeaders, []byte{0}), code: codeDecompression},
		"no SETTINGS":              {control: appendFrame(frameGoAway, one), code: codeMissingSettings},
		"two SETTINGS":             {control: join(settings, settings), code: codeFrameUnexpected},
		"setting of HTTP/2":        {control: appendFrame(frameSettings, []byte{4, 1}), code: codeSettings},
		"repeated setting":         {control: appendFrame(frameSettings, []byte{6, 1, 6, 2}), code: codeSettings},
		"setting cut off":          {control: appendFrame(frameSettings, []byte{6}), code: codeFrame},
		"HEADERS on control":       {control: join(settings, request("GET")), code: codeFrameUnexpected},
		"long frame on control":    {control: join(settings, []byte{0x21, 0x44, 0x01}), code: codeExcessiveLoad},
		"CANCEL_PUSH":              {control: join(settings, appendFrame(frameCancelPush, one)), code: codeID},
		"MAX_PUSH_ID goes down":    {control: join(settings, appendFrame(frameMaxPushID, []byte{2}), appendFrame(frameMaxPushID, one)), code: codeID},
		"GOAWAY goes up":           {control: join(settings, appendFrame(frameGoAway, one), appendFrame(frameGoAway, []byte{2})), code: codeID},
		"GOAWAY is too long":       {control: join(settings, appendFrame(frameGoAway, []byte{1, 1})), code: codeFrame},
		"second control stream":    {kind: typeControl, uni: settings, code: codeStreamCreation},
		"push":                     {kind: typePush, uni: one, code: codeStreamCreation},
		"QPACK table":              {kind: typeEncoder, uni: []byte{0x3f, 0x01}, code: codeEncoderStream},
		"QPACK acknowledgement":    {kind: typeDecoder, uni: []byte{0x80}, code: codeDecoderStream},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.control == nil {
				tt.control = settings
			}
			c := s.dial(t, tt.control)
			if tt.request != nil {
				c.send(tt.request)
			}
			if tt.uni != nil {
				c.uni(tt.kind, tt.uni)
			}
			c.wantClosed(tt.code)
			<-s.closed
		})
	}
}

// TestCriticalStream ends a stream that a connection cannot be without.
func TestCriticalStream(t *testing.T) {
	s := start(t, loop.DefaultKind(), ServerConfig{Handler: handlerFunc(answer)})
	for _, kind := range []uint64{typeEncoder, typeDecoder} {
		c := s.dial(t)
		c.uni(kind, nil).Close()
		c.wantClosed(codeClosedCritical)
	}
}

// TestOtherStreams opens streams that mean nothing, and those of QPACK with what may
// stand there: requests are served all the same.
func TestOtherStreams(t *testing.T) {
	s := start(t, loop.DefaultKind(), ServerConfig{Handler: handlerFunc(answer)})
	c := s.dial(t, appendFrame(frameSettings, []byte{1, 0, 6, 40}), appendFrame(frameMaxPushID, []byte{3}), appendFrame(0x21, []byte("x")))
	c.uni(typeEncoder, []byte{0x20})
	c.uni(typeDecoder, []byte{0x44, 0x7f, 0x80, 0x01})
	for range 20 {
		c.uni(0x21, []byte("grease")).CancelWrite(0)
		c.want(c.send(request("GET")), "200", "*")
	}
}
