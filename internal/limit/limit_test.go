package limit

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	one = AddrKey(netip.MustParseAddr("192.0.2.1"))
	two = AddrKey(netip.MustParseAddr("192.0.2.2"))
)

func count(r *Requests, k Key, n int, rates ...Rate) (allowed int) {
	for range n {
		if r.Allow(k, time.Now(), rates) {
			allowed++
		}
	}
	return allowed
}

func TestBurstThenRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRequests(1000)
		rate := Rate{Requests: 5, Per: time.Second, Burst: 25}
		if got := count(r, one, 100, rate); got != 26 {
			t.Errorf("from idle %d of 100 were allowed, want burst+1 = 26", got)
		}
		time.Sleep(time.Second)
		if got := count(r, one, 100, rate); got != 5 {
			t.Errorf("a second later %d were allowed, want 5", got)
		}
		time.Sleep(100 * time.Millisecond)
		if got := count(r, one, 100, rate); got != 0 {
			t.Errorf("100 ms later %d were allowed: half a request is none", got)
		}
		time.Sleep(100 * time.Millisecond)
		if got := count(r, one, 100, rate); got != 1 {
			t.Errorf("200 ms later %d were allowed, want 1: refused requests do not count", got)
		}
		if got := count(r, two, 100, rate); got != 26 {
			t.Errorf("another key was allowed %d, want 26", got)
		}
		time.Sleep(time.Hour)
		if got := count(r, one, 100, rate); got != 26 {
			t.Errorf("after an hour %d were allowed, want 26", got)
		}
	})
}

func TestBothRatesMustAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRequests(1000)
		rates := []Rate{{5, time.Second, 25}, {60, time.Minute, 3}}
		if got := count(r, one, 100, rates...); got != 4 {
			t.Errorf("%d were allowed, want 4 by the second rate", got)
		}
		time.Sleep(time.Second)
		if got := count(r, one, 100, rates...); got != 1 {
			t.Errorf("%d were allowed, want 1: 60 a minute", got)
		}
	})
}

func TestOldestIsForgotten(t *testing.T) {
	r := NewRequests(shards) // one key for each shard
	now := time.Now()
	rates := []Rate{{1, time.Second, 0}}
	for i := range 1000 {
		k := AddrKey(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		if !r.Allow(k, now, rates) {
			t.Fatalf("key %d is new and was refused", i)
		}
	}
	if n := r.Len(); n > shards {
		t.Errorf("%d keys are remembered, want at most %d", n, shards)
	}
}

// TestAgainstPlainRule compares with the rule written down in the plainest way.
func TestAgainstPlainRule(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r := NewRequests(1 << 16)
	rate := Rate{Requests: 7, Per: time.Second, Burst: 3}
	type state struct{ last, excess int64 }
	plain := map[Key]*state{}
	now := time.UnixMilli(1_700_000_000_000)
	for i := range 20_000 {
		now = now.Add(time.Duration(rng.IntN(40)) * time.Millisecond)
		k := AddrKey(netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(8))}))
		want, ms := true, now.UnixMilli()
		if s := plain[k]; s == nil {
			plain[k] = &state{last: ms}
		} else if e := max(s.excess-7*(ms-s.last)+1000, 0); e > 3000 {
			want = false
		} else {
			s.excess, s.last = e, ms
		}
		if got := r.Allow(k, now, []Rate{rate}); got != want {
			t.Fatalf("request %d: allowed is %v, want %v", i, got, want)
		}
	}
}

func TestActive(t *testing.T) {
	a := NewActive()
	for i := range 25 {
		if !a.Acquire(one, 25) {
			t.Fatalf("%d was refused, want 25 at once", i)
		}
	}
	if a.Acquire(one, 25) {
		t.Error("the 26th was allowed")
	}
	if !a.Acquire(two, 25) {
		t.Error("another key was refused")
	}
	a.Release(one)
	if !a.Acquire(one, 25) {
		t.Error("after a release there is no room")
	}
	for range 25 {
		a.Release(one)
	}
	a.Release(two)
	if a.Len() != 0 {
		t.Errorf("%d keys are left", a.Len())
	}
}

func TestManyAtOnce(t *testing.T) {
	a, r := NewActive(), NewRequests(64)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				k := AddrKey(netip.AddrFrom4([4]byte{10, 0, byte(g), byte(i)}))
				if a.Acquire(k, 1) {
					a.Release(k)
				}
				r.Allow(k, time.UnixMilli(int64(i)), []Rate{{1, time.Second, 1}})
			}
		})
	}
	wg.Wait()
	if a.Len() != 0 {
		t.Errorf("%d keys are left", a.Len())
	}
}

func TestAllocations(t *testing.T) {
	a, r := NewActive(), NewRequests(64)
	rates := []Rate{{5, time.Second, 25}}
	now := time.Now()
	r.Allow(one, now, rates)
	if n := testing.AllocsPerRun(100, func() {
		a.Acquire(one, 5)
		r.Allow(one, now, rates)
		a.Release(one)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestKeys(t *testing.T) {
	if AddrKey(netip.MustParseAddr("::ffff:192.0.2.1")) != one {
		t.Error("an IPv4 address has two keys")
	}
	if TextKey([]byte("a")) == TextKey([]byte("b")) || TextKey([]byte("a")) != TextKey([]byte("a")) {
		t.Error("texts and keys do not belong together")
	}
}
