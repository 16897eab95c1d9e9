package htpasswd

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

const scheme = "Basic "

// Known returns the user that the value of an Authorization field stands for when
// Verify has let it in before. It allocates nothing and takes about as long as one
// SHA-256.
func (f *File) Known(authorization string) (user string, ok bool) {
	if len(authorization) <= len(scheme) || !strings.EqualFold(authorization[:len(scheme)], scheme) {
		return "", false
	}
	return f.cache.get(f.cache.digest(authorization[len(scheme):]))
}

// Verify checks the value of an Authorization field (RFC 7617) and returns the
// user it lets in. A slow hash is computed inside await, which may run it somewhere
// else and returns when it is done. When too many are waited for already it is not
// computed, and the answer is ErrBusy; any other error lets nobody in.
func (f *File) Verify(authorization string, await func(func())) (user string, err error) {
	if user, ok := f.Known(authorization); ok {
		return user, nil
	}
	if len(authorization) <= len(scheme) || !strings.EqualFold(authorization[:len(scheme)], scheme) {
		return "", errWrong
	}
	credentials := authorization[len(scheme):]
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(credentials))
	if err != nil {
		return "", errWrong
	}
	user, password, ok := strings.Cut(string(text), ":")
	if !ok {
		return "", errWrong
	}
	if err := f.check(user, password, await); err != nil {
		return "", err
	}
	f.cache.put(f.cache.digest(credentials), user)
	return user, nil
}

// What Verify answers.
var (
	ErrBusy  = errors.New("too many passwords are being verified")
	errWrong = errors.New("the credentials are not those of a user")
)

func (f *File) check(user, password string, await func(func())) error {
	e, known := f.users[user]
	if !known {
		e = f.decoy
	}
	right := false
	switch {
	case e.match == nil:
	case !e.slow:
		right = e.match.MatchesPassword(password)
	case waiting.Add(1) > mostWaiting:
		waiting.Add(-1)
		return ErrBusy
	default:
		await(func() {
			defer waiting.Add(-1)
			working <- struct{}{}
			defer func() { <-working }()
			right = e.match.MatchesPassword(password)
		})
	}
	if !right || !known {
		return errWrong
	}
	return nil
}

// working bounds how many slow hashes are computed at once, whoever guesses
// passwords: other work goes on beside them.
var working = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

// waiting counts the slow hashes that are computed or wait for it. More than mostWaiting
// would be answered so late that nobody waits for them: with a bcrypt hash of the usual
// cost it is two or three seconds.
var (
	waiting     atomic.Int64
	mostWaiting = 32 * int64(cap(working))
)

// cache remembers credentials that were right. Reading takes no lock.
type cache struct {
	secret [32]byte
	known  atomic.Pointer[map[[32]byte]string]
	mu     sync.Mutex // of writers
}

// maxCached bounds the cache. There are seldom more users than that; if there are,
// it begins anew.
const maxCached = 4096

func (c *cache) init() {
	rand.Read(c.secret[:])
	c.known.Store(&map[[32]byte]string{})
}

// digest returns what stands for the credentials: neither they nor anything they
// can be found from is kept.
func (c *cache) digest(credentials string) [32]byte {
	var buf [512]byte
	b := append(buf[:0], c.secret[:]...)
	return sha256.Sum256(append(b, credentials...))
}

func (c *cache) get(sum [32]byte) (string, bool) {
	user, ok := (*c.known.Load())[sum]
	return user, ok
}

func (c *cache) put(sum [32]byte, user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[[32]byte]string{}
	if old := *c.known.Load(); len(old) < maxCached {
		next = maps.Clone(old)
	}
	next[sum] = user
	c.known.Store(&next)
}
