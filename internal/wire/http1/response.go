package http1

import "github.com/pierhead/pierhead/internal/message"

// responseHead reads one response head, in pieces as requestHead does.
type responseHead struct {
	pos     int
	line    bool
	version message.Version
	framing
}

func (p *responseHead) reset() {
	*p = responseHead{}
	p.framing.reset()
}

// parse reads the head that begins at b[0] into r. It returns its length, or 0 when
// it is not complete.
func (p *responseHead) parse(b []byte, r *message.Response, maxHead int) (int, Fault) {
	if !p.line {
		if fault := p.statusLine(b, r); fault != NoFault || !p.line {
			return 0, p.unfinished(b, maxHead, fault)
		}
	}
	var f fieldLine
	for {
		end, more, fault := sectionEnd(b, p.pos)
		if fault != NoFault {
			return 0, fault
		}
		if end > maxHead {
			return 0, HeadTooLarge
		}
		if end > 0 {
			p.pos = end
			return end, p.finish(r)
		}
		if !more {
			if fault = f.parse(b, p.pos); fault != NoFault {
				return 0, fault
			}
			more = f.end == 0
		}
		if more {
			return 0, p.unfinished(b, maxHead, NoFault)
		}
		p.pos = f.end
		if fault = p.field(&f, r); fault != NoFault {
			return 0, fault
		}
	}
}

func (p *responseHead) unfinished(b []byte, maxHead int, fault Fault) Fault {
	if fault == NoFault && len(b) >= maxHead {
		return HeadTooLarge
	}
	return fault
}

func (p *responseHead) field(f *fieldLine, r *message.Response) Fault {
	k := message.LookupKnown(f.name)
	if k != message.Other {
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

// statusLine reads the first line: version SP status [SP reason] CR LF. A server
// that leaves out the space before an empty reason is understood.
func (p *responseHead) statusLine(b []byte, r *message.Response) Fault {
	const form = "HTTP/1.v ddd"
	for i := 0; i < len(form); i++ {
		if i == len(b) {
			return NoFault
		}
		c, ok := b[i], false
		switch form[i] {
		case 'v':
			ok = c == '0' || c == '1'
		case 'd':
			ok = '0' <= c && c <= '9'
		default:
			ok = c == form[i]
		}
		if !ok {
			return BadStatusLine
		}
	}
	i := len(form)
	if i < len(b) && b[i] != ' ' && b[i] != '\r' {
		return BadStatusLine
	}
	i = valueEnd(b, i)
	if i == len(b) || b[i] == '\r' && i+1 == len(b) {
		return NoFault
	}
	if b[i] != '\r' || b[i+1] != '\n' {
		return BadLineEnd
	}
	p.version = message.HTTP10
	if b[7] == '1' {
		p.version = message.HTTP11
	}
	r.Status = int(b[9]-'0')*100 + int(b[10]-'0')*10 + int(b[11]-'0')
	if r.Status < 100 {
		return BadStatusLine
	}
	p.pos, p.line = i+2, true
	return NoFault
}

// finish holds the rules that need the whole head.
func (p *responseHead) finish(r *message.Response) Fault {
	if fault := p.check(p.version); fault != NoFault {
		return fault
	}
	p.strip(&r.Header)
	if r.Status == 101 {
		r.Upgrade = p.protocol
	}
	r.Length = p.length // -1 is Unknown
	return NoFault
}

// bodiless reports whether the answer to method with this status ends with its
// head, whatever its fields say (RFC 9112, section 6.3).
func bodiless(method string, status int) bool {
	return status < 200 || status == 204 || status == 304 || method == "HEAD"
}
