package message

import "testing"

func TestValidHost(t *testing.T) {
	for h, want := range map[string]bool{
		"a.example.com": true, "A-b.example.com:8080": true, "a_b.example.com": true, "192.0.2.1:80": true, "[2001:db8::1]:443": true,
		"[fe80::1%25eth0]": true, "example.com:": true, "": false, ":80": false, "a,b": false, "user@host": false, "a b": false, "a/b": false,
		"[::1": false, "[]": false, "[a_b]": false, "[!]": false, "[::1]x": false, "a:65536": false, "a:8x": false, "a:1:2": false, "a\x00": false, "ä": false,
		"example.com.": true, ".": false, "a%41.example.com": false, "a%00": false, ".a": false, "a..b": false, "a..": false, ".:80": false,
	} {
		if got := ValidHost(h); got != want {
			t.Errorf("ValidHost(%q) = %v, want %v", h, got, want)
		}
	}
}
