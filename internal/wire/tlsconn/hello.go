package tlsconn

import (
	"errors"
	"strings"
)

// MaxHello is the largest ClientHello that ServerName reads, records included.
const MaxHello = 16 << 10

// ErrNotHello says that bytes are no ClientHello, or one that ServerName does not read.
var ErrNotHello = errors.New("tls: the connection does not begin with a ClientHello")

// The numbers of RFC 8446 and RFC 6066.
const (
	recordHandshake = 22
	messageHello    = 1
	extensionName   = 0
	nameOfHost      = 0
	maxRecord       = 16 << 10
)

// ServerName returns the name that the ClientHello at the beginning of b asks for, in
// lower case; "" when it asks for none. More says that b is a part of one. The message
// may be spread over several records.
func ServerName(b []byte) (name string, more bool, err error) {
	var message []byte // what of it came
	for rest := b; ; {
		if len(rest) > 0 && rest[0] != recordHandshake || len(rest) > 1 && rest[1] != 3 {
			return "", false, ErrNotHello
		}
		if len(rest) < 5 {
			return needMore(b)
		}
		n := int(rest[3])<<8 | int(rest[4])
		if n == 0 || n > maxRecord {
			return "", false, ErrNotHello
		}
		part := rest[5:min(5+n, len(rest))]
		if message == nil {
			message = part[:len(part):len(part)] // most are one record
		} else {
			message = append(message, part...)
		}
		if len(message) > 0 && message[0] != messageHello {
			return "", false, ErrNotHello
		}
		if len(message) >= 4 {
			size := int(message[1])<<16 | int(message[2])<<8 | int(message[3])
			if size > MaxHello {
				return "", false, ErrNotHello
			}
			if len(message) >= 4+size {
				name, ok := helloName(message[4 : 4+size])
				if !ok {
					return "", false, ErrNotHello
				}
				return name, false, nil
			}
		}
		if len(rest) < 5+n {
			return needMore(b)
		}
		rest = rest[5+n:]
	}
}

func needMore(b []byte) (string, bool, error) {
	if len(b) >= MaxHello {
		return "", false, ErrNotHello
	}
	return "", true, nil
}

// fields reads what stands one after the other in a message.
type fields struct {
	rest []byte
	bad  bool
}

// take returns the next n bytes.
func (f *fields) take(n int) []byte {
	if n > len(f.rest) {
		f.bad, f.rest = true, nil
		return nil
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

// vector returns a field that begins with its length, in so many bytes.
func (f *fields) vector(lengthBytes int) []byte {
	n := 0
	for _, b := range f.take(lengthBytes) {
		n = n<<8 | int(b)
	}
	return f.take(n)
}

// helloName returns the server name of a ClientHello; false: it is none.
func helloName(hello []byte) (string, bool) {
	f := fields{rest: hello}
	f.take(2 + 32) // version, random
	f.vector(1)    // session
	f.vector(2)    // ciphers
	f.vector(1)    // compression
	if f.bad || len(f.rest) == 0 {
		return "", !f.bad
	}
	extensions := fields{rest: f.vector(2)}
	for !f.bad && len(extensions.rest) > 0 && !extensions.bad {
		kind := extensions.take(2)
		body := extensions.vector(2)
		if extensions.bad {
			break
		}
		if kind[0] == 0 && kind[1] == extensionName {
			return hostName(body)
		}
	}
	return "", !f.bad && !extensions.bad
}

// hostName returns the name of a server_name extension.
func hostName(body []byte) (string, bool) {
	f := fields{rest: body}
	list := fields{rest: f.vector(2)}
	for len(list.rest) > 0 && !list.bad {
		kind := list.take(1)
		name := list.vector(2)
		if !list.bad && kind[0] == nameOfHost {
			return strings.ToLower(string(name)), !f.bad
		}
	}
	return "", !f.bad && !list.bad
}
