package message

import (
	"strings"
	"testing"
)

func TestKnownNames(t *testing.T) {
	met := 0
	for k := Other + 1; k < numKnown; k++ {
		name := k.String()
		if name == "" {
			t.Fatalf("known name %d has no text", k)
		}
		for _, s := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := LookupKnown(s); got != k {
				t.Errorf("LookupKnown(%q) = %d (%s), want %d", s, got, got, k)
			}
		}
		for _, s := range []string{name + "x", name[:len(name)-1], "x" + name, strings.ReplaceAll(name, "-", "_") + "_"} {
			if got := LookupKnown(s); got != Other && got.String() == name {
				t.Errorf("LookupKnown(%q) = %s", s, got)
			}
		}
		if knownIndex[knownHash(name)] != k {
			met++
		}
	}
	if met > 4 {
		t.Errorf("%d names are not found at the first look: give knownHash another factor", met)
	}
}

func TestLookupKnownOfOtherNames(t *testing.T) {
	for _, s := range []string{"", "x", "X-Forwarded_For", "Host ", "X-Unknown", strings.Repeat("a", 100), "\u212Aeep-alive", "ho\u017ft"} {
		if k := LookupKnown(s); k != Other {
			t.Errorf("LookupKnown(%q) = %s, want Other", s, k)
		}
	}
}

func header(lines ...string) *Header {
	var h Header
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		h.Add(name, value)
	}
	return &h
}

func text(h *Header) string {
	var b strings.Builder
	for i := range h.Len() {
		f := h.At(i)
		b.WriteString(f.Name + ": " + f.Value + "|")
	}
	return b.String()
}

func TestHeader(t *testing.T) {
	start := []string{"accept: a", "X-One: 1", "Accept: b", "x-one: 2", "Cookie: c"}
	tests := []struct {
		name string
		do   func(*Header)
		want string
	}{
		{"nothing", func(h *Header) {}, "accept: a|X-One: 1|Accept: b|x-one: 2|Cookie: c|"},
		{"add", func(h *Header) { h.Add("Vary", "v") }, "accept: a|X-One: 1|Accept: b|x-one: 2|Cookie: c|Vary: v|"},
		{"append", func(h *Header) { h.Append(LookupKnown("vary"), "vary", "v"); h.SetKnown(Vary, "w") },
			"accept: a|X-One: 1|Accept: b|x-one: 2|Cookie: c|vary: w|"},
		{"set known", func(h *Header) { h.Set("ACCEPT", "z") }, "accept: z|X-One: 1|x-one: 2|Cookie: c|"},
		{"set other", func(h *Header) { h.Set("X-ONE", "z") }, "accept: a|X-One: z|Accept: b|Cookie: c|"},
		{"set new", func(h *Header) { h.Set("X-New", "n") }, "accept: a|X-One: 1|Accept: b|x-one: 2|Cookie: c|X-New: n|"},
		{"set by number", func(h *Header) { h.SetKnown(Host, "h") }, "accept: a|X-One: 1|Accept: b|x-one: 2|Cookie: c|Host: h|"},
		{"delete known", func(h *Header) { h.Del("accept") }, "X-One: 1|x-one: 2|Cookie: c|"},
		{"delete other", func(h *Header) { h.Del("X-one") }, "accept: a|Accept: b|Cookie: c|"},
		{"delete by number", func(h *Header) { h.DelKnown(Cookie) }, "accept: a|X-One: 1|Accept: b|x-one: 2|"},
		{"delete none", func(h *Header) { h.Del("X-Two"); h.DelKnown(Host) }, "accept: a|X-One: 1|Accept: b|x-one: 2|Cookie: c|"},
		{"delete by function", func(h *Header) { h.DeleteFunc(func(f *Field) bool { return f.Value < "b" }) }, "Accept: b|Cookie: c|"},
		{"copy", func(h *Header) { var o Header; o.Add("Old", "x"); o.CopyFrom(h); h.Reset(); h.CopyFrom(&o) },
			"accept: a|X-One: 1|Accept: b|x-one: 2|Cookie: c|"},
		{"reset", func(h *Header) { h.Reset() }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := header(start...)
			tt.do(h)
			if got := text(h); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestHeaderLookup(t *testing.T) {
	h := header("accept: a", "X-One: ", "Accept: b", "x-one: 2")
	for _, tt := range []struct {
		name, value string
		ok          bool
	}{
		{"Accept", "a", true}, {"ACCEPT", "a", true}, {"x-ONE", "", true}, {"Host", "", false}, {"X-Two", "", false}, {"", "", false},
	} {
		if v, ok := h.Lookup(tt.name); v != tt.value || ok != tt.ok {
			t.Errorf("Lookup(%q) = %q, %v, want %q, %v", tt.name, v, ok, tt.value, tt.ok)
		}
		if v := h.Get(tt.name); v != tt.value {
			t.Errorf("Get(%q) = %q, want %q", tt.name, v, tt.value)
		}
	}
	if v := h.GetKnown(Accept); v != "a" {
		t.Errorf("GetKnown(Accept) = %q", v)
	}
}

func TestResetKeepsMemory(t *testing.T) {
	var r Request
	var resp Response
	n := testing.AllocsPerRun(100, func() {
		r.Header.Add("Accept", "a")
		r.Header.Add("X-Other", "b")
		r.Trailer.Add("X-Sum", "c")
		r.Method = "GET"
		r.Reset()
		resp.Header.AddKnown(Server, "s")
		resp.Reset()
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	if r.Method != "" || r.Header.Len() != 0 || r.Trailer.Len() != 0 || resp.Header.Len() != 0 {
		t.Errorf("Reset left %+v", r)
	}
}

func TestVersionString(t *testing.T) {
	for v, want := range map[Version]string{HTTP10: "HTTP/1.0", HTTP11: "HTTP/1.1", HTTP2: "HTTP/2.0", HTTP3: "HTTP/3.0"} {
		if v.String() != want {
			t.Errorf("%d is %q, want %q", v, v, want)
		}
	}
}

func BenchmarkLookupKnown(b *testing.B) {
	names := []string{"Host", "user-agent", "X-Forwarded-For", "X-Something", "Accept-Encoding"}
	for i := 0; b.Loop(); i++ {
		LookupKnown(names[i%len(names)])
	}
}
