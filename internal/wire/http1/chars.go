package http1

import (
	"encoding/binary"
	"math/bits"
)

// What a byte may be in a field name (RFC 9110, section 5.6.2).
const (
	classPlain      = 1 << iota // letter, digit or "-": what nginx calls valid
	classUnderscore             // "_"
	classOdd                    // any other token character
)

// nameClass holds the class of each byte; 0 is no token character.
var nameClass = func() (t [256]uint8) {
	for c := byte('0'); c <= '9'; c++ {
		t[c] = classPlain
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-32] = classPlain, classPlain
	}
	for _, c := range []byte("!#$%&'*+.^`|~") {
		t[c] = classOdd
	}
	t['-'], t['_'] = classPlain, classUnderscore
	return t
}()

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// control returns the position, at or after i, of the first byte below min or DEL,
// or len(b). It looks at eight bytes at a time.
func control(b []byte, i int, min uint8) int {
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		d := x ^ 0x7f7f7f7f7f7f7f7f
		if m := ((x-ones*uint64(min))&^x | (d-ones)&^d) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < len(b); i++ {
		if b[i] < min || b[i] == 0x7f {
			return i
		}
	}
	return i
}

// valueEnd returns the position, at or after i, of the first byte that a field
// value cannot hold, or len(b).
func valueEnd(b []byte, i int) int {
	for {
		i = control(b, i, ' ')
		if i == len(b) || b[i] != '\t' {
			return i
		}
		i++
	}
}

// isToken reports whether b is a token.
func isToken(b []byte) bool {
	for _, c := range b {
		if nameClass[c] == 0 {
			return false
		}
	}
	return len(b) > 0
}

// isMethod reports whether b can be a method: of the tokens, those that nginx takes.
// What others would refuse is not passed on to them.
func isMethod(b []byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && c != '_' && c != '-' {
			return false
		}
	}
	return len(b) > 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// trim removes spaces and tabs at both ends.
func trim(s string) string {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// fold reports whether s is lower, in any case of letters.
func fold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// nextToken cuts the first element off a comma-separated list.
func nextToken(list string) (tok, rest string) {
	for i := 0; i < len(list); i++ {
		if list[i] == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), ""
}
