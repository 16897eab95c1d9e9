package admission

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// memory is a Store that counts versions as the API server does.
type memory struct {
	mu      sync.Mutex
	secret  *corev1.Secret
	bundle  []byte
	written int
	err     error                // of every call
	meddle  func(*corev1.Secret) // runs once before the next write, as somebody else who is faster
}

func (m *memory) Secret(context.Context) (*corev1.Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.secret == nil || m.err != nil {
		return nil, m.err
	}
	return m.secret.DeepCopy(), nil
}

func (m *memory) Write(_ context.Context, s *corev1.Secret) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	if f := m.meddle; f != nil {
		m.meddle = nil
		other := &corev1.Secret{}
		if m.secret != nil {
			other = m.secret.DeepCopy()
		}
		f(other)
		m.put(other)
	}
	have := ""
	if m.secret != nil {
		have = m.secret.ResourceVersion
	}
	if s.ResourceVersion != have {
		return ErrConflict
	}
	m.put(s)
	return nil
}

func (m *memory) put(s *corev1.Secret) {
	m.written++
	m.secret = s.DeepCopy()
	m.secret.ResourceVersion = strconv.Itoa(m.written)
}

func (m *memory) Trust(_ context.Context, bundle []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.bundle = slices.Clone(bundle)
	}
	return m.err
}

var testLives = lives{issuer: 100 * day, server: 9 * day}

func authority(store Store) *Authority {
	a := NewAuthority(AuthorityOptions{Store: store, Names: ServiceNames("system", "hook")})
	a.lives = testLives
	return a
}

// accepted tells whether an API server that trusts the bundle accepts what is shown.
func accepted(t *testing.T, a *Authority, bundle []byte) error {
	t.Helper()
	pair, err := a.KeyPair(nil)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "hook.system.svc", CurrentTime: time.Now()})
	return err
}

// TestRenewal: through most of a year of two replicas the API server always accepts what
// each of them shows, even an API server that hears of the trusted certificates late.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		const every, apart, days = 6 * time.Hour, 20 * time.Second, 300
		store := &memory{}
		one, two := authority(store), authority(store)
		one.every, two.every = every, every
		go one.Run(ctx)
		time.Sleep(apart)
		go two.Run(ctx)
		time.Sleep(every - apart - apart/4) // shortly before both look again
		leaves, issuers := map[string]bool{}, map[string]bool{}
		for range int(days * day / every) {
			old := store.trusted()
			for _, wait := range []time.Duration{apart / 2, apart, every - apart - apart/2} { // none, one, both have looked
				for i, a := range []*Authority{one, two} {
					if err := accepted(t, a, old); err != nil {
						t.Fatalf("replica %d at %s: %v", i+1, time.Now(), err)
					}
				}
				time.Sleep(wait)
			}
			pair, _ := one.KeyPair(nil)
			leaves[pair.Leaf.SerialNumber.String()] = true
			issuers[string(pair.Leaf.AuthorityKeyId)] = true
		}
		if n := len(leaves); n < days/7 || n > days/5 {
			t.Errorf("%d certificates in %d days, want one in six", n, days)
		}
		if n := len(issuers); n < 4 || n > 6 {
			t.Errorf("%d issuers in %d days, want one in 67", n, days)
		}
		if store.written > len(leaves)+len(issuers) {
			t.Errorf("the Secret was written %d times for %d certificates of %d issuers", store.written, len(leaves), len(issuers))
		}
		cancel()
		synctest.Wait()
	})
}

func (m *memory) trusted() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bundle
}

// TestReplicasAgree: of many replicas that start at once one makes the certificate.
func TestReplicasAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		store := &memory{}
		var all []*Authority
		for range 10 {
			a := authority(store)
			all = append(all, a)
			go a.Run(ctx)
		}
		for _, a := range all {
			<-a.Settled()
		}
		synctest.Wait()
		first, _ := all[0].KeyPair(nil)
		for _, a := range all[1:] {
			if pair, _ := a.KeyPair(nil); !pair.Leaf.Equal(first.Leaf) {
				t.Error("two replicas show different certificates")
			}
		}
		if store.written != 1 {
			t.Errorf("the Secret was written %d times", store.written)
		}
		if err := accepted(t, all[0], store.bundle); err != nil {
			t.Error(err)
		}
		cancel()
		synctest.Wait()
	})
}

// TestLook: a Secret that is deleted is made anew at once, by one of the replicas, and
// the others show the new certificate at once.
func TestLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		store := &memory{}
		all := []*Authority{authority(store), authority(store)}
		for _, a := range all {
			go a.Run(ctx)
		}
		synctest.Wait()
		old := store.trusted()
		store.mu.Lock()
		store.secret = nil
		store.mu.Unlock()
		for _, a := range all {
			a.Look()
			a.Look()
		}
		synctest.Wait() // no time passes
		for i, a := range all {
			if err := accepted(t, a, store.trusted()); err != nil {
				t.Errorf("replica %d: %v", i+1, err)
			}
			if accepted(t, a, old) == nil {
				t.Errorf("replica %d shows the old certificate", i+1)
			}
		}
		cancel()
		synctest.Wait()
	})
}

// untrusted is a Store whose configuration cannot be written.
type untrusted struct{ *memory }

func (untrusted) Trust(context.Context, []byte) error { return errors.New("forbidden") }

// TestSettled: whoever waits for the certificate waits until the API server trusts it.
func TestSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(untrusted{&memory{}})
		if err := a.step(t.Context()); err == nil {
			t.Error("no error")
		}
		select {
		case <-a.Settled():
			t.Error("settled, and nobody trusts it")
		default:
		}
		if _, err := a.KeyPair(nil); err != nil {
			t.Errorf("there is no certificate: %v", err)
		}
	})
}

// TestTrouble: while the API server does not answer the last certificate stays, and what
// was due is made once it answers again.
func TestTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		store := &memory{err: errors.New("connection refused")}
		a := authority(store)
		a.every = 10 * lookEvery
		go a.Run(ctx)
		time.Sleep(time.Hour)
		if _, err := a.KeyPair(nil); err == nil {
			t.Error("there is a certificate before there was a Secret")
		}
		store.set(nil)
		time.Sleep(a.every + time.Second)
		first, err := a.KeyPair(nil)
		if err != nil {
			t.Fatal(err)
		}
		store.set(errors.New("connection refused"))
		time.Sleep(8 * day)
		if pair, _ := a.KeyPair(nil); pair != first {
			t.Error("the certificate changed while the API server was away")
		}
		store.set(nil)
		time.Sleep(a.every + time.Second)
		if pair, _ := a.KeyPair(nil); pair.Leaf.Equal(first.Leaf) {
			t.Error("the certificate was not renewed after the API server came back")
		}
		cancel()
		synctest.Wait()
	})
}

func (m *memory) set(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// TestSecrets: what is in the Secret is used, mended, or left alone.
func TestSecrets(t *testing.T) {
	now := time.Now()
	good := made1(t, ServiceNames("system", "hook"), now)
	other := made1(t, ServiceNames("system", "other"), now)
	for what, c := range map[string]struct {
		data   map[string][]byte
		writes int
		fails  bool
	}{
		"empty":                     {map[string][]byte{}, 1, false},
		"of ingress-nginx":          {map[string][]byte{"ca": []byte("x"), "cert": []byte("y"), "key": []byte("z")}, 1, false},
		"good":                      {good, 0, false},
		"for another name":          {other, 1, false},
		"without a certificate":     {without(good, certEntry), 1, false},
		"with a broken certificate": {with(good, certEntry, "x"), 1, false},
		"with another key":          {with(good, keyEntry, string(other[keyEntry])), 1, false},
		"with a broken issuer":      {with(good, issuerEntry, "x"), 1, false},
		"with another issuer's key": {with(good, issuerEntry, string(other[issuerEntry])), 1, false},
		"trusting nobody":           {without(good, trustEntry), 1, false},
		"somebody else's":           {without(good, issuerEntry), 0, false},
		"somebody else's, broken":   {without(with(good, certEntry, "x"), issuerEntry), 0, true},
	} {
		t.Run(what, func(t *testing.T) {
			store := &memory{secret: &corev1.Secret{Data: c.data}}
			a := NewAuthority(AuthorityOptions{Store: store, Names: ServiceNames("system", "hook")})
			err := a.step(t.Context())
			if (err != nil) != c.fails || store.written != c.writes {
				t.Fatalf("error %v, %d writes; want %v, %d", err, store.written, c.fails, c.writes)
			}
			if c.fails {
				return
			}
			if err := accepted(t, a, store.bundle); err != nil {
				t.Error(err)
			}
			for _, key := range []string{"ca", "cert", "key"} {
				if string(store.secret.Data[key]) != string(c.data[key]) {
					t.Errorf("the entry %s is gone", key)
				}
			}
			if err := a.step(t.Context()); err != nil || store.written != c.writes {
				t.Errorf("the second time: error %v, %d writes", err, store.written)
			}
		})
	}
}

// made1 returns the entries of a Secret for names.
func made1(t *testing.T, names []string, now time.Time) map[string][]byte {
	t.Helper()
	var m material
	if _, err := m.renew(names, usualLives, now); err != nil {
		t.Fatal(err)
	}
	data, err := m.entries()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func without(data map[string][]byte, key string) map[string][]byte {
	out := with(data, key, "")
	delete(out, key)
	return out
}

func with(data map[string][]byte, key, value string) map[string][]byte {
	out := map[string][]byte{}
	for k, v := range data {
		out[k] = v
	}
	out[key] = []byte(value)
	return out
}

// TestConflict: what somebody else wrote between reading and writing is taken, not
// written over.
func TestConflict(t *testing.T) {
	theirs := made1(t, ServiceNames("system", "hook"), time.Now())
	store := &memory{meddle: func(s *corev1.Secret) { s.Data = theirs }}
	a := NewAuthority(AuthorityOptions{Store: store, Names: ServiceNames("system", "hook")})
	if err := a.step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if string(store.secret.Data[certEntry]) != string(theirs[certEntry]) || store.written != 1 {
		t.Error("the other's certificate was written over")
	}
}

// TestAddresses: a webhook that is called by its address has a certificate for it.
func TestAddresses(t *testing.T) {
	var m material
	if _, err := m.renew([]string{"127.0.0.1", "hook.system.svc"}, usualLives, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"127.0.0.1", "hook.system.svc"} {
		if err := m.server.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
}

// TestExpiredForeign: somebody else's certificate that has ended is told, not replaced.
func TestExpiredForeign(t *testing.T) {
	data := without(made1(t, ServiceNames("system", "hook"), time.Now().Add(-2*365*day)), issuerEntry)
	store := &memory{secret: &corev1.Secret{Data: data}}
	a := authority(store)
	if err := a.step(t.Context()); err == nil || store.written != 0 {
		t.Errorf("error %v, %d writes", err, store.written)
	}
}

func ExampleServiceNames() {
	fmt.Println(ServiceNames("ingress-nginx", "pierhead-controller-admission"))
	// Output: [pierhead-controller-admission.ingress-nginx.svc pierhead-controller-admission.ingress-nginx pierhead-controller-admission]
}
