// Package browser has a headless Chromium use Pierhead by HTTP/3: told of it by Alt-Svc
// alone, as people's browsers are, and from the first byte. It needs no cluster, and runs
// with E2E=1 where Chromium is installed; see make browser.
package browser

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv("E2E") != "1" {
		fmt.Println("these tests need Chromium: run them by \"make browser\", or with E2E=1")
		return
	}
	os.Exit(m.Run())
}

// What the page asks for.
const (
	resources = 50
	download  = 10 << 20
	upload    = 1 << 20
)

// found is what the page finds out, and sends at its end. Protocols are the words of
// nextHopProtocol, in the order in which things were asked for.
type found struct {
	Error      string
	Navigation string   // of the page itself
	Probes     []string // one after the other, until one came by HTTP/3
	Resources  []string
	Download   []string
	Digest     string // of the download
	Post       []string
	Echo       string // digest that the application has of what was posted
	Sent       string // digest of what was posted
}

func TestBrowser(t *testing.T) {
	binary := build(t)
	for _, c := range []struct {
		name  string
		force bool
		first string // how the page itself comes
	}{{"told by Alt-Svc", false, "h2"}, {"from the first byte", true, "h3"}} {
		t.Run(c.name, func(t *testing.T) {
			reports := make(chan found, 1)
			p := up(t, binary, application(reports))
			f := visit(t, p, c.force, reports)
			if f.Error != "" {
				t.Fatalf("the page says %s, after %+v", f.Error, f)
			}
			if f.Navigation != c.first {
				t.Errorf("the page came by %s, want %s", f.Navigation, c.first)
			}
			if len(f.Probes) == 0 || f.Probes[len(f.Probes)-1] != "h3" {
				t.Errorf("no question went by HTTP/3: %v", f.Probes)
			}
			all := slices.Repeat([]string{"h3"}, resources)
			if !slices.Equal(f.Resources, all) || !slices.Equal(f.Download, all[:1]) || !slices.Equal(f.Post, all[:1]) {
				t.Errorf("resources came by %v, the download by %v, the upload by %v", f.Resources, f.Download, f.Post)
			}
			if want := digest(large()); f.Digest != want {
				t.Errorf("the download is %s, want %s", f.Digest, want)
			}
			if f.Echo != f.Sent || len(f.Sent) != 64 {
				t.Errorf("the upload arrived as %q, and was %q", f.Echo, f.Sent)
			}
			p.logged(t, "GET /large HTTP/3.0", 1)
			p.logged(t, "POST /echo HTTP/3.0", 1)
			p.logged(t, "GET /resource/", resources)
		})
	}
}

// visit has a browser open the page and returns what it found.
func visit(t *testing.T, p *pierhead, force bool, reports chan found) found {
	t.Helper()
	ended := chromium(t, p, force)
	select {
	case f := <-reports:
		return f
	case err := <-ended:
		t.Fatalf("Chromium has ended: %v", err)
	case <-time.After(2 * time.Minute):
		t.Fatalf("the page does not report; Pierhead says\n%s", p.log())
	}
	return found{}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// large is a body that looks nowhere like itself elsewhere.
func large() []byte {
	b := make([]byte, 0, download+16)
	for i := 0; len(b) < download; i++ {
		b = strconv.AppendInt(b, int64(i)*7919, 36)
	}
	return b[:download]
}

// application is what stands behind Pierhead: the page and what it asks for.
func application(reports chan found) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, page)
	})
	mux.HandleFunc("GET /resource/{n}", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat(r.PathValue("n")+" ", 500))
	})
	mux.HandleFunc("GET /probe/{n}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.PathValue("n")) })
	body := large()
	mux.HandleFunc("GET /large", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	})
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		io.WriteString(w, digest(b))
	})
	mux.HandleFunc("POST /report", func(w http.ResponseWriter, r *http.Request) {
		var f found
		if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
			f.Error = err.Error()
		}
		select {
		case reports <- f:
		default:
		}
	})
	return mux
}

// page is a person's visit. Every question has a URL of its own, so that nothing comes
// from a cache; entries are looked for until the browser has them.
var page = `<!doctype html><title>HTTP/3</title><link rel="icon" href="data:,"><script type="module">
const hex = async b => [...new Uint8Array(await crypto.subtle.digest("SHA-256", b))].map(x => x.toString(16).padStart(2, "0")).join("");
const soon = () => new Promise(f => setTimeout(f, 20));
async function by(path) {
  for (const until = Date.now() + 20000; Date.now() < until; await soon()) {
    const e = performance.getEntriesByName(new URL(path, location.href).href);
    if (e.length) return e[0].nextHopProtocol;
  }
  throw new Error("there is no entry for " + path);
}
async function ask(path, init) {
  const r = await fetch(path, {cache: "no-store", ...init});
  if (!r.ok) throw new Error(path + " is answered " + r.status);
  return r.arrayBuffer();
}
const f = {Probes: []};
try {
  performance.setResourceTimingBufferSize(5000);
  f.Navigation = performance.getEntriesByType("navigation")[0].nextHopProtocol;
  for (const until = Date.now() + 60000; f.Probes.at(-1) != "h3" && Date.now() < until; await soon()) {
    const path = "/probe/" + f.Probes.length;
    await ask(path);
    f.Probes.push(await by(path));
  }
  const paths = [...Array(` + strconv.Itoa(resources) + `).keys()].map(n => "/resource/" + n);
  await Promise.all(paths.map(p => ask(p)));
  f.Resources = await Promise.all(paths.map(by));
  f.Digest = await hex(await ask("/large"));
  f.Download = [await by("/large")];
  const body = new Uint8Array(` + strconv.Itoa(upload) + `).map((_, i) => i * 31 + (i >> 8));
  f.Sent = await hex(body);
  f.Echo = new TextDecoder().decode(await ask("/echo", {method: "POST", body}));
  f.Post = [await by("/echo")];
} catch (e) {
  f.Error = String(e);
}
await fetch("/report", {method: "POST", body: JSON.stringify(f)});
</script>`
