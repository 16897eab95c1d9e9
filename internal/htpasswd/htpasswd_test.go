package htpasswd

import (
	"encoding/base64"
	"strings"
	"testing"
)

// formats holds the password "secret" in every format, made by htpasswd, openssl
// and crypt(3).
var formats = map[string]string{
	"apr1":   "$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0",
	"md5":    "$1$salt$ez2vlPGdaLYkJam5pWs/Y1",
	"sha":    "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
	"ssha":   "{SSHA}+RFhsab2AfzZ0VfEdyknXtUT06RhYmNk",
	"plain":  "{PLAIN}secret",
	"crypt":  "abNANd1rDfiNc",
	"sha256": "$5$salt$kpa26zwgX83BPSR8d7w93OIXbFt/d3UOTZaAu5vsTM6",
	"sha512": "$6$rounds=5000$salt$egUxKNxDs8kPfh8iPMNcosMhb2eWah6d3R44JDm5Rj/j/XWR5E33QPd0YmHXoDHOIDR6kL5D3JcQcz0O8FHE00",
	"bcrypt": "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func direct(f func()) { f() }

func TestFormats(t *testing.T) {
	for name, hash := range formats {
		f, bad, err := Parse([]byte("# users\n\nsomeuser:" + hash + ":a comment\r\nother:{PLAIN}x\n"))
		if err != nil || len(bad) > 0 {
			t.Errorf("%s: %v %v", name, bad, err)
			continue
		}
		for range 2 { // the second time from the cache
			if user, err := f.Verify(basic("someuser", "secret"), direct); err != nil || user != "someuser" {
				t.Errorf("%s: the right password is refused", name)
			}
			for _, wrong := range []string{"Secret", "", "secre", hash} {
				if _, err := f.Verify(basic("someuser", wrong), direct); err == nil {
					t.Errorf("%s: password %q is let in", name, wrong)
				}
			}
			if _, err := f.Verify(basic("nobody", "secret"), direct); err == nil {
				t.Errorf("%s: an unknown user is let in", name)
			}
		}
	}
}

func TestTraditionalCrypt(t *testing.T) {
	for hash, password := range map[string]string{ // made by crypt(3)
		"rl.3StKT.4T8M": "rasmuslerdorf",
		"zz6dpSdr.LHZw": "",
		"./GQAYewKh.5c": "päss wörd",
	} {
		if got := traditionalCrypt(password, hash[:2]); got != hash {
			t.Errorf("crypt(%q) = %s, want %s", password, got, hash)
		}
	}
}

func TestBadLines(t *testing.T) {
	const secret = "s3cr3t"
	for _, text := range []string{"", "# nothing\n", "no colon", "user:" + secret, "u:{SHA}" + secret, "u:$2y$xx" + secret + "\x00", ":" + formats["sha"]} {
		f, bad, err := Parse([]byte(text))
		if err == nil && f.Len() > 0 && !strings.Contains(text, "$2y$") {
			t.Errorf("%q is a file with users", text)
		}
		for _, b := range append(bad, err) {
			if b != nil && strings.Contains(b.Error(), secret) {
				t.Errorf("an error tells the hash: %v", b)
			}
		}
	}
	f, bad, err := Parse([]byte("good:" + formats["sha"] + "\nbad line\ngood:{PLAIN}later"))
	if err != nil || len(bad) != 1 || f.Len() != 1 {
		t.Fatalf("%d users, %v, %v", f.Len(), bad, err)
	}
	if _, err := f.Verify(basic("good", "secret"), direct); err != nil {
		t.Error("a bad line takes others with it")
	}
	if _, err := f.Verify(basic("good", "later"), direct); err == nil {
		t.Error("the second line of a user counts")
	}
}

func TestAuthorizationField(t *testing.T) {
	f, _, err := ParseMap(map[string][]byte{"a": []byte(formats["plain"] + "\n"), "b": []byte("nonsense")})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"", "Basic", "Basic ", "Basic !!", "Bearer " + basic("a", "secret")[6:], "Basic YQ=="} {
		if _, err := f.Verify(v, direct); err == nil {
			t.Errorf("%q is let in", v)
		}
	}
	if user, err := f.Verify("bAsIc "+basic("a", "secret")[6:], direct); err != nil || user != "a" {
		t.Error("the scheme's case matters (RFC 9110, section 11.1)")
	}
}

// TestSlowHashesWaitElsewhere holds that bcrypt and its like run inside await, and
// only once for right credentials.
func TestSlowHashesWaitElsewhere(t *testing.T) {
	for name, hash := range formats {
		f, _, err := Parse([]byte("u:" + hash))
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		await := func(g func()) { calls++; g() }
		for range 3 {
			f.Verify(basic("u", "secret"), await)
		}
		want := 1
		if name == "sha" || name == "ssha" || name == "plain" {
			want = 0
		}
		if calls != want {
			t.Errorf("%s: %d calls of await, want %d", name, calls, want)
		}
	}
}

func TestUnknownUserTakesAsLong(t *testing.T) {
	f, _, _ := Parse([]byte("u:" + formats["bcrypt"]))
	calls := 0
	f.Verify(basic("nobody", "x"), func(g func()) { calls++; g() })
	if calls != 1 {
		t.Error("an unknown user is told by the time")
	}
}

func TestKnownAllocatesNothing(t *testing.T) {
	f, _, _ := Parse([]byte("u:" + formats["apr1"]))
	v := basic("u", "secret")
	if _, ok := f.Known(v); ok {
		t.Fatal("credentials are known before they were verified")
	}
	f.Verify(v, direct)
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := f.Known(v); !ok {
			t.Fatal("credentials are not known")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCacheIsBounded(t *testing.T) {
	var c cache
	c.init()
	for i := range maxCached + 10 {
		c.put([32]byte{byte(i), byte(i >> 8)}, "u")
	}
	if n := len(*c.known.Load()); n > maxCached {
		t.Errorf("%d credentials are remembered", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, hash := range formats {
		f.Add("u:" + hash)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, _, err := Parse([]byte(text))
		if err == nil && file.Len() == 0 {
			t.Error("a file without users is no error")
		}
	})
}
