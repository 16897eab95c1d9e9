package control

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/lb"
	"github.com/pierhead/pierhead/internal/loop"
)

// The tests of the files peer_*_test.go serve manifests and let foreign programs
// talk to what is served. A program that is missing is a failure: what it would have
// shown is not known.

// patience is how long a foreign program or a change may take.
const patience = 30 * time.Second

// packages are those of Debian that hold the programs.
var packages = map[string]string{"curl": "curl", "dig": "bind9-dnsutils", "htpasswd": "apache2-utils", "openssl": "openssl"}

// program finds a foreign program.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: install Debian's package %s, or run .ci/tools", name, packages[name])
	}
	return path
}

// ran is what came of a foreign program.
type ran struct {
	exit           int
	stdout, stderr string
}

// run runs a foreign program to its end.
func run(t testing.TB, stdin io.Reader, name string, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, name), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%s %q: %v %v\n%s", name, args, err, ctx.Err(), stderr.String())
	}
	return ran{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// served is a Control whose folder can be changed.
type served struct {
	*Control
	t       testing.TB
	dir     string
	changed chan struct{} // holds a value after a change that until has not seen
}

// serve serves manifests, by file name, on free ports until the test ends.
func serve(t testing.TB, kind loop.Kind, manifests map[string]string, more ...func(*Options)) *served {
	t.Helper()
	s := &served{t: t, dir: t.TempDir(), changed: make(chan struct{}, 1)}
	for name, text := range manifests {
		writeFile(t, filepath.Join(s.dir, name), text)
	}
	own := func(o *Options) {
		o.AdminListen = ""
		o.Changed = func(*Control) {
			select {
			case s.changed <- struct{}{}:
			default:
			}
		}
	}
	s.Control = startControl(t, s.dir, kind, append([]func(*Options){own}, more...)...)
	return s
}

// ownBalancers gives every test process load balancer addresses of its own, and
// ports that anybody may bind.
func ownBalancers() lb.Rules {
	r := lb.DefaultRules()
	n := byte(os.Getpid())
	r.External = netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 112, n, 0}), 24)
	r.Internal = netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 113, n, 0}), 24)
	r.PortOffset, r.PortMap = freeOffset(), !OwnAddresses
	return r
}

// freeOffset returns an offset with which nobody on this machine has the ports that
// load balancers usually have: one who listens on every address has them on ours too.
var freeOffset = sync.OnceValue(func() uint16 {
next:
	for offset := uint16(20000); ; offset += 100 {
		for _, port := range []uint16{80, 443} {
			ln, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", port+offset))
			if err != nil {
				continue next
			}
			ln.Close()
		}
		return offset
	}
})

// change writes a manifest, or removes it when there is no text.
func (s *served) change(name, text string) {
	s.t.Helper()
	if text != "" {
		replaceFile(s.t, filepath.Join(s.dir, name), text)
	} else if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

// until waits until what stands is as it should be.
func (s *served) until(what string, ok func(*admin.State) bool) {
	s.t.Helper()
	late := time.After(patience)
	for !ok(s.State()) {
		select {
		case <-s.changed:
		case <-late:
			s.t.Fatalf("%s: not so after %v; problems: %v", what, patience, s.State().Problems)
		}
	}
}

// changeAndWait writes a manifest and waits until it has been applied.
func (s *served) changeAndWait(name, text string) {
	s.t.Helper()
	was := s.State().Generation
	s.change(name, text)
	s.until("the change of "+name, func(st *admin.State) bool { return st.Generation > was })
}

// noErrors fails the test when the manifests hold errors.
func (s *served) noErrors() {
	s.t.Helper()
	for _, p := range s.State().Problems {
		if p.Severity.String() == "error" {
			s.t.Fatal(p)
		}
	}
}

// curl runs curl, which takes every host for the default controller's.
func (s *served) curl(args ...string) *curlReply {
	s.t.Helper()
	return curl(s.t, nil, append(s.connect(), args...)...)
}

// connect are the options by which curl takes every host for the default
// controller's, whose ports are others than 80 and 443.
func (s *served) connect() []string {
	c := s.State().Controllers[0]
	return []string{"--insecure", "--connect-to", ":80:" + c.HTTP, "--connect-to", ":443:" + c.HTTPS}
}

// curlReply is what curl tells.
type curlReply struct {
	Exit     int    `json:"exitcode"`
	Message  string `json:"errormsg"`
	Status   int    `json:"response_code"`
	Version  string `json:"http_version"`
	Uploaded int    `json:"size_upload"`
	Redirect string `json:"redirect_url"`

	heads []string // each response head, interim ones too
	body  string
}

// curl runs curl with nothing that the user's own files and environment say.
func curl(t testing.TB, stdin io.Reader, args ...string) *curlReply {
	t.Helper()
	dir := t.TempDir()
	heads, body := filepath.Join(dir, "heads"), filepath.Join(dir, "body")
	args = append([]string{"--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "25",
		"--dump-header", heads, "--output", body, "--write-out", "%{json}"}, args...)
	got := run(t, stdin, "curl", args...)
	r := &curlReply{}
	if err := json.Unmarshal([]byte(got.stdout), r); err != nil {
		t.Fatalf("curl %q: exit %d: %v\n%s%s", args, got.exit, err, got.stdout, got.stderr)
	}
	for head := range strings.SplitSeq(readAll(t, heads), "\r\n\r\n") {
		if head != "" {
			r.heads = append(r.heads, head)
		}
	}
	r.body = readAll(t, body)
	return r
}

// readAll returns what a file holds; curl makes none for an empty body.
func readAll(t testing.TB, name string) string {
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// field returns a field of the final response head.
func (r *curlReply) field(name string) string {
	if len(r.heads) == 0 {
		return ""
	}
	h := http.Header{}
	for line := range strings.SplitSeq(r.heads[len(r.heads)-1], "\r\n") {
		if n, v, ok := strings.Cut(line, ":"); ok {
			h.Add(n, strings.TrimSpace(v))
		}
	}
	return h.Get(name)
}

// want fails the test unless curl got an answer with the status and with all of the
// texts in its body.
func (r *curlReply) want(t testing.TB, status int, texts ...string) *curlReply {
	t.Helper()
	if r.Exit != 0 || r.Status != status {
		t.Fatalf("curl: exit %d (%s), status %d; want %d\n%s\n\n%s", r.Exit, r.Message, r.Status, status, strings.Join(r.heads, "\n\n"), clip(r.body))
	}
	for _, text := range texts {
		if !strings.Contains(r.body, text) {
			t.Fatalf("the body does not hold %q:\n%s", text, clip(r.body))
		}
	}
	return r
}

// closings are the ways in which curl says that a connection was closed: while it
// connected, in TLS, without a byte, while it sent or received.
var closings = []int{7, 16, 18, 35, 52, 55, 56, 92}

// refused fails the test unless the connection was broken off without an answer.
func (r *curlReply) refused(t testing.TB) {
	t.Helper()
	if r.Status != 0 || !slices.Contains(closings, r.Exit) {
		t.Fatalf("status %d, exit %d (%s), want a connection that was closed\n%s", r.Status, r.Exit, r.Message, clip(r.body))
	}
}

func clip(s string) string {
	if len(s) > 2000 {
		return fmt.Sprintf("%s... (%d bytes)", s[:2000], len(s))
	}
	return s
}

// sum names a content.
func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// serviceAt is a Service of port 80 whose one endpoint is addr.
func serviceAt(name, addr string) string {
	return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name + ", namespace: default}\nspec: {ports: [{name: http, port: 80}]}\n" +
		endpointAt(name, addr)
}

// endpointAt is the one endpoint of a Service.
func endpointAt(name, addr string) string {
	at := netip.MustParseAddrPort(addr)
	return fmt.Sprintf(`---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-1, namespace: default, labels: {kubernetes.io/service-name: %[1]s}}
addressType: IPv4
endpoints: [{addresses: [%[2]q]}]
ports: [{name: http, port: %[3]d}]
`, name, at.Addr(), at.Port())
}

// ingressFor is an Ingress of one path, with annotations "name: value".
func ingressFor(name, host, path, service string, annotations ...string) string {
	text := "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: " + name + "\n  namespace: default\n  annotations:\n"
	for _, a := range append(annotations, `ssl-redirect: "false"`) {
		text += "    nginx.ingress.kubernetes.io/" + a + "\n"
	}
	return text + fmt.Sprintf("spec:\n  rules:\n  - host: %q\n    http: {paths: [{path: %s, pathType: Prefix, backend: {service: {name: %s, port: {number: 80}}}}]}\n", host, path, service)
}

// controllerConfig is the ConfigMap of the default controller, with lines "key: value".
func controllerConfig(lines ...string) string {
	text := "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ingress-nginx-controller, namespace: ingress-nginx}\ndata:\n"
	for _, l := range lines {
		text += "  " + l + "\n"
	}
	return text
}

// onEngines runs a test on every kind of engine.
func onEngines(t *testing.T, f func(*testing.T, loop.Kind)) {
	for _, kind := range engines() {
		t.Run(string(kind), func(t *testing.T) { f(t, kind) })
	}
}
