package upstream

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/pierhead/pierhead/internal/exchange"
)

// pickSticky chooses by the key of the client's cookie, and tells in x.Affinity what
// the cookie has to be. A client without a key, or whose endpoint is gone, gets a new
// one, away from what x tried already. An endpoint that drains keeps its sessions for as
// long as it answers, and gets no new one.
func (p *Pool) pickSticky(v *view, x *exchange.Exchange) *Endpoint {
	a, s := &x.Affinity, search{v: v, x: x}.begin()
	if a.Key != "" {
		if e := v.find(a.Key); e != nil && !(v.drains(e) && tried(x, e)) && !s.shuns(e) {
			a.Picked, a.Fresh = a.Key, false
			return e
		}
	}
	a.Fresh = true
	if s.need == full {
		return nil
	}
	if v.digests != nil {
		e := p.next(s)
		a.Picked = e.digest
		return e
	}
	const attempts = 20 // nginx's
	var e *Endpoint
	for range attempts {
		b := appendKey(x.Bytes())
		if e = v.at(hashBytes(b)); !tried(x, e) && s.takes(e) && !v.drains(e) {
			a.Picked = x.Text(b)
			return e
		}
		a.Picked = ""
	}
	return p.keyFor(s, e)
}

// drains reports whether e is about to end.
func (v *view) drains(e *Endpoint) bool {
	return len(v.draining) > 0 && slices.Contains(v.draining, e)
}

// keyFor answers when every new key led to an endpoint that was tried already, last:
// an untried one when there is any, although no key leads to it.
func (p *Pool) keyFor(s search, last *Endpoint) *Endpoint {
	s.x.Affinity.Fresh = false
	if e := p.next(s); !tried(s.x, e) {
		return e
	}
	return last
}

// find returns the endpoint that a key stands for, or nil.
func (v *view) find(key string) *Endpoint {
	if v.digests != nil {
		return v.digests[key]
	}
	return v.at(hashString(key))
}

// appendKey appends 32 random hexadecimal digits.
func appendKey(b []byte) []byte {
	for range 2 {
		for n, i := rand.Uint64(), 0; i < 16; i, n = i+1, n>>4 {
			b = append(b, "0123456789abcdef"[n&15])
		}
	}
	return b
}

// digest is the key of an endpoint in mode "persistent": the same in every process.
func digest(pool string, addr netip.AddrPort) string {
	sum := sha256.Sum256([]byte(pool + " " + addr.String()))
	return hex.EncodeToString(sum[:16])
}
