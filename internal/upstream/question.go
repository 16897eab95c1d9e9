package upstream

import (
	"errors"
	"fmt"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/wire/http1"
	"github.com/pierhead/pierhead/internal/wire/http2"
)

// ask asks an endpoint once how it is, in what it speaks, and returns what is wrong.
func (e *Endpoint) ask(l *loop.Loop, check *model.Check) error {
	deadline := l.Now().Add(check.Timeout)
	stream, err := e.open(l, check.Timeout)
	if err != nil {
		return err
	}
	w, end := e.place(stream, deadline)
	defer end()
	if e.grpc {
		return e.askGRPC(w, check)
	}
	req := e.question(check, "GET", check.Path)
	var resp message.Response
	switch err := exchangeHeads(w, &req, nil, &resp); {
	case err != nil:
		return err
	case resp.Status < check.Low || resp.Status > check.High:
		return fmt.Errorf("status %d", resp.Status)
	}
	return nil
}

// place returns where one question goes on a fresh connection, and what ends both.
func (e *Endpoint) place(stream loop.Stream, deadline time.Time) (w Wire, end func()) {
	if !e.multi {
		stream.SetReadDeadline(deadline)
		stream.SetWriteDeadline(deadline)
		c := http1.NewClient(stream)
		return c, func() { c.Close() }
	}
	none := func(any) {}
	wait := deadline.Sub(stream.Loop().Now())
	c := http2.NewClient(stream, &http2.ClientConfig{Idle: func() time.Duration { return wait }, Rested: none, Closed: none, Secure: e.tls != nil}, nil)
	st := c.NewStream()
	st.SetReadDeadline(deadline)
	st.SetWriteTimeout(max(wait, time.Millisecond))
	return st, func() {
		st.Free()
		c.Leave()
	}
}

// question is the head of one.
func (e *Endpoint) question(check *model.Check, method, target string) message.Request {
	req := message.Request{Version: message.HTTP11, Method: method, Target: target, Host: check.Host}
	if req.Host == "" {
		req.Host = e.addr.String()
	}
	req.Header.AddKnown(message.UserAgent, "pierhead-health-check")
	return req
}

const maxInterimOfProbe = 8

var errInterim = errors.New("too many interim answers")

// exchangeHeads sends a request and reads the head of the answer.
func exchangeHeads(w Wire, req *message.Request, body []byte, resp *message.Response) error {
	if err := w.WriteHead(req); err != nil {
		return err
	}
	if len(body) > 0 {
		if _, err := w.Write(body); err != nil {
			return err
		}
	}
	if err := w.Finish(nil); err != nil {
		return err
	}
	for range maxInterimOfProbe {
		if err := w.ReadHead(resp, req.Method, 16<<10); err != nil {
			return err
		}
		if resp.Status >= 200 {
			return nil
		}
	}
	return errInterim
}
