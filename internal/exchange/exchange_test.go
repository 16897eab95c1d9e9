package exchange

import (
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/message"
)

func TestErrorPage(t *testing.T) {
	const want = "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
	if got := string(ErrorPage(404, false)); got != want {
		t.Errorf("page\n%s\nwant\n%s", got, want)
	}
	for status, title := range map[int]string{503: "503 Service Temporarily Unavailable", 308: "308 Permanent Redirect", 599: "599", 200: "200 OK", 497: "400 The plain HTTP request"} {
		if got := string(ErrorPage(status, true)); !strings.Contains(got, "<h1>"+title) || !strings.Contains(got, "<center>pierhead</center>") {
			t.Errorf("page of %d\n%s", status, got)
		}
	}
	if n := testing.AllocsPerRun(10, func() { ErrorPage(502, false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]URL{
		"http://a":                   {"http", "a", 80, "/"},
		"https://a.example/x?y=z#f":  {"https", "a.example", 443, "/x?y=z"},
		"http://a_b:8080?q":          {"http", "a_b", 8080, "/?q"},
		"https://[2001:db8::1]:444/": {"https", "2001:db8::1", 444, "/"},
		"https://[::1]":              {"https", "::1", 443, "/"},
		"ftp://a/":                   {},
		"http://":                    {},
		"http:///x":                  {},
		"http://a:0/":                {},
		"http://a:99999/":            {},
		"http://a:x/":                {},
		"http://u@a/":                {},
		"http://a b/":                {},
		"http://a/b c":               {},
		"http://a/b\r\nX: y":         {},
		"http://a..b/":               {},
		"http://[::1/":               {},
		"http://[::1]x/":             {},
		"http://a:b:c/":              {},
		"//a":                        {},
	} {
		got, err := ParseURL(text)
		if got != want || (err == nil) != (want != URL{}) {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	if n := testing.AllocsPerRun(10, func() { ParseURL("https://app.example.com:8443/oauth2/auth?x") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("https://[::1]:80/x?y#z")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURL(s)
		if err != nil {
			return
		}
		if u.Host == "" || u.Port == 0 || u.Path[0] != '/' || strings.ContainsAny(u.Host+u.Path, " \r\n\t\x00") || strings.ContainsAny(u.Host, "@/?#") {
			t.Errorf("%q is read as %+v", s, u)
		}
	})
}

// TestTextsLiveTogether holds that texts of one exchange do not write over each
// other, also when the memory behind them grows.
func TestTextsLiveTogether(t *testing.T) {
	x := &Exchange{}
	var texts []string
	for i := range 200 {
		texts = append(texts, x.Text(append(x.Bytes(), strings.Repeat(string(rune('a'+i%26)), i*3)...)))
	}
	for i, s := range texts {
		if s != strings.Repeat(string(rune('a'+i%26)), i*3) {
			t.Fatalf("text %d is %q", i, s)
		}
	}
}

func TestResetForgets(t *testing.T) {
	x := &Exchange{Out: &message.Request{Host: "a"}, Resp: &message.Response{Status: 5}}
	x.Granted.Add("a", "b")
	x.Cookies.Add("a", "b")
	x.User, x.Holding = "u", true
	x.Upstream.Tries = append(x.Upstream.Tries, Try{Status: 1})
	x.Answer(302).Add("Location", "/x")
	x.Reset()
	if x.Granted.Len()+x.Cookies.Len()+len(x.Upstream.Tries) != 0 || x.User != "" || x.Holding || x.Out.Host != "" || x.Resp.Status != 0 {
		t.Errorf("after Reset there is %+v", x)
	}
	if r := x.Answer(401); r.Status != 401 || len(r.Fields) != 0 {
		t.Errorf("the next answer begins as %+v", r)
	}
	if n := testing.AllocsPerRun(10, func() { x.Reset(); x.Answer(302).Add("Location", "/y") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestState(t *testing.T) {
	s := NewState()
	made := 0
	get := func(k string) int { return *Keep(s, k, func() *int { made++; n := made; return &n }) }
	if get("a:1") != 1 || get("a:1") != 1 || get("b:1") != 2 {
		t.Error("an entry is made twice")
	}
	s.Sweep()
	get("a:1")
	s.Sweep()
	s.Sweep()
	if got := get("b:1"); got != 3 {
		t.Errorf("an entry that nobody asked for is still there: %d", got)
	}
}

func TestChainOrder(t *testing.T) {
	var c Chain
	c.Append(everything{})
	c.Append(answers{})
	if len(c.Request) != 1 || len(c.Response) != 2 || len(c.Log) != 1 {
		t.Errorf("chain %+v", c)
	}
}

type everything struct{}

func (everything) Request(*Exchange) *Reply { return nil }
func (everything) Response(*Exchange)       {}
func (everything) Log(*Exchange)            {}

type answers struct{}

func (answers) Response(*Exchange) {}
