package proxy

import (
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// statusClientGone is nginx's status for a client that closed the connection: it is
// logged and never sent.
const statusClientGone = 499

// reply answers with a reply of our own.
func (t *trip) reply(r *exchange.Reply) {
	if r.Err != exchange.OK {
		t.note(r.Err, nil)
	}
	t.answer(r)
}

// fail answers a failure, when there is still somebody who can be answered.
func (t *trip) fail(k exchange.Kind, err error) {
	t.note(k, err)
	switch {
	case t.headSent:
		t.w.Abort(err)
	case k == exchange.ClientGone:
		t.x.Status = statusClientGone
		t.w.Abort(err)
	default:
		t.answer(&exchange.Reply{Status: k.Status(), Err: k})
	}
}

// answer sends a reply of our own, after the response steps have seen it.
func (t *trip) answer(r *exchange.Reply) {
	resp := &t.resp
	resp.Reset()
	resp.Status = r.Status
	body, ctype := r.Body, r.Type
	if body == nil && hasPage(r.Status) {
		body, ctype = exchange.ErrorPage(r.Status, t.serverTokens()), exchange.PageType
	}
	if len(body) > 0 && ctype != "" {
		resp.Header.AddKnown(message.ContentType, ctype)
	}
	for i := range r.Fields {
		resp.Header.Add(r.Fields[i].Name, r.Fields[i].Value)
	}
	resp.Length = int64(len(body))
	t.finishHead()
	if t.asksGRPC() && resp.Status >= 400 {
		t.sayGRPC()
		body = nil
	}
	err := t.w.WriteHead(resp)
	if err != nil && badField(err) {
		// A policy made a field of something that is none. Say that, without it.
		t.note(exchange.BadField, err)
		resp.Reset()
		resp.Status, t.x.Status, body = 500, 500, nil
		err = t.w.WriteHead(resp)
	}
	if err == nil && len(body) > 0 {
		var n int
		n, err = t.w.Write(body)
		t.x.BodySent += int64(n)
	}
	if err == nil {
		err = t.w.Finish(nil)
	}
	t.x.Complete = err == nil
	if err != nil && t.kind == exchange.OK {
		t.note(exchange.ClientGone, err)
	}
}

// hasPage tells whether a status has a page: those without a body have none.
func hasPage(status int) bool { return status >= 300 && status != 304 }

// finishHead lets the response steps see the final head and completes it. The head
// counts as sent from then on.
func (t *trip) finishHead() {
	resp := &t.resp
	t.x.Status = resp.Status
	if t.route != nil && !t.bare {
		steps := t.route.Chain.Response
		for i := len(steps) - 1; i >= 0; i-- {
			steps[i].Response(&t.x)
		}
		t.x.Status = resp.Status
	}
	t.headSent = true
	if _, ok := resp.Header.LookupKnown(message.Date); !ok {
		resp.Header.AddKnown(message.Date, t.slot.date.at(t.slot.loop.Now()))
	}
	if _, ok := resp.Header.LookupKnown(message.Server); !ok && t.serverTokens() {
		resp.Header.AddKnown(message.Server, t.slot.server.serverField)
	}
	if t.x.Conn.HTTP3 {
		t.tellHTTP3()
	}
}

func (t *trip) serverTokens() bool { return t.table.Settings.ServerTokens }

// Refuse completes the answer to a request that a codec does not read on, counts and
// logs it, and returns its body. There is no route whose steps could run.
func (s *Server) Refuse(l *loop.Loop, c *exchange.Conn, in *message.Request, resp *message.Response, start time.Time) []byte {
	sl := s.slots[l.Index()]
	t := sl.take()
	defer sl.put(t)
	t.begin(c, in, nil)
	x := &t.x
	x.Start, x.End, x.Status, x.ClientIP = start, l.Now(), resp.Status, c.Client.Addr()
	x.Host, x.Port = in.Host, c.ServerPort
	body := exchange.ErrorPage(resp.Status, t.serverTokens())
	resp.Header.AddKnown(message.ContentType, exchange.PageType)
	resp.Header.AddKnown(message.Date, sl.date.at(x.End))
	if t.serverTokens() {
		resp.Header.AddKnown(message.Server, s.serverField)
	}
	x.BodySent = int64(len(body))
	x.Sent = x.BodySent
	t.note(refusalKind(resp.Status), nil)
	sl.meter.end(x, t.kind, t.table)
	t.accessLog()
	return body
}

func refusalKind(status int) exchange.Kind {
	switch status {
	case 408:
		return exchange.ClientTimeout
	case 414:
		return exchange.URITooLong
	}
	return exchange.BadRequest
}
