package http3

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/quic-go/quic-go"
)

// ServerConn is one client connection. Its goroutines accept streams and read heads;
// everything else runs on its loop.
type ServerConn struct {
	qc      *quic.Conn
	l       *loop.Loop
	cfg     *ServerConfig
	control *quic.SendStream
	failed  atomic.Bool // it is being closed from this side

	mu         sync.Mutex
	next       quic.StreamID // the lowest that was not accepted
	refuseFrom quic.StreamID // those from here on are not served any more
	open       int           // requests that were accepted and are not over
	strain     strain
	seen       [3]bool // the client's streams for control and QPACK

	// Of the loop.
	requests int
	draining bool        // the first GOAWAY was sent
	leaving  bool        // the last one was sent: close when no request is left
	dead     bool        // closed
	idle     time.Time   // when the last request ended
	timer    *loop.Timer // for what comes next: idleness, the last GOAWAY, the end
	due      time.Time   // when it rings
}

// noStream is above every stream that a client can open.
const noStream quic.StreamID = 1 << 62

// acceptRequests takes the client's requests until the connection ends.
func (c *ServerConn) acceptRequests() {
	for {
		str, err := c.qc.AcceptStream(c.qc.Context())
		if err != nil {
			return
		}
		if !c.admit(str.StreamID()) {
			str.CancelRead(codeRequestRejected)
			str.CancelWrite(codeRequestRejected)
			str.ReleaseStreamCredit()
			continue
		}
		go newStream(c, str).begin()
	}
}

// admit counts a request in, unless the client was told to send it elsewhere.
func (c *ServerConn) admit(id quic.StreamID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id >= c.refuseFrom {
		return false
	}
	c.next = id + 4
	c.open++
	return true
}

// leave counts a request out, and reports whether it was the last one.
func (c *ServerConn) leave() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	return c.open == 0
}

// busy reports whether there are requests.
func (c *ServerConn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open > 0
}

// fail ends the connection for an error that the client made. Any goroutine may call it.
// The first reason is what the client is told.
func (c *ServerConn) fail(code quic.ApplicationErrorCode, why string) {
	if c.failed.Swap(true) {
		return
	}
	go c.qc.CloseWithError(code, why) // waits until the client was told
}

// closed ends what waits for the connection, on the loop.
func (c *ServerConn) closed() {
	if c.dead {
		return
	}
	c.dead = true
	c.stopTimer()
	if c.cfg.Closed != nil {
		c.cfg.Closed()
	}
}
