// Package metrics has a real Prometheus scrape the controller's Pods in a real cluster, and
// compares what it stored with what was done to them. It runs with E2E=1 and as root; see
// make e2e.
package metrics

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/e2e/bed"
)

// kube is the cluster that the tests share, with the controller installed.
var kube *bed.Bed

func TestMain(m *testing.M) {
	bed.Main(m, bed.IngressNginx(), func(ctx context.Context, b *bed.Bed) error {
		kube = b
		return configure(ctx, b)
	})
}

// webhook is the admission webhook as ingress-nginx's manifests have it, with a certificate
// from files.
const webhook = `
apiVersion: v1
kind: Service
metadata: {name: admission}
spec:
  selector: {app.kubernetes.io/name: ingress-nginx}
  ports: [{name: https-webhook, port: 443, targetPort: 8443}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: ingress-nginx-admission}
webhooks:
- name: validate.nginx.ingress.kubernetes.io
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  clientConfig: {service: {namespace: ingress-nginx, name: admission, path: /networking/v1/ingresses}, caBundle: %s}
  rules: [{apiGroups: [networking.k8s.io], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [ingresses]}]
`

// flags is a patch of the controller's Deployment.
const flags = `[
{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": ["/nginx-ingress-controller", "--enable-metrics",
  "--election-id=ingress-nginx-leader", "--configmap=$(POD_NAMESPACE)/ingress-nginx-controller", "--publish-service=$(POD_NAMESPACE)/ingress-nginx-controller",
  "--default-ssl-certificate=$(POD_NAMESPACE)/webhook", "--post-shutdown-grace-period=1", "--validating-webhook=:8443",
  "--validating-webhook-certificate=/certificates/tls.crt", "--validating-webhook-key=/certificates/tls.key"]},
{"op": "add", "path": "/spec/template/spec/containers/0/volumeMounts", "value": [{"name": "webhook", "mountPath": "/certificates", "readOnly": true}]},
{"op": "add", "path": "/spec/template/spec/volumes", "value": [{"name": "webhook", "secret": {"secretName": "webhook"}}]}]`

// pair is the manifest of a Secret with a certificate.
func pair(name string, certificate, key []byte) string {
	in := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\ntype: kubernetes.io/tls\ndata: {tls.crt: %s, tls.key: %s}\n", name, in(certificate), in(key))
}

// configure gives the controller metrics of requests, a default certificate and a webhook.
func configure(ctx context.Context, b *bed.Bed) error {
	in := b.Installed
	certificate, key, _, err := bed.KeyPair("admission." + in.Namespace + ".svc")
	if err != nil {
		return err
	}
	for _, step := range []struct{ input, words string }{
		{pair("webhook", certificate, key), "apply -f -"},
		{"", "patch deployment " + in.Deployment + " --type=json --patch"},
		{"", "rollout status deployment/" + in.Deployment + " --timeout=120s"},
		{fmt.Sprintf(webhook, base64.StdEncoding.EncodeToString(certificate)), "apply -f -"},
	} {
		words := append([]string{"-n", in.Namespace}, strings.Fields(step.words)...)
		if words[len(words)-1] == "--patch" {
			words = append(words, flags)
		}
		if _, err := b.RunKubectl(ctx, step.input, words...); err != nil {
			return err
		}
	}
	return nil
}
