package proxy

import (
	"strings"

	"github.com/pierhead/pierhead/internal/message"
)

// tellHTTP3 tells the client by Alt-Svc (RFC 7838) that it may ask by HTTP/3 as well, at
// the UDP port of the number that it used: where that is published, both protocols are.
// What the endpoint says itself stays.
func (t *trip) tellHTTP3() {
	h := &t.resp.Header
	if _, ok := h.LookupKnown(message.AltSvc); ok {
		return
	}
	const head, tail = `h3=":`, `"; ma=86400`
	host := t.x.In.Host
	colon := strings.LastIndexByte(host, ':')
	if colon < strings.LastIndexByte(host, ']') || colon < 0 || colon == len(host)-1 {
		h.AddKnown(message.AltSvc, head+"443"+tail)
		return
	}
	b := append(t.x.Bytes(), head...)
	b = append(b, host[colon+1:]...)
	h.AddKnown(message.AltSvc, t.x.Text(append(b, tail...)))
}
