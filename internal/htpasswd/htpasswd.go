// Package htpasswd reads htpasswd text and checks credentials against it: all
// formats that nginx knows (apr1 and md5 crypt, {SHA}, {SSHA}, {PLAIN}, traditional
// crypt, sha256, sha512 and bcrypt crypt).
//
// Credentials that were right once are remembered by a keyed digest, so that only
// the first request of a client pays for a slow hash.
package htpasswd

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"

	lib "github.com/tg123/go-htpasswd"
)

// File is the users of one htpasswd text.
type File struct {
	users map[string]entry
	decoy entry // checked when the user is unknown, so that the time does not tell
	cache cache
}

// entry is one user's hash.
type entry struct {
	match interface{ MatchesPassword(string) bool }
	slow  bool // too slow for an event loop
}

// Parse reads htpasswd text: lines user:hash, and comments that begin with "#". The
// first line of a user counts. Lines it cannot read are told in bad and left out; a
// text without any user is an error. Neither ever holds a hash.
func Parse(text []byte) (f *File, bad []error, err error) {
	f = &File{users: map[string]entry{}}
	n := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		user, hash, ok := strings.Cut(line, ":")
		if !ok || user == "" {
			bad = append(bad, fmt.Errorf("line %d is not user:hash", n))
			continue
		}
		hash, _, _ = strings.Cut(hash, ":") // what follows is a comment
		if err := f.add(user, hash); err != nil {
			bad = append(bad, fmt.Errorf("line %d, user %q: %w", n, user, err))
		}
	}
	return f.complete(bad)
}

// ParseMap reads one hash for each user.
func ParseMap(hashes map[string][]byte) (f *File, bad []error, err error) {
	f = &File{users: map[string]entry{}}
	var users []string
	for user := range hashes {
		users = append(users, user)
	}
	slices.Sort(users)
	for _, user := range users {
		if err := f.add(user, strings.TrimSpace(string(hashes[user]))); err != nil {
			bad = append(bad, fmt.Errorf("user %q: %w", user, err))
		}
	}
	return f.complete(bad)
}

func (f *File) complete(bad []error) (*File, []error, error) {
	if len(f.users) == 0 {
		return nil, bad, errors.New("no users")
	}
	for _, e := range f.users {
		if e.slow {
			f.decoy = e
			break
		}
	}
	f.cache.init()
	return f, bad, nil
}

// Len returns how many users there are.
func (f *File) Len() int { return len(f.users) }

func (f *File) add(user, hash string) error {
	if _, seen := f.users[user]; seen {
		return nil
	}
	e, err := parseHash(hash)
	if err != nil {
		return err
	}
	f.users[user] = e
	return nil
}

var errFormat = errors.New("the hash has no known format: apr1, {SHA}, {SSHA}, {PLAIN} or crypt")

// parseHash chooses the format by the hash's first characters. A text without a
// mark is traditional crypt and never a plain password: that would let in whoever
// has seen the file.
func parseHash(hash string) (entry, error) {
	type format struct {
		prefix string
		accept lib.PasswdParser
		slow   bool
	}
	for _, m := range []format{
		{"{SHA}", lib.AcceptSha, false}, {"{SSHA}", lib.AcceptSsha, false},
		{lib.PrefixCryptApr1, lib.AcceptMd5, true}, {lib.PrefixCryptMd5, lib.AcceptMd5, true},
		{"$2", lib.AcceptBcrypt, true}, {"$5$", lib.AcceptCryptSha, true}, {"$6$", lib.AcceptCryptSha, true},
	} {
		if !strings.HasPrefix(hash, m.prefix) {
			continue
		}
		p, err := m.accept(hash)
		if err != nil || p == nil {
			return entry{}, fmt.Errorf("the hash that begins with %s is malformed", m.prefix)
		}
		return entry{p, m.slow}, nil
	}
	if password, ok := strings.CutPrefix(hash, "{PLAIN}"); ok {
		return entry{plain(password), false}, nil
	}
	if h, ok := parseDESCrypt(hash); ok {
		return entry{h, true}, nil
	}
	return entry{}, errFormat
}

type plain string

func (p plain) MatchesPassword(password string) bool {
	return subtle.ConstantTimeCompare([]byte(p), []byte(password)) == 1
}
