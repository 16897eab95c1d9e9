// Package limit counts by key: requests per time (a leaky bucket, as nginx's
// limit_req has it) and things at one time (as limit_conn). It knows no policy, no
// exchange and no clock of its own.
//
// The counters are sharded by key, so that event loops on all cores use them at
// once and hold a lock for nanoseconds only.
package limit

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
)

// Key says whose requests are counted together.
type Key [16]byte

// AddrKey returns the key of an address; IPv4 has one key in both its forms.
func AddrKey(a netip.Addr) Key { return a.As16() }

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// TextKey returns the key of a text. Two texts have one key with a chance of 2⁻¹²⁸;
// nobody outside knows which.
func TextKey(b []byte) (k Key) {
	binary.LittleEndian.PutUint64(k[:8], maphash.Bytes(seeds[0], b))
	binary.LittleEndian.PutUint64(k[8:], maphash.Bytes(seeds[1], b))
	return k
}

const shards = 16 // a power of two

// shard spreads keys, also those of neighbouring addresses.
func (k *Key) shard() int {
	h := binary.LittleEndian.Uint64(k[8:]) ^ binary.LittleEndian.Uint64(k[:8])
	return int(h * 0x9E3779B97F4A7C15 >> 60)
}
