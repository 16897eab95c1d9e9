package proxy

import (
	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/upstream"
	"github.com/pierhead/pierhead/internal/wire/http1"
	"github.com/pierhead/pierhead/internal/wire/http2"
)

// awaitRoom waits where no endpoint could be picked until one has room, or the client
// gives up. Without an endpoint it returns how the try ended.
func (t *trip) awaitRoom(f *exchange.Forward) (*upstream.Endpoint, outcome) {
	p := t.route.Pool
	if p.Empty() {
		return nil, outcome{kind: exchange.NoEndpoint}
	}
	t.watchWaiting()
	e := p.Wait(t.slot.loop, &t.x, f.ConnectTimeout, t.clientLeft)
	t.unwatchWaiting()
	switch {
	case e != nil:
		return e, outcome{}
	case t.clientLeft():
		return nil, outcome{kind: exchange.ClientGone, err: errClientGone}
	case p.Empty():
		return nil, outcome{kind: exchange.NoEndpoint}
	}
	return nil, outcome{kind: exchange.UpstreamFull}
}

// clientLeft reports whether the client has given up, as far as is known.
func (t *trip) clientLeft() bool {
	w, ok := t.w.(http1.Streamer)
	return t.gone || ok && loop.Gone(w.Stream())
}

// watchWaiting has the coroutine woken when the client gives up. That an HTTP/1 client has
// sent more, which hides that, is found out by clientLeft in the end.
func (t *trip) watchWaiting() {
	t.waits = t.slot.loop.Task()
	if g, ok := t.w.(http2.Goner); ok {
		g.OnGone(leftWaiting, t)
	} else if w, ok := t.w.(http1.Streamer); ok {
		if s := w.Stream(); !s.Ready() || s.Quiet() {
			s.OnReadable(wakeWaiting, t)
		}
	}
}

func (t *trip) unwatchWaiting() {
	t.waits = nil
	if g, ok := t.w.(http2.Goner); ok {
		g.OnGone(nil, nil)
	} else if w, ok := t.w.(http1.Streamer); ok {
		w.Stream().OnReadable(nil, nil)
	}
}

// leftWaiting is called when a client of HTTP/2 or HTTP/3 has given up.
func leftWaiting(arg any) {
	arg.(*trip).gone = true
	wakeWaiting(arg)
}

func wakeWaiting(arg any) {
	if t := arg.(*trip).waits; t != nil {
		t.Wake()
	}
}
