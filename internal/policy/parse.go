package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
)

// Bool declares a key that is true or false, in Go's spellings.
func Bool(name string, def bool, doc string, opts ...option) *Value[bool] {
	return key(name, "bool", def, strconv.FormatBool(def), doc, parseBool, opts)
}

func parseBool(s string) (bool, error) {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", s)
	}
	return v, nil
}

// OnOff declares a key that is on or off.
func OnOff(name string, def bool, doc string, opts ...option) *Value[bool] {
	return key(name, "on or off", def, map[bool]string{true: "on", false: "off"}[def], doc, func(s string) (bool, error) {
		switch s {
		case "on", "true":
			return true, nil
		case "off", "false":
			return false, nil
		}
		return false, fmt.Errorf("%q is neither on nor off", s)
	}, opts)
}

// Int declares a key that is a whole number within bounds.
func Int(name string, def, low, high int, doc string, opts ...option) *Value[int] {
	return key(name, "number", def, strconv.Itoa(def), doc, func(s string) (int, error) {
		return parseInt(s, low, high)
	}, opts)
}

func parseInt(s string, low, high int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	if n < low || n > high {
		return 0, fmt.Errorf("%q is not between %d and %d", s, low, high)
	}
	return n, nil
}

const maxSeconds = 10 * 365 * 24 * 3600

// Seconds declares a key that is a number of seconds, without a unit.
func Seconds(name string, def time.Duration, doc string, opts ...option) *Value[time.Duration] {
	return key(name, "seconds", def, strconv.Itoa(int(def.Seconds())), doc, func(s string) (time.Duration, error) {
		n, err := strconv.Atoi(s)
		if err != nil {
			if _, unit := parseTime(s); unit == nil {
				return 0, fmt.Errorf("%q has a unit: write the number of seconds alone", s)
			}
			return 0, fmt.Errorf("%q is not a number of seconds", s)
		}
		if n < 0 || n > maxSeconds {
			return 0, fmt.Errorf("%q is not a sensible number of seconds", s)
		}
		return time.Duration(n) * time.Second, nil
	}, opts)
}

// Time declares a key that is a time as nginx writes it: 500ms, 30s, 1h 30m.
func Time(name string, def time.Duration, show, doc string, opts ...option) *Value[time.Duration] {
	return key(name, "time", def, show, doc, parseTime, opts)
}

var timeUnits = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "": time.Second, "m": time.Minute, "h": time.Hour,
	"d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "M": 30 * 24 * time.Hour, "y": 365 * 24 * time.Hour,
}

func parseTime(s string) (time.Duration, error) {
	var sum time.Duration
	rest := s
	for rest != "" {
		n := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		v, err := strconv.Atoi(rest[:n])
		end := n + len(rest[n:]) - len(strings.TrimLeft(rest[n:], "mshdwMy"))
		unit, ok := timeUnits[rest[n:end]]
		if err != nil || !ok || v > maxSeconds*1000 || time.Duration(v) > maxSeconds*time.Second/unit {
			return 0, fmt.Errorf("%q is not a time such as 500ms, 30s or 1h", s)
		}
		sum += time.Duration(v) * unit
		rest = strings.TrimLeft(rest[end:], " ")
	}
	if s == "" || sum > maxSeconds*time.Second {
		return 0, fmt.Errorf("%q is not a time such as 500ms, 30s or 1h", s)
	}
	return sum, nil
}

// Size declares a key that is a size as nginx writes it: bytes, or with k, m or g.
func Size(name string, def int64, show, doc string, opts ...option) *Value[int64] {
	return key(name, "size", def, show, doc, parseSize, opts)
}

func parseSize(s string) (int64, error) {
	digits, unit := s, int64(1)
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'k', 'K':
			digits, unit = s[:n-1], 1<<10
		case 'm', 'M':
			digits, unit = s[:n-1], 1<<20
		case 'g', 'G':
			digits, unit = s[:n-1], 1<<30
		}
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || v < 0 || digits[0] == '+' || v > (1<<62)/unit {
		return 0, fmt.Errorf("%q is not a size such as 1048576, 512k or 8m", s)
	}
	return v * unit, nil
}

// Enum declares a key that is one of some words, whatever their case.
func Enum(name, def string, words []string, doc string, opts ...option) *Value[string] {
	return key(name, "one of "+strings.Join(words, ", "), def, def, doc, func(s string) (string, error) {
		for _, w := range words {
			if strings.EqualFold(w, s) {
				return w, nil
			}
		}
		return "", fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
	}, opts)
}

// Text declares a key that is text matching a pattern as a whole; what names that
// in words.
func Text(name, def, pattern, what, doc string, opts ...option) *Value[string] {
	re := regexp.MustCompile(`\A(?:` + pattern + `)\z`)
	return key(name, what, def, def, doc, func(s string) (string, error) {
		if !re.MatchString(s) {
			return "", fmt.Errorf("%q is not %s", s, what)
		}
		return s, nil
	}, opts)
}

// Variables declares a key that is text with nginx variables.
func Variables(name, def, doc string, opts ...option) *Value[string] {
	return key(name, "text with variables", def, def, doc, func(s string) (string, error) {
		if strings.ContainsAny(s, "\r\n\x00") {
			return "", fmt.Errorf("%q holds a line break", s)
		}
		_, err := exchange.ParseTemplate(s)
		return s, err
	}, opts)
}

// List declares a key that is a list of words, separated by commas.
func List(name string, def []string, what, doc string, check func(string) error, opts ...option) *Value[[]string] {
	return key(name, "list of "+what, def, strings.Join(def, ","), doc, func(s string) ([]string, error) {
		var list []string
		for w := range strings.SplitSeq(s, ",") {
			if w = strings.TrimSpace(w); w == "" {
				continue
			}
			if check != nil {
				if err := check(w); err != nil {
					return nil, err
				}
			}
			if !slices.Contains(list, w) {
				list = append(list, w)
			}
		}
		return list, nil
	}, opts)
}

var token = regexp.MustCompile("\\A[!#$%&'*+.^_`|~0-9A-Za-z-]+\\z")

// fieldName checks a field name (RFC 9110, section 5.1).
func fieldName(s string) error {
	if !token.MatchString(s) {
		return fmt.Errorf("%q is not a header name", s)
	}
	return nil
}

// CIDRs declares a key that is a list of addresses and networks.
func CIDRs(name, doc string, opts ...option) *Value[[]netip.Prefix] {
	return key(name, "list of addresses and networks", nil, "", doc, parseCIDRs, opts)
}

func parseCIDRs(s string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for w := range strings.SplitSeq(s, ",") {
		if w = strings.TrimSpace(w); w == "" {
			continue
		}
		p, err := parseCIDR(w)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	if s != "" && len(list) == 0 { // it is meant to be a list: none would let all in
		return nil, fmt.Errorf("%q names no address", s)
	}
	return list, nil
}

func parseCIDR(w string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(w); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(w)
	if err != nil {
		return p, fmt.Errorf("%q is not an address or a network such as 10.0.0.0/8", w)
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, fmt.Errorf("%q is a network of IPv4 and IPv6 addresses: write two", w)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// Codes declares a key that is a status code within bounds.
func Codes(name string, def, low, high int, doc string, opts ...option) *Value[int] {
	return key(name, "status code", def, strconv.Itoa(def), doc, func(s string) (int, error) {
		return parseInt(s, low, high)
	}, opts)
}

// Words declares a key that is a list of the given words, separated by spaces or
// commas.
func Words(name string, def, words []string, doc string, opts ...option) *Value[[]string] {
	return key(name, "list of "+strings.Join(words, ", "), def, strings.Join(def, " "), doc, func(s string) ([]string, error) {
		list := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' })
		for _, w := range list {
			if !slices.Contains(words, w) {
				return nil, fmt.Errorf("%q is none of %s", w, strings.Join(words, ", "))
			}
		}
		return list, nil
	}, opts)
}

// URL declares a key that is an http or https URL, which may hold nginx variables.
func URL(name, doc string, opts ...option) *Value[string] {
	return key(name, "URL", "", "", doc, func(s string) (string, error) { return s, checkURL(s) }, opts)
}

var variable = regexp.MustCompile(`\$(\{\w+\}|\w+)`)

func checkURL(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '"' || r == '\\' || r == '<' || r == '>' }) {
		return fmt.Errorf("%q holds a character that a URL cannot have", s)
	}
	if _, err := exchange.ParseTemplate(s); err != nil {
		return err
	}
	u, err := url.Parse(variable.ReplaceAllString(s, "x"))
	if err != nil {
		return errors.New("the text is not a URL such as https://auth.example.com/check")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q does not begin with http:// or https://", s)
	case u.Hostname() == "":
		return fmt.Errorf("%q has no host", s)
	case strings.Contains(u.Host, ".."):
		return fmt.Errorf("%q has a host with two dots in a row", s)
	case u.User != nil:
		return errors.New("the URL holds a user name, which would be sent to nobody")
	}
	return nil
}

// Ref is the name of an object, with or without its namespace.
type Ref struct{ Namespace, Name string }

// String returns namespace/name.
func (r Ref) String() string { return r.Namespace + "/" + r.Name }

var objectName = regexp.MustCompile(`\A[a-z0-9]([a-z0-9.-]*[a-z0-9])?\z`)

// Reference declares a key that names an object of a kind: name or namespace/name.
func Reference(name, kind, doc string, opts ...option) *Value[Ref] {
	return key(name, kind+" name", Ref{}, "", doc, func(s string) (Ref, error) {
		ns, n, both := strings.Cut(s, "/")
		if !both {
			ns, n = "", s
		}
		if !objectName.MatchString(n) || both && !objectName.MatchString(ns) {
			return Ref{}, fmt.Errorf("%q is not the name of a %s: name or namespace/name", s, kind)
		}
		return Ref{ns, n}, nil
	}, opts)
}
