package http2

import (
	"github.com/pierhead/pierhead/internal/loop"
)

// consume acts on the frames in p and returns an incomplete one at its end.
func (c *conn) consume(p []byte) ([]byte, error) {
	if !c.greeted {
		if n := min(len(p), len(preface)); string(p[:n]) != preface[:n] {
			return nil, &ConnError{CodeProtocol, "the connection preface is not valid"}
		}
		if len(p) < len(preface) {
			return p, nil
		}
		c.greeted = true
		p = p[len(preface):]
	}
	for !c.dead {
		if c.closing {
			return nil, c.discard(len(p))
		}
		if len(c.out) >= loop.BigSize {
			if err := c.waitQueue(); err != nil {
				return nil, err
			}
			continue
		}
		if c.data.left > 0 {
			if len(p) == 0 {
				return nil, nil
			}
			n := min(c.data.left, len(p))
			if err := c.payload(p[:n]); err != nil {
				return nil, err
			}
			p = p[n:]
			continue
		}
		if len(p) < headerSize {
			return p, nil
		}
		f := parseFrame(p)
		if err := c.check(f); err != nil {
			return nil, err
		}
		if f.kind == frameData {
			n, err := c.beginData(f, p[headerSize:])
			if err != nil {
				return nil, err
			}
			if n < 0 {
				return p, nil
			}
			p = p[headerSize+n:]
			continue
		}
		if len(p) < headerSize+f.length {
			return p, nil
		}
		if err := c.dispatch(f, p[headerSize:headerSize+f.length]); err != nil {
			return nil, err
		}
		p = p[headerSize+f.length:]
	}
	return nil, nil
}

// check refuses a frame that cannot come now, whatever it holds.
func (c *conn) check(f frame) error {
	switch {
	case f.length > maxFrame:
		return &ConnError{CodeFrameSize, "a frame is larger than SETTINGS_MAX_FRAME_SIZE"}
	case !c.settled && (f.kind != frameSettings || f.has(flagAck)):
		return &ConnError{CodeProtocol, "the first frame is not SETTINGS"}
	case c.block.id != 0 && (f.kind != frameContinuation || f.id != c.block.id):
		return &ConnError{CodeProtocol, "a field block is interrupted by another frame"}
	case c.block.id == 0 && f.kind == frameContinuation:
		return &ConnError{CodeProtocol, "CONTINUATION does not follow HEADERS"}
	}
	return nil
}

// dispatch acts on a whole frame that is not DATA.
func (c *conn) dispatch(f frame, p []byte) error {
	switch f.kind {
	case frameHeaders:
		return c.onHeaders(f, p)
	case frameContinuation:
		return c.onContinuation(f, p)
	case framePriority:
		return c.onPriority(f, p)
	case frameRSTStream:
		return c.onRSTStream(f, p)
	case frameSettings:
		return c.onSettings(f, p)
	case framePing:
		return c.onPing(f, p)
	case frameGoAway:
		return c.onGoAway(f, p)
	case frameWindowUpdate:
		return c.onWindowUpdate(f, p)
	}
	return c.side.other(f, p)
}
