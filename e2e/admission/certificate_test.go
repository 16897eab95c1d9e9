package admission

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
)

// answers waits until the webhook refuses what it must, and lets pass what it may, ten
// times in a row, so that both replicas are likely to have been asked.
func answers(s *bed.Space, limit time.Duration) {
	s.Helper()
	good, bad := bed.Ingress("good", s.Host("good"), ""), bed.Ingress("bad", s.Host("bad"), notes+"server-snippet: return")
	s.Eventually(limit, func() error {
		for range 10 {
			if out := kubectl(s, good, "apply", "--dry-run=server", "-f", "-"); !out.done {
				return fmt.Errorf("kubectl says %q", out.errors)
			}
			if out := kubectl(s, bad, "apply", "--dry-run=server", "-f", "-"); out.done || !strings.Contains(out.errors, "denied the request") {
				return fmt.Errorf("not refused: kubectl says %q", out.errors)
			}
		}
		return nil
	})
}

// TestSecretDeleted: a certificate whose Secret is deleted is made anew, trusted, and
// shown by all replicas.
func TestSecretDeleted(t *testing.T) {
	s := kube.Space(t)
	answers(s, 20*time.Second)
	issuer := func() string {
		return s.KubectlIn(kube.Installed.Namespace, "", "get", "secret", "pierhead-webhook", "--ignore-not-found", "-o", `jsonpath={.data.ca\.crt}`)
	}
	trusted := func() string {
		return s.KubectlIn(kube.Installed.Namespace, "", "get", "validatingwebhookconfiguration", "pierhead-admission", "-o", "jsonpath={.webhooks[0].clientConfig.caBundle}")
	}
	was := issuer()
	if was == "" || trusted() != was {
		t.Fatal("the API server does not trust the issuer in the Secret")
	}
	s.KubectlIn(kube.Installed.Namespace, "", "delete", "secret", "pierhead-webhook")
	begun := time.Now()
	s.Eventually(30*time.Second, func() error {
		if now := issuer(); now == "" || now == was || trusted() != now {
			return fmt.Errorf("there is no new issuer that the API server trusts")
		}
		return nil
	})
	t.Logf("a new certificate is trusted %s after the Secret was deleted", time.Since(begun).Round(10*time.Millisecond))
	answers(s, 20*time.Second)
}

// TestFail: while no Pod is ready no Ingress can be written, and everything else can,
// also what brings the Pods back.
func TestFail(t *testing.T) {
	s := kube.Space(t)
	if got := s.Kubectl("", "get", "validatingwebhookconfiguration", "pierhead-admission", "-o", "jsonpath={.webhooks[*].failurePolicy}"); got != "Fail" {
		t.Fatalf("failurePolicy is %s", got)
	}
	in := kube.Installed
	s.KubectlIn(in.Namespace, "", "scale", "deployment/"+in.Deployment, "--replicas=0")
	ingress := bed.Ingress("app", s.Host("app"), "")
	s.Eventually(60*time.Second, func() error {
		if out := kubectl(s, ingress, "apply", "--dry-run=server", "-f", "-"); !strings.Contains(out.errors, `failed calling webhook "validate.nginx.ingress.kubernetes.io"`) {
			return fmt.Errorf("done: %v, kubectl says %q", out.done, out.errors)
		}
		return nil
	})
	s.Kubectl("", "create", "configmap", "other", "--from-literal=a=b")
	s.Kubectl("", "scale", "deployment/echo", "--replicas=1")
	s.KubectlIn(in.Namespace, "", "apply", "-k", bed.Repository+"/deploy/manifests") // as the first time
	s.KubectlIn(in.Namespace, "", "rollout", "status", "deployment/"+in.Deployment, "--timeout=120s")
	answers(s, 30*time.Second)
	apply(s, ingress).taken(s)
	s.Answers(10*time.Second, s.Host("app"), 200)
}

// given is a second controller whose certificate comes from a Secret that somebody else
// fills, as ingress-nginx's jobs and cert-manager do, with flags that the first has not.
var given = template.Must(template.New("").Parse(`
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: {{.}}}
spec: {controller: example.com/{{.}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: {{.}}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: pierhead}
subjects: [{kind: ServiceAccount, name: default, namespace: {{.}}}]
---
apiVersion: v1
kind: Service
metadata: {name: hook, namespace: {{.}}}
spec:
  selector: {app: given}
  ports: [{port: 443, targetPort: webhook}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: given, namespace: {{.}}}
spec:
  selector: {matchLabels: {app: given}}
  template:
    metadata: {labels: {app: given}}
    spec:
      containers:
      - name: controller
        image: ghcr.io/pierhead/pierhead
        command: [/pierhead, controller]
        args: [--controller-class=example.com/{{.}}, --ingress-class={{.}}, --http-port=8080, --https-port=8443, --update-status=false, --disable-leader-election,
          --disable-catch-all, --annotations-prefix=edge.example.com, --post-shutdown-grace-period=0,
          --validating-webhook=:9443, --validating-webhook-certificate=/certificates/cert, --validating-webhook-key=/certificates/key]
        env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        readinessProbe: {httpGet: {path: /healthz, port: 10254}, periodSeconds: 1}
        ports: [{name: webhook, containerPort: 9443}]
        volumeMounts: [{name: certificate, mountPath: /certificates, readOnly: true}]
      volumes: [{name: certificate, secret: {secretName: certificate}}]
`))

// TestGiven: certificate files are used, and read again when they change; and the
// refusals of flags.
func TestGiven(t *testing.T) {
	s := kube.EmptySpace(t)
	certificate := func() (authority []byte) {
		authority, cert, key := certificate(t, "hook."+s.Name+".svc")
		s.Kubectl(fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"certificate"},"data":{"cert":"%s","key":"%s"}}`,
			base64.StdEncoding.EncodeToString(cert), base64.StdEncoding.EncodeToString(key)), "apply", "-f", "-")
		return authority
	}
	trust := func(authority []byte) {
		s.Kubectl(fmt.Sprintf(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"%[1]s"},"webhooks":[{
			"name":"given.example.com","admissionReviewVersions":["v1"],"sideEffects":"None","failurePolicy":"Fail","namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"%[1]s"}},
			"rules":[{"apiGroups":["networking.k8s.io"],"apiVersions":["v1"],"operations":["CREATE","UPDATE"],"resources":["ingresses"]}],
			"clientConfig":{"service":{"namespace":"%[1]s","name":"hook","path":"/networking/v1/ingresses"},"caBundle":"%[2]s"}}]}`,
			s.Name, base64.StdEncoding.EncodeToString(authority)), "apply", "-f", "-")
	}
	var manifest bytes.Buffer
	if err := given.Execute(&manifest, s.Name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, kind := range []string{"validatingwebhookconfiguration", "clusterrolebinding", "ingressclass"} {
			if _, err := kube.RunKubectl(context.Background(), "", "delete", kind, s.Name, "--ignore-not-found"); err != nil {
				t.Error(err)
			}
		}
	})
	authority := certificate()
	s.Kubectl(manifest.String(), "apply", "-f", "-")
	s.Kubectl("", "rollout", "status", "deployment/given", "--timeout=60s")
	trust(authority)
	ask := func(name, host, annotation string) said {
		text := strings.Replace(bed.Ingress(name, host, annotation), "ingressClassName: nginx", "ingressClassName: "+s.Name, 1)
		if host == "" {
			text = strings.Replace(text, "- host: \n    http", "- http", 1)
		}
		return kubectl(s, text, "apply", "--dry-run=server", "-f", "-")
	}
	refused := func(limit time.Duration, host, annotation, why string) {
		t.Helper()
		s.Eventually(limit, func() error {
			if out := ask("new", host, annotation); out.done || !strings.Contains(out.errors, `admission webhook "given.example.com" denied`) || !strings.Contains(out.errors, why) {
				return fmt.Errorf("done: %v, kubectl says %q, want a refusal because of %q", out.done, out.errors, why)
			}
			return nil
		})
	}
	refused(20*time.Second, "", "", "--disable-catch-all")
	refused(5*time.Second, s.Host("new"), notes+"ssl-redirect: 'true'", "begin with edge.example.com")
	ask("new", s.Host("new"), "edge.example.com/ssl-redirect: 'true'").taken(s)
	begun := time.Now()
	trust(certificate())
	if out := ask("new", "", ""); out.done || !strings.Contains(out.errors, "x509") && !strings.Contains(out.errors, "denied") {
		t.Errorf("with a certificate that is not trusted kubectl says %q", out.errors)
	}
	refused(60*time.Second, "", "", "--disable-catch-all")
	t.Logf("a changed certificate is shown after %s", time.Since(begun).Round(100*time.Millisecond))
}

// certificate makes an authority and a certificate of it for a name, in PEM.
func certificate(t *testing.T, name string) (authority, cert, key []byte) {
	t.Helper()
	issue := func(template, issuer *x509.Certificate, by *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if by == nil {
			issuer, by = template, k
		}
		der, err := x509.CreateCertificate(rand.Reader, template, issuer, &k.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		return der, k
	}
	from, until := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "given"}, NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	rootDER, rootKey := issue(root, nil, nil)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: until, DNSNames: []string{name}}
	leafDER, leafKey := issue(leaf, root, rootKey)
	private, err := x509.MarshalECPrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return text("CERTIFICATE", rootDER), text("CERTIFICATE", leafDER), text("EC PRIVATE KEY", private)
}
