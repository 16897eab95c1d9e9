package proxy

import (
	"errors"
	"io"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/upstream"
	"github.com/pierhead/pierhead/internal/wire/http1"
)

var errNoTunnel = errors.New("client's protocol version cannot switch protocols")

// upgrade passes a 101 on and then bytes both ways, until one side ends or is idle
// for too long. Nothing of the kind happens before the endpoint has agreed: what the
// client sent after its request waited until now.
func (t *trip) upgrade(c *upstream.Conn, f *exchange.Forward) outcome {
	w, ok := t.w.(http1.Tunneler)
	if !ok {
		return outcome{kind: exchange.UpstreamInvalid, err: errNoTunnel}
	}
	t.finishHead()
	if err := t.w.WriteHead(&t.resp); err != nil {
		return t.clientGone(err)
	}
	down, err := w.Tunnel()
	if err != nil {
		return t.clientGone(err)
	}
	up, err := c.Tunnel()
	if err != nil {
		return outcome{kind: exchange.UpstreamReset, err: err}
	}
	t.resp.Header.Reset() // its strings were in the buffer that the tunnel gave back
	l := t.slot.loop
	in := &pipe{l: l, from: down, to: up, read: f.ReadTimeout}
	back := &pipe{l: l, from: up, to: down, read: f.ReadTimeout}
	in.other, back.other = back, in
	up.SetWriteTimeout(f.SendTimeout)
	down.SetWriteTimeout(f.SendTimeout)
	l.Go(runPipe, in)
	back.run()
	in.waitEnd()
	t.x.Received += in.bytes
	t.x.BodySent += back.bytes
	t.x.Complete = true
	return outcome{}
}

// pipe is one direction of a tunnel. Traffic in either direction keeps both alive.
type pipe struct {
	l        *loop.Loop
	from, to loop.Stream
	other    *pipe
	read     time.Duration
	last     time.Time // of the last bytes
	bytes    int64
	over     bool
	wait     *loop.Task
}

func runPipe(arg any) { arg.(*pipe).run() }

// run copies until from ends, which it passes on, or something fails, which ends
// both directions.
func (p *pipe) run() {
	p.last = p.l.Now()
	if p.copy() != nil {
		p.from.Close()
		p.to.Close()
	} else if p.to.CloseWrite() != nil {
		p.to.Close()
	}
	p.over = true
	if p.wait != nil {
		p.wait.Wake()
	}
}

// copy returns nil at the regular end of from.
func (p *pipe) copy() error {
	for {
		if err := p.waitBytes(); err != nil {
			return err
		}
		n, err := p.piece()
		p.bytes += int64(n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// waitBytes waits for bytes, for as long as neither direction is idle for longer
// than allowed.
func (p *pipe) waitBytes() error {
	for {
		last := p.last
		if p.other.last.After(last) {
			last = p.other.last
		}
		p.from.SetReadDeadline(last.Add(p.read))
		err := p.from.WaitRead()
		if !errors.Is(err, loop.ErrTimeout) {
			return err
		}
		if !p.other.last.After(last) {
			return err
		}
	}
}

// piece copies what is there. The buffer is held no longer than that.
func (p *pipe) piece() (int, error) {
	buf := p.l.Small()
	defer p.l.PutSmall(buf)
	n, err := p.from.Read(buf)
	if n > 0 {
		p.last = p.l.Now()
		if _, werr := p.to.Write(buf[:n]); werr != nil {
			return n, werr
		}
		p.last = p.l.Now()
	}
	return n, err
}

func (p *pipe) waitEnd() {
	p.wait = p.l.Task()
	for !p.over {
		if p.l.Park() != nil {
			return
		}
	}
}
