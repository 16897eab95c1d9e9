package control

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/loop"
)

const toolsDir = "../../e2e/tools"

// tool builds a program of a module in e2e/tools, unless it was built before from the
// same sources.
func tool(t testing.TB, module, pkg string) string {
	t.Helper()
	h := sha256.New()
	h.Write([]byte(runtime.Version()))
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(toolsDir, module, name))
		if err != nil {
			t.Fatal(err)
		}
		h.Write(text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "pierhead", "tools")
	path := filepath.Join(dir, module+"-"+hex.EncodeToString(h.Sum(nil))[:16])
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	unfinished, err := os.MkdirTemp(dir, "building-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(unfinished)
	t.Logf("building %s, which takes some minutes the first time", module)
	cmd := exec.Command("go", "build", "-C", filepath.Join(toolsDir, module), "-o", filepath.Join(unfinished, module), pkg)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", module, err, out)
	}
	if err := os.Rename(filepath.Join(unfinished, module), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// oauth2Proxy is a running oauth2-proxy whose only user is alice, with the password
// "secret".
type oauth2Proxy struct {
	t    testing.TB
	addr string
	cmd  *exec.Cmd
	log  bytes.Buffer
	stop func()
}

// startOAuth2Proxy starts it on an address. It is ready at once: it takes the socket
// over, on which connections may already wait.
func startOAuth2Proxy(t testing.TB, addr string) *oauth2Proxy {
	t.Helper()
	binary := tool(t, "oauth2-proxy", "github.com/oauth2-proxy/oauth2-proxy/v7")
	users := filepath.Join(t.TempDir(), "users")
	writeFile(t, users, run(t, nil, "htpasswd", "-nbB", "alice", "secret").stdout)
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p := &oauth2Proxy{t: t, addr: ln.Addr().String()}
	// The protocol for sockets that are handed over wants the number of the process.
	p.cmd = exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`, binary,
		"--http-address=fd:3", "--reverse-proxy", "--set-xauthrequest", "--upstream=static://202", "--htpasswd-file="+users,
		"--whitelist-domain=app.example.com", "--whitelist-domain=localhost", "--email-domain=*",
		"--client-id=unused", "--client-secret=unused", "--cookie-secret=0123456789abcdef0123456789abcdef")
	p.cmd.ExtraFiles = []*os.File{file}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stop = sync.OnceFunc(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("oauth2-proxy:\n%s", p.log.String())
		}
	})
	return p
}

// TestPeerOAuth2Proxy protects an app by oauth2-proxy as its users do: asked at its
// own address, and, as in the 2017 workflow, through the host of the app itself.
func TestPeerOAuth2Proxy(t *testing.T) {
	tool(t, "oauth2-proxy", "github.com/oauth2-proxy/oauth2-proxy/v7")
	onEngines(t, func(t *testing.T, kind loop.Kind) {
		p := startOAuth2Proxy(t, "127.0.0.1:0")
		s := serve(t, kind, map[string]string{
			"app.yaml":          serviceAt("app", newOrigin(t).addr.String()),
			"oauth2-proxy.yaml": serviceAt("oauth2-proxy", p.addr) + ingressFor("sign-in", "app.example.com", "/oauth2", "oauth2-proxy"),
			"direct.yaml": ingressFor("direct", "app.example.com", "/", "app", "auth-url: http://"+p.addr+"/oauth2/auth",
				"auth-signin: https://$host/oauth2/sign_in", "auth-response-headers: X-Auth-Request-User,X-Auth-Request-Email"),
		})
		// The second one's question comes back to our own port, which is known now.
		_, port, err := net.SplitHostPort(s.State().Controllers[0].HTTPS)
		if err != nil {
			t.Fatal(err)
		}
		s.change("through.yaml", strings.ReplaceAll(ingressFor("sign-in-2017", "localhost", "/oauth2", "oauth2-proxy")+
			ingressFor("through", "localhost", "/", "app", "auth-url: https://$host:"+port+"/oauth2/auth",
				"signin-url: https://$host/oauth2/sign_in", "auth-response-headers: X-Auth-Request-User"),
			"nginx.ingress.kubernetes.io/", "ingress.kubernetes.io/"))
		s.until("the second Ingress", func(*admin.State) bool { return hasHost(s.Control, "localhost") })
		s.noErrors()
		for _, host := range []string{"app.example.com", "localhost"} {
			for _, version := range []string{"--http1.1", "--http2"} {
				t.Run(host+version, func(t *testing.T) { signIn(t, s, host, version) })
			}
		}
		t.Run("http", func(t *testing.T) {
			r := s.curl("http://app.example.com/").want(t, 302)
			if want := "https://app.example.com/oauth2/sign_in?rd=http://app.example.com%2F"; r.Redirect != want {
				t.Errorf("sent to %s, want %s", r.Redirect, want)
			}
		})
		t.Run("gone and back", func(t *testing.T) {
			jar := filepath.Join(t.TempDir(), "jar")
			submit(t, s, "app.example.com", "--http2", jar, "secret").want(t, 302)
			p.stop()
			for _, host := range []string{"app.example.com", "localhost"} {
				for _, url := range []string{"https://" + host + "/", "http://" + host + "/"} {
					if r := s.curl("--cookie", jar, url).want(t, 500); strings.Contains(r.body, "Host:") {
						t.Errorf("the app answered:\n%s", r.body)
					}
				}
			}
			startOAuth2Proxy(t, p.addr)
			s.curl("--cookie", jar, "https://app.example.com/").want(t, 200, "X-Auth-Request-User: alice\r\n")
			s.curl("https://app.example.com/").want(t, 302)
		})
	})
}

// signIn is what a browser does from the first request to the page it wanted.
func signIn(t *testing.T, s *served, host, version string) {
	jar := filepath.Join(t.TempDir(), "jar")
	page := "https://" + host + "/private/page?x=1&y=a%20b"
	signInPage := "https://" + host + "/oauth2/sign_in?rd=" + "https://" + host + url.QueryEscape("/private/page?x=1&y=a%20b")
	forged := []string{version, "--header", "X-Auth-Request-User: mallory", "--header", "X-Auth-Request-Email: mallory@example.com"}
	for name, cookie := range map[string]string{"no cookie": "a=b", "wrong cookie": "_oauth2_proxy=bm9ib2R5|1795417731|c2lnbmF0dXJl"} {
		if r := s.curl(append(forged, "--cookie", cookie, page)...).want(t, 302); r.Redirect != signInPage {
			t.Fatalf("%s: sent to\n%s, want\n%s", name, r.Redirect, signInPage)
		}
	}
	s.curl(version, "--request", "POST", "--data", "a=b", page).want(t, 302)
	s.curl(version, signInPage).want(t, 200, `name="password"`, "https://"+host+"/private/page?x=1")
	if r := submit(t, s, host, version, jar, "wrong"); r.Status == 302 {
		t.Fatalf("signed in with a wrong password: %v", r.heads)
	}
	s.curl(version, "--cookie", jar, page).want(t, 302)
	if r := submit(t, s, host, version, jar, "secret").want(t, 302); r.Redirect != page {
		t.Fatalf("after signing in sent to %s, want %s", r.Redirect, page)
	}
	r := s.curl(append(forged, "--cookie", jar, page)...).want(t, 200, "GET /private/page?x=1&y=a%20b", "X-Auth-Request-User: alice\r\n")
	if strings.Contains(r.body, "X-Auth-Request-User: mallory") || host == "app.example.com" && strings.Contains(r.body, "mallory") {
		t.Errorf("the app saw what the client made up:\n%s", r.body)
	}
	s.curl(version, "--cookie", jar, "--data", "text=1", page).want(t, 200, "POST /private/page", "\ntext=1", "X-Auth-Request-User: alice\r\n")
	s.curl(version, "--cookie", jar, "--cookie-jar", jar, "https://"+host+"/oauth2/sign_out").want(t, 302)
	s.curl(version, "--cookie", jar, page).want(t, 302)
}

// submit sends the form of the sign-in page and keeps the cookie.
func submit(t *testing.T, s *served, host, version, jar, password string) *curlReply {
	t.Helper()
	return s.curl(version, "--cookie", jar, "--cookie-jar", jar, "--data-urlencode", "rd=https://"+host+"/private/page?x=1&y=a%20b",
		"--data", "username=alice", "--data", "password="+password, "https://"+host+"/oauth2/sign_in")
}
