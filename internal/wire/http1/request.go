package http1

import (
	"bytes"

	"github.com/pierhead/pierhead/internal/message"
)

// requestHead reads one request head. It goes on where it stopped when more bytes
// have come, so that a head that trickles in costs no more than one that does not;
// when the buffer has moved it must begin again (reset).
type requestHead struct {
	pos     int  // where the line begins that is read next
	skipped int  // empty lines before the request line, in bytes
	line    bool // the request line has been read
	hosts   int
	expect  bool // Expect: 100-continue
	framing
}

func (p *requestHead) reset() {
	*p = requestHead{}
	p.framing.reset()
}

// parse reads the head that begins at b[0] into r. It returns its length, or 0 when
// it is not complete.
func (p *requestHead) parse(b []byte, r *message.Request, lim *Limits) (int, Fault) {
	if !p.line {
		if fault := p.requestLine(b, r, lim.maxLine()); fault != NoFault || !p.line {
			return 0, fault
		}
	}
	pass := uint8(classPlain)
	if lim.Underscores {
		pass |= classUnderscore
	}
	if lim.InvalidNames {
		pass |= classUnderscore | classOdd
	}
	maxLine, maxHead := lim.maxLine(), lim.maxHead()
	var f fieldLine
	for {
		end, more, fault := sectionEnd(b, p.pos)
		if fault != NoFault {
			return 0, fault
		}
		if end > maxHead || len(b) >= maxHead && end == 0 && more {
			return 0, HeadTooLarge
		}
		if end > 0 {
			p.pos = end
			r.Size = int64(end - p.skipped)
			return end, p.finish(r)
		}
		if more {
			return 0, NoFault
		}
		if fault = f.parse(b, p.pos); fault != NoFault {
			return 0, fault
		}
		if f.end == 0 {
			if len(b)-p.pos >= maxLine {
				return 0, FieldTooLong
			}
			if len(b) >= maxHead {
				return 0, HeadTooLarge
			}
			return 0, NoFault
		}
		if f.end-p.pos-2 > maxLine {
			return 0, FieldTooLong
		}
		p.pos = f.end
		if f.class&^pass == 0 {
			if fault = p.field(&f, r); fault != NoFault {
				return 0, fault
			}
		}
	}
}

// field takes one field into r, or keeps what it says about the connection.
func (p *requestHead) field(f *fieldLine, r *message.Request) Fault {
	k := message.LookupKnown(f.name)
	switch k {
	case message.Other:
	case message.Host:
		if p.hosts++; p.hosts > 1 {
			return ManyHosts
		}
		if !message.ValidHost(f.value) {
			return BadHost
		}
		if r.Host == "" { // else it was in the request line, which wins
			r.Host = f.value
		}
		return NoFault
	case message.Expect:
		if fold(f.value, "100-continue") {
			p.expect = true
		}
		return NoFault
	default:
		if kept, fault := p.take(f, k, &r.Header); !kept {
			return fault
		}
	}
	if r.Header.Len() >= maxFields {
		return TooManyFields
	}
	r.Header.Append(k, f.name, f.value)
	return NoFault
}

// requestLine reads the first line: method SP target SP version CR LF. Empty lines
// before it, which old clients send after a body, are skipped.
func (p *requestHead) requestLine(b []byte, r *message.Request, maxLine int) Fault {
	for p.skipped < 4 && len(b) >= p.pos+2 && b[p.pos] == '\r' && b[p.pos+1] == '\n' {
		p.pos += 2
		p.skipped += 2
	}
	i := p.pos
	if i < len(b) && b[i] == '\r' && i+1 == len(b) && p.skipped < 4 {
		return NoFault
	}
	for i < len(b) && nameClass[b[i]] != 0 {
		i++
	}
	method := b[p.pos:i]
	if i == len(b) {
		return p.unfinished(b, maxLine)
	}
	if b[i] != ' ' || !isMethod(method) {
		return BadMethod
	}
	i++
	from := i
	i = control(b, i, ' '+1)
	if i == len(b) {
		return p.unfinished(b, maxLine)
	}
	if b[i] != ' ' || i == from {
		return BadTarget
	}
	target := b[from:i]
	if i-p.pos > maxLine {
		return LineTooLong
	}
	fault := p.version(b[i+1:], r)
	if fault != NoFault || !p.line {
		return fault
	}
	if i+len(" HTTP/1.1")-p.pos > maxLine {
		return LineTooLong
	}
	r.Method = message.String(method)
	p.pos = i + 1 + len("HTTP/1.1\r\n")
	return setTarget(r, target)
}

// unfinished is the answer to a request line without its end.
func (p *requestHead) unfinished(b []byte, maxLine int) Fault {
	if len(b)-p.pos >= maxLine {
		return LineTooLong
	}
	return NoFault
}

// version reads the end of the request line; p.line tells that it is complete.
func (p *requestHead) version(b []byte, r *message.Request) Fault {
	const form = "HTTP/d.d\r\n"
	for i := 0; i < len(form); i++ {
		if i == len(b) {
			return NoFault
		}
		c, want := b[i], form[i]
		switch {
		case want == 'd' && ('0' <= c && c <= '9'):
		case want == '\n' && c != '\n', want == '\r' && c == '\n':
			return BadLineEnd
		case c != want:
			return BadVersion
		}
	}
	switch {
	case b[5] != '1' || b[7] > '1':
		return UnsupportedVersion
	case b[7] == '1':
		r.Version = message.HTTP11
	default:
		r.Version = message.HTTP10
	}
	p.line = true
	return NoFault
}

// setTarget puts the target of the request line into r: origin-form, absolute-form
// or "*" (RFC 9112, section 3.2).
func setTarget(r *message.Request, t []byte) Fault {
	if r.Method == "CONNECT" {
		return MethodConnect
	}
	if bytes.IndexByte(t, '#') >= 0 {
		return BadTarget
	}
	r.Target = message.String(t)
	switch {
	case t[0] == '/':
		return NoFault
	case len(t) == 1 && t[0] == '*' && r.Method == "OPTIONS":
		return NoFault
	}
	return absolute(r)
}

// absolute reads a target in absolute-form. Its host takes the place of the Host
// field's.
func absolute(r *message.Request) Fault {
	t := r.Target
	switch {
	case len(t) > 7 && fold(t[:7], "http://"):
		t = t[7:]
	case len(t) > 8 && fold(t[:8], "https://"):
		t = t[8:]
	default:
		return BadTarget
	}
	i := 0
	for i < len(t) && t[i] != '/' && t[i] != '?' {
		i++
	}
	if !message.ValidHost(t[:i]) {
		return BadTarget
	}
	r.Host, r.Target = t[:i], t[i:]
	switch {
	case r.Target == "" && r.Method == "OPTIONS":
		r.Target = "*"
	case r.Target == "":
		r.Target = "/"
	case r.Target[0] == '?':
		r.Target = "/" + r.Target
	}
	return NoFault
}

// finish holds the rules that need the whole head, and fills in what follows from it.
func (p *requestHead) finish(r *message.Request) Fault {
	if p.hosts == 0 && r.Version == message.HTTP11 {
		return NoHost
	}
	if fault := p.check(r.Version); fault != NoFault {
		return fault
	}
	if r.Method == "TRACE" {
		return MethodTrace
	}
	p.strip(&r.Header)
	r.Length = max(p.length, 0)
	if p.chunked {
		r.Length = message.Unknown
	}
	if r.Version == message.HTTP10 {
		p.expect = false
	} else if p.upgrade && r.Length == 0 {
		r.Upgrade = upgradeTo(p.protocol)
	}
	return NoFault
}

// upgradeTo returns the value of Upgrade unless it offers HTTP itself: nobody who
// reads such a connection behind us would apply our rules to it.
func upgradeTo(protocol string) string {
	for rest := protocol; rest != ""; {
		var tok string
		tok, rest = nextToken(rest)
		if fold(tok, "h2c") || len(tok) >= 5 && fold(tok[:5], "http/") {
			return ""
		}
	}
	return protocol
}
