package http3

import (
	"errors"
	"io"

	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
)

// The types of streams in one direction (RFC 9114, section 6.2; RFC 9204, section 4.2).
const (
	typeControl = 0x0
	typePush    = 0x1
	typeEncoder = 0x2
	typeDecoder = 0x3
)

// settingMaxFieldSection is the only setting that we send: the dynamic table of QPACK
// has size 0 when nothing is said.
const settingMaxFieldSection = 0x6

// openControl opens our control stream and sends SETTINGS on it.
func (c *ServerConn) openControl() error {
	str, err := c.qc.OpenUniStream()
	if err != nil {
		return err
	}
	max := uint64(or(c.cfg.limits().MaxHeaderList, http2.DefaultLimits.MaxHeaderList))
	body := quicvarint.Append(nil, settingMaxFieldSection)
	body = quicvarint.Append(body, max)
	b := quicvarint.Append(nil, typeControl)
	c.control = str
	return str.TryWriteAll(append(b, appendFrame(frameSettings, body)...))
}

func appendFrame(kind uint64, body []byte) []byte {
	b := quicvarint.Append(nil, kind)
	b = quicvarint.Append(b, uint64(len(body)))
	return append(b, body...)
}

// acceptOthers takes the client's streams in one direction until the connection ends.
func (c *ServerConn) acceptOthers() {
	for {
		str, err := c.qc.AcceptUniStream(c.qc.Context())
		if err != nil {
			return
		}
		go c.other(str)
	}
}

// other reads one stream in one direction.
func (c *ServerConn) other(str *quic.ReceiveStream) {
	defer str.ReleaseStreamCredit()
	in := smallReader(str)
	kind, err := in.number()
	if err != nil {
		str.CancelRead(codeStreamCreation)
		return // ended before it said what it is, which is allowed
	}
	var read func(*reader) error
	switch kind {
	case typeControl:
		read = c.readControl
	case typeEncoder:
		read = readEncoder
	case typeDecoder:
		read = readDecoder
	case typePush:
		c.fail(codeStreamCreation, "a client cannot push")
		return
	default:
		str.CancelRead(codeStreamCreation)
		c.glitch(1)
		return
	}
	if !c.first(kind) {
		c.fail(codeStreamCreation, "a second stream of a type that there is one of")
		return
	}
	c.ended(read(in))
}

// first notes a stream of which a client may have one.
func (c *ServerConn) first(kind uint64) bool {
	i := 0
	if kind != typeControl {
		i = int(kind) - 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.seen[i]
	c.seen[i] = true
	return !was
}

// ended ends the connection with a stream that it cannot be without.
func (c *ServerConn) ended(err error) {
	var e *connError
	if !errors.As(err, &e) {
		e = &connError{codeClosedCritical, "a critical stream was closed"}
	}
	c.fail(e.code, e.text) // which does nothing where the connection has ended
}

// control is what was read from the client's control stream.
type control struct {
	settled bool // SETTINGS was there
	goAway  uint64
	maxPush uint64
}

// readControl acts on the frames of the client's control stream.
func (c *ServerConn) readControl(in *reader) error {
	k := control{goAway: uint64(noStream)}
	for {
		kind, length, err := in.header()
		if err != nil {
			return err
		}
		if length <= maxControl || !known(kind) {
			err = k.frame(in, kind, length)
		} else {
			err = &connError{codeExcessiveLoad, "a frame on the control stream is too long"}
		}
		if err != nil {
			return err
		}
		if !c.glitch(1) {
			return http2.ErrClosed
		}
	}
}

// maxControl is the longest frame of the control stream that is read.
const maxControl = 1 << 10

// frame takes one frame. What we say about pushes is nothing, so that what the client
// says of them has no effect.
func (k *control) frame(in *reader, kind, length uint64) error {
	if kind != frameSettings && !k.settled {
		return &connError{codeMissingSettings, "the control stream does not begin with SETTINGS"}
	}
	switch {
	case kind == frameSettings && k.settled, kind == frameData, kind == frameHeaders, kind == framePushPromise, fromHTTP2(kind):
		return &connError{codeFrameUnexpected, "a frame stands in the wrong place of the control stream"}
	case !known(kind):
		if length > maxControl {
			return &connError{codeExcessiveLoad, "a frame on the control stream is too long"}
		}
		return in.skip(length)
	}
	p, err := in.payload(int(length))
	if err != nil {
		return err
	}
	if kind == frameSettings {
		k.settled = true
		return checkSettings(p)
	}
	id, n, err := quicvarint.Parse(p)
	if err != nil || n != len(p) {
		return &connError{codeFrame, "a frame on the control stream has the wrong length"}
	}
	return k.number(kind, id)
}

// number takes one of the frames that consist of a number.
func (k *control) number(kind, id uint64) error {
	switch {
	case kind == frameGoAway && id > k.goAway:
		return &connError{codeID, "a GOAWAY takes the one before back"}
	case kind == frameMaxPushID && id < k.maxPush:
		return &connError{codeID, "a MAX_PUSH_ID takes the one before back"}
	case kind == frameCancelPush:
		return &connError{codeID, "nothing was promised"}
	case kind == frameGoAway:
		k.goAway = id
	default:
		k.maxPush = id
	}
	return nil
}

// checkSettings looks at the client's settings. None of them changes what we send: our
// heads need no table, and their size is the endpoint's.
func checkSettings(p []byte) error {
	seen := map[uint64]bool{}
	for len(p) > 0 {
		id, n, err := quicvarint.Parse(p)
		if err == nil {
			p = p[n:]
			_, n, err = quicvarint.Parse(p)
		}
		if err != nil {
			return &connError{codeFrame, "SETTINGS is cut off"}
		}
		p = p[n:]
		if seen[id] || id >= 0x2 && id <= 0x5 {
			return &connError{codeSettings, "a setting is repeated, or one of HTTP/2"}
		}
		seen[id] = true
	}
	return nil
}

// readEncoder reads the client's QPACK encoder stream. There is no dynamic table: all
// that may stand there is that it has size 0.
func readEncoder(in *reader) error {
	for {
		b, err := in.octet()
		if err != nil {
			return err
		}
		if b != 0x20 {
			return &connError{codeEncoderStream, "QPACK's dynamic table has no room"}
		}
	}
}

// readDecoder reads the client's QPACK decoder stream. Of our heads nothing is to be
// acknowledged: all that may stand there is that one is not read.
func readDecoder(in *reader) error {
	for {
		b, err := in.octet()
		if err != nil {
			return err
		}
		if b&0xc0 != 0x40 {
			return &connError{codeDecoderStream, "QPACK has nothing to acknowledge"}
		}
		for more := b&0x3f == 0x3f; more; more = b&0x80 != 0 {
			if b, err = in.octet(); err != nil {
				return err
			}
		}
	}
}

// octet reads one byte.
func (r *reader) octet() (byte, error) {
	for len(r.left()) == 0 {
		if err := r.fill(); err != nil && err != io.EOF || r.ended() {
			return 0, err
		}
	}
	b := r.buf[r.off]
	r.off++
	return b, nil
}
