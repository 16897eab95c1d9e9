package routing

import (
	"errors"
	"strings"

	"github.com/pierhead/pierhead/internal/message"
)

// What is wrong with a request target. Each is answered with 400.
var (
	ErrTarget    = errors.New(`request target does not begin with "/"`)
	ErrEscape    = errors.New(`request target holds a "%" that two hexadecimal digits other than 00 do not follow`)
	ErrAboveRoot = errors.New(`request target leads above "/" by ".."`)
	ErrNUL       = errors.New("request target holds a NUL byte")
)

// Normalize splits a request target (path and query as the client wrote them) and
// normalizes the path once: percent-decoded, slashes merged, "." and ".." resolved,
// a fragment cut off. The query stays as it was written.
//
// The path it returns is the one path of the exchange: routes are matched by it and
// every later step looks at it, so that no two of them can read one target in two
// ways.
//
// A path that is normal already is a part of target and costs nothing. Another one
// is made in buf, whose content is overwritten and which grows when its capacity is
// smaller than the target.
func Normalize(target string, buf []byte) (path, query string, err error) {
	if target == "" || target[0] == '?' || target[0] == '#' {
		// What an absolute-form target without a path leaves.
		path = "/"
	} else if target[0] != '/' {
		return "", "", ErrTarget
	}
	end, normal := len(target), true
scan:
	for i := 0; i < len(target); i++ {
		switch target[i] {
		case '?', '#':
			end = i
			break scan
		case '%':
			normal = false
		case 0:
			return "", "", ErrNUL
		case '/':
			if i+1 < len(target) && (target[i+1] == '/' || target[i+1] == '.') {
				normal = false
			}
		}
	}
	if end < len(target) && target[end] == '?' {
		query = target[end+1:]
		if i := strings.IndexByte(query, '#'); i >= 0 {
			query = query[:i]
		}
	}
	if path == "/" {
		return path, query, nil
	}
	if normal {
		return target[:end], query, nil
	}
	b, err := resolve(target[:end], buf[:0])
	if err != nil {
		return "", "", err
	}
	return message.String(b), query, nil
}

// resolve appends the normal form of raw, which begins with "/", to b, which is
// empty.
func resolve(raw string, b []byte) ([]byte, error) {
	segment := 0 // where the last segment of b begins
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) {
				return nil, ErrEscape
			}
			hi, lo := unhex(raw[i+1]), unhex(raw[i+2])
			if hi > 15 || lo > 15 || hi|lo == 0 {
				return nil, ErrEscape
			}
			c, i = hi<<4|lo, i+2
		}
		// An encoded slash or dot counts as one that was written plainly: it must not
		// be a way around a rule.
		if c != '/' {
			b = append(b, c)
			continue
		}
		var err error
		if b, err = dots(b, segment); err != nil {
			return nil, err
		}
		if len(b) == 0 || b[len(b)-1] != '/' {
			b = append(b, '/')
		}
		segment = len(b)
	}
	return dots(b, segment)
}

// dots resolves the last segment of b, which begins at segment, when it is "." or
// "..".
func dots(b []byte, segment int) ([]byte, error) {
	switch string(b[segment:]) {
	case ".":
		return b[:segment], nil
	case "..":
		i := segment - 1 // the slash before the segment
		if i <= 0 {
			return nil, ErrAboveRoot
		}
		for i--; b[i] != '/'; i-- {
		}
		return b[:i+1], nil
	}
	return b, nil
}

// unhex returns the value of a hexadecimal digit, or 255.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 255
}
