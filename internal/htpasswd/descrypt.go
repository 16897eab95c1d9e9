package htpasswd

import (
	"crypto/subtle"
	"strings"
)

// desCrypt is a hash of traditional crypt(3): two characters of salt and eleven of
// hash. It is DES (FIPS 46-3) with a salted expansion, 25 times over, and counts
// only eight characters of a password; files of that age are still around.
type desCrypt string

const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func parseDESCrypt(hash string) (desCrypt, bool) {
	if len(hash) != 13 || strings.Trim(hash, cryptAlphabet) != "" {
		return "", false
	}
	return desCrypt(hash), true
}

// MatchesPassword reports whether the password gives the hash.
func (h desCrypt) MatchesPassword(password string) bool {
	return subtle.ConstantTimeCompare([]byte(traditionalCrypt(password, string(h[:2]))), []byte(h)) == 1
}

// bits is a row of bits, one a byte: this need not be fast.
type bits []byte

func permute(in bits, order []byte) bits {
	out := make(bits, len(order))
	for i, from := range order {
		out[i] = in[from-1]
	}
	return out
}

func traditionalCrypt(password, salt string) string {
	key := make(bits, 64)
	for i := 0; i < len(password) && i < 8; i++ {
		for j := range 7 {
			key[8*i+j] = password[i] >> (6 - j) & 1
		}
	}
	expansion := append([]byte(nil), desE...)
	for i := range 2 {
		v := strings.IndexByte(cryptAlphabet, salt[i])
		for j := range 6 {
			if v>>j&1 == 1 {
				a, b := 6*i+j, 6*i+j+24
				expansion[a], expansion[b] = expansion[b], expansion[a]
			}
		}
	}
	keys := desKeys(key)
	block := make(bits, 64)
	for range 25 {
		block = desBlock(block, keys, expansion)
	}
	out := []byte(salt)
	block = append(block, 0, 0)
	for i := range 11 {
		v := 0
		for _, b := range block[6*i : 6*i+6] {
			v = v<<1 | int(b)
		}
		out = append(out, cryptAlphabet[v])
	}
	return string(out)
}

// desKeys makes the sixteen round keys.
func desKeys(key bits) (keys [16]bits) {
	cd := permute(key, desPC1)
	for i, n := range desShifts {
		c, d := cd[:28], cd[28:]
		cd = append(append(append(append(bits{}, c[n:]...), c[:n]...), d[n:]...), d[:n]...)
		keys[i] = permute(cd, desPC2)
	}
	return keys
}

func desBlock(block bits, keys [16]bits, expansion []byte) bits {
	block = permute(block, desIP)
	l, r := block[:32], block[32:]
	for _, key := range keys {
		x := permute(r, expansion)
		f := make(bits, 0, 32)
		for box := range 8 {
			b := x[6*box : 6*box+6]
			k := key[6*box : 6*box+6]
			row := (b[0]^k[0])<<1 | b[5] ^ k[5]
			col := (b[1]^k[1])<<3 | (b[2]^k[2])<<2 | (b[3]^k[3])<<1 | b[4] ^ k[4]
			v := desS[box][16*row+col]
			f = append(f, v>>3&1, v>>2&1, v>>1&1, v&1)
		}
		f = permute(f, desP)
		for i := range f {
			f[i] ^= l[i]
		}
		l, r = r, f
	}
	return permute(append(append(bits{}, r...), l...), desFP)
}
