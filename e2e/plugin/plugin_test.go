package plugin

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
)

// viewer is an account with all rights that docs/plugin.md tells but those on Secrets.
func viewer(t *testing.T, name string) string {
	return account(t, name, "pierhead-view", "cluster:pierhead-ingresses", "cluster:pierhead-lint")
}

// asks runs the plugin until it says what is wanted, with nothing beside the answer: the
// Pods agree then.
func asks(s *bed.Space, kubeconfig string, fits func(said) error, args ...string) {
	s.Helper()
	s.Eventually(20*time.Second, func() error {
		got, err := plugin(s.Context(), kubeconfig, args...)
		if err == nil {
			err = fits(got)
		}
		if err != nil {
			return fmt.Errorf("kubectl pierhead %s: %w\n%d\n%s%s", strings.Join(args, " "), err, got.code, got.out, got.notes)
		}
		return nil
	})
}

// prints is that the answer holds words, and nothing is said besides.
func prints(words ...string) func(said) error {
	return func(got said) error {
		if got.code != 0 || got.notes != "" {
			return fmt.Errorf("it ends with %d and says something besides", got.code)
		}
		for _, w := range words {
			if !strings.Contains(got.out, w) {
				return fmt.Errorf("it does not say %q", w)
			}
		}
		return nil
	}
}

// answers is that the answer as JSON is fine.
func answers[T any](fits func(T) error) func(said) error {
	return func(got said) error {
		if err := prints()(got); err != nil {
			return err
		}
		var v T
		if err := json.Unmarshal([]byte(got.out), &v); err != nil {
			return err
		}
		return fits(v)
	}
}

// certificate makes a Secret with a certificate for a host.
func certificate(s *bed.Space, name, host string) (der []byte) {
	s.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "shop"}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if der, err = x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key); err != nil {
		s.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.Fatal(err)
	}
	text := func(kind string, b []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	s.Kubectl(fmt.Sprintf("{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {name: %s}, data: {tls.crt: %s, tls.key: %s}}",
		name, text("CERTIFICATE", der), text("PRIVATE KEY", secret)), "apply", "-f", "-")
	return der
}

// shop makes an Ingress with a certificate and a password, and one that is wrong.
func shop(t *testing.T) (s *bed.Space, host string, der []byte) {
	s = kube.Space(t)
	host = s.Host("shop")
	der = certificate(s, "shop-tls", host)
	s.Kubectl("", "create", "secret", "generic", "users", "--from-literal=auth=joe:{PLAIN}hunter2")
	s.Kubectl(bed.Ingress("shop", host, "nginx.ingress.kubernetes.io/auth-type: basic, nginx.ingress.kubernetes.io/auth-secret: users, nginx.ingress.kubernetes.io/limit-rps: \"50\"")+
		fmt.Sprintf("  tls: [{hosts: [%s], secretName: shop-tls}]\n", host), "apply", "-f", "-")
	s.Kubectl(bed.Ingress("wrong", s.Host("wrong"), `nginx.ingress.kubernetes.io/enable-influxdb: "true", nginx.ingress.kubernetes.io/limit-rpsx: "1"`), "apply", "-f", "-")
	return s, host, der
}

// Every subcommand tells what is so, under an account that may do no more than the
// documents say, and needs nothing of Secrets.
func TestSubcommands(t *testing.T) {
	s, host, der := shop(t)
	config := viewer(t, "viewer")
	ns := kube.Installed.Namespace
	for _, secret := range []string{"get", "list", "watch"} {
		if got, _ := kube.RunKubectl(t.Context(), "", "auth", "can-i", secret, "secrets", "-A", "--as=system:serviceaccount:"+ns+":viewer"); !strings.HasPrefix(got, "no") {
			t.Fatalf("the account may %s Secrets: %s", secret, got)
		}
	}
	address := s.KubectlIn(ns, "", "get", "service", kube.Installed.Service, "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	ends := strings.Fields(s.Kubectl("", "get", "pods", "-l", "app=echo", "-o", "jsonpath={.items[*].status.podIP}"))

	t.Run("ingresses", func(t *testing.T) {
		s := within(s, t)
		asks(s, config, prints("INGRESS", "shop", host+"/", address, "yes", "echo  ", "80"), "ingresses", "-n", s.Name)
		asks(s, config, answers(func(rules []struct {
			Host, Service, Secret string
			Addresses             []string
			Endpoints             *int
		}) error {
			if r := rules[0]; len(rules) != 1 || r.Endpoints == nil || *r.Endpoints != len(ends) || r.Secret != "shop-tls" || fmt.Sprint(r.Addresses) != "["+address+"]" {
				return fmt.Errorf("not that Ingress")
			}
			return nil
		}), "ing", "-A", "--host", host, "-o", "json")
	})
	t.Run("routes", func(t *testing.T) {
		s := within(s, t)
		asks(s, config, prints("HOST", host, s.Name+"-echo-80", "Ingress "+s.Name+"/shop", "open"), "routes", "-n", ns, "--host", host)
		asks(s, config, prints(host, "basic-auth", "limit-requests"), "routes", "--ingress", s.Name+"/shop", "-o", "wide") // the namespace is found
	})
	t.Run("backends", func(t *testing.T) {
		s := within(s, t)
		asks(s, config, answers(func(ups []struct{ Endpoints []string }) error {
			for _, ip := range ends {
				if len(ups) != 1 || !strings.Contains(fmt.Sprint(ups[0].Endpoints), ip+":8080") {
					return fmt.Errorf("not %s", ip)
				}
			}
			return nil
		}), "backends", "-n", ns, "--backend", s.Name+"-echo-80", "-o", "json")
		asks(s, config, prints(s.Name+"-echo-80\n"), "backends", "-n", ns, "--list")
	})
	t.Run("certs", func(t *testing.T) {
		s := within(s, t)
		asks(s, config, prints(s.Name+"/shop-tls", host), "certs", "-n", ns)
		got, err := plugin(t.Context(), config, "certs", "-n", ns, "--host", host)
		block, rest := pem.Decode([]byte(got.out))
		if err != nil || block == nil || !bytes.Equal(block.Bytes, der) || strings.Contains(string(rest), "KEY") || !strings.Contains(got.notes, s.Name+"/shop-tls") {
			t.Fatalf("%v\n%s%s", err, got.out, got.notes)
		}
		if shown := handshake(t, host); !bytes.Equal(shown, block.Bytes) {
			t.Error("clients are shown another certificate")
		}
	})
	t.Run("conf", func(t *testing.T) {
		s := within(s, t)
		asks(s, config, prints("host "+host, "certificate "+s.Name+"/shop-tls", "basic-auth", `limit-rps] = "50": Ingress `+s.Name+"/shop"), "conf", "-n", ns, "--host", host)
	})
	t.Run("explain", func(t *testing.T) {
		s := within(s, t)
		asks(s, config, prints("> Prefix   /", "of Ingress "+s.Name+"/shop", "answer      401 Unauthorized", ends[0]+":8080"), "explain", "-n", ns, "https://"+host+"/x")
		asks(s, config, prints("answer      308 Permanent Redirect "+redirect(t, host)+"\n"), "explain", "-n", ns, "http://"+host+"/a?b=c")
	})
	t.Run("info", func(t *testing.T) { testInfo(within(s, t), config, address) })
	t.Run("logs", func(t *testing.T) {
		s := within(s, t)
		asks(s, config, prints("[pierhead-controller-", "the first table is live"), "logs", "-n", ns)
		got, err := plugin(t.Context(), config, "logs", "-n", ns, "--tail", "1", "--deployment", kube.Installed.Deployment)
		if err != nil || got.code != 0 || strings.Count(got.out, "\n") != 2 {
			t.Errorf("the last lines of two Pods are %q %v %s", got.out, err, got.notes)
		}
	})
	t.Run("lint", func(t *testing.T) {
		s := within(s, t)
		got, err := plugin(t.Context(), config, "lint", "-o", "json")
		if err != nil || strings.Contains(got.out, "hunter2") {
			t.Fatalf("%v %s", err, got.out)
		}
		for _, want := range []string{"enable-influxdb", "limit-rpsx", `"` + ns + "/" + kube.Installed.Deployment + `"`, "Secret " + s.Name + "/users"} {
			if !strings.Contains(got.out, want) {
				t.Errorf("it does not say %q: %s%s", want, got.out, got.notes)
			}
		}
		if got, err := plugin(t.Context(), config, "lint", "--strict"); err != nil || got.code != 1 || !strings.Contains(got.out, "warning  metadata.annotations[nginx.ingress.kubernetes.io/enable-influxdb]") {
			t.Errorf("%v %d\n%s%s", err, got.code, got.out, got.notes)
		}
	})
}

// redirect returns where a request over HTTP really is sent to.
func redirect(t *testing.T, host string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+kube.Installed.Host()+"/a?b=c", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := kube.Transport().RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusPermanentRedirect {
		t.Fatalf("answered %s", response.Status)
	}
	return response.Header.Get("Location")
}

// within is the namespace of a test for a part of it.
func within(s *bed.Space, t *testing.T) *bed.Space {
	part := *s
	part.TB = t
	return &part
}

func testInfo(s *bed.Space, config, address string) {
	asks(s, config, answers(func(all struct {
		Services []struct {
			Name      string
			Addresses []string
		}
		Pods []struct {
			Ready bool
			Info  struct {
				Version        string
				Leader         *bool
				Routes, Errors int
			}
		}
	}) error {
		leaders := 0
		for _, p := range all.Pods {
			if p.Info.Leader != nil && *p.Info.Leader {
				leaders++
			}
			if !p.Ready || p.Info.Version == "" || p.Info.Routes == 0 {
				return fmt.Errorf("a Pod is not as it should be")
			}
		}
		if len(all.Pods) != 2 || leaders != 1 {
			return fmt.Errorf("%d Pods, %d lead", len(all.Pods), leaders)
		}
		for _, svc := range all.Services {
			if svc.Name == kube.Installed.Service && fmt.Sprint(svc.Addresses) == "["+address+"]" {
				return nil
			}
		}
		return fmt.Errorf("the Service is not there")
	}), "info", "-n", kube.Installed.Namespace, "-o", "json")
}

// handshake returns the certificate that clients of a host are shown.
func handshake(t *testing.T, host string) []byte {
	t.Helper()
	conn, err := kube.Transport().DialContext(t.Context(), "tcp", net.JoinHostPort(kube.Installed.Host(), "443"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true})
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates[0].Raw
}

// Without a right the error names it, and the lines it prints give it.
func TestRightsAreGiven(t *testing.T) {
	s := kube.EmptySpace(t)
	config := account(t, "nobody")
	ns := kube.Installed.Namespace
	for range 2 { // list pods, then get pods/proxy
		got, err := plugin(t.Context(), config, "routes", "-n", ns)
		_, lines, ok := strings.Cut(got.notes, "whoever may can allow it:\n")
		if err != nil || got.code != 1 || !ok || !strings.Contains(got.notes, `"system:serviceaccount:`+ns+`:nobody" may not `) {
			t.Fatalf("%v: %d\n%s%s", err, got.code, got.out, got.notes)
		}
		for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
			words := strings.Fields(line)
			if len(words) < 3 || words[0] != "kubectl" || words[1] != "create" {
				t.Fatalf("no line that gives the right: %q", line)
			}
			if _, err := kube.RunKubectl(t.Context(), "", words[1:]...); err != nil {
				t.Fatal(err)
			}
		}
	}
	asks(s, config, func(got said) error {
		if got.code != 0 {
			return fmt.Errorf("still not")
		}
		return nil
	}, "routes", "-n", ns)
	got, err := plugin(t.Context(), config, "ingresses", "-A")
	if err != nil || got.code != 1 || !strings.Contains(got.notes, "kubectl create clusterrole ") {
		t.Errorf("%v: %d\n%s", err, got.code, got.notes)
	}
}

// What goes wrong in a cluster is told with what to do next.
func TestErrors(t *testing.T) {
	kube.EmptySpace(t)
	config := viewer(t, "mistaken")
	for args, want := range map[string]string{
		"routes -n " + kube.Installed.Namespace + " -l app=none": `with the labels "app=none"`,
		"general": `use "conf"`,
		"routes -n " + kube.Installed.Namespace + " --pod none":                    `no pod "none"`,
		"backends -n " + kube.Installed.Namespace + " --backend none":              "backends --list",
		"explain http://a/ -H Authorization:x -n " + kube.Installed.Namespace:      "without passwords",
		"lint --secrets -o json -n " + kube.Installed.Namespace:                    "",
		"routes -n " + kube.Installed.Namespace + " --request-timeout 1ns":         "--request-timeout",
		"info -n " + kube.Installed.Namespace + " --deployment pierhead-controllr": `Deployment or DaemonSet "pierhead-controllr"`,
	} {
		got, err := plugin(t.Context(), config, strings.Fields(args)...)
		if err != nil || !strings.Contains(got.notes, want) || want != "" && got.code == 0 {
			t.Errorf("%s: %v %d, it does not say %q:\n%s%s", args, err, got.code, want, got.out, got.notes)
		}
	}
}

// The examples of docs/plugin.md have the columns that tables really have, and the
// program completes words by its third name.
func TestDocumented(t *testing.T) {
	s, _, _ := shop(t)
	config := viewer(t, "reader")
	text, err := os.ReadFile(filepath.Join(bed.Repository, "docs", "plugin.md"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		words, ok := strings.CutPrefix(line, "$ kubectl pierhead ")
		name, _, _ := strings.Cut(words, " ")
		if !ok || strings.Contains(words, "--host") && name == "certs" || !strings.Contains(" ingresses routes backends certs info ", " "+name+" ") {
			continue
		}
		args := []string{name, "-n", kube.Installed.Namespace}
		if name == "ingresses" {
			args[2] = s.Name
		}
		asks(s, config, func(got said) error {
			head, _, _ := strings.Cut(got.out, "\n")
			if want := strings.Fields(lines[i+1]); strings.Join(strings.Fields(head), " ") != strings.Join(want, " ") {
				return fmt.Errorf("the table's head is %q, the document has %q", head, want)
			}
			return nil
		}, args...)
		compared++
	}
	if compared != 5 {
		t.Errorf("%d examples were compared", compared)
	}
	complete := filepath.Join(t.TempDir(), "kubectl_complete-pierhead")
	if err := os.Symlink(filepath.Join(kube.Dir, "bin", "pierhead"), complete); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), complete, "li").Output(); err != nil || !strings.HasPrefix(string(out), "lint\t") {
		t.Errorf("completion says %q %v", out, err)
	}
}
