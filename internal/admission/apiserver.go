package admission

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
)

// APIServer is a Store by way of the API server.
type APIServer struct {
	Client        kubernetes.Interface
	Namespace     string // of the Secret and of the Service
	Name          string // of the Secret
	Service       string // of the webhook
	Configuration string // the name of the ValidatingWebhookConfiguration
}

// Secret returns the Secret, or nil where there is none.
func (c *APIServer) Secret(ctx context.Context) (*corev1.Secret, error) {
	s, err := c.Client.CoreV1().Secrets(c.Namespace).Get(ctx, c.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return s, err
}

// Write stores the Secret, unless it has changed since it was read. A Secret that is not
// there is made by an apply of an empty one, since that may be allowed for one name
// alone; whoever fills it first has made the certificate.
func (c *APIServer) Write(ctx context.Context, s *corev1.Secret) error {
	if s.ResourceVersion == "" {
		made, err := c.Client.CoreV1().Secrets(c.Namespace).Apply(ctx, applycorev1.Secret(c.Name, c.Namespace).WithType(corev1.SecretTypeOpaque), metav1.ApplyOptions{FieldManager: fieldManager})
		if err != nil {
			return err
		}
		if len(made.Data) > 0 {
			return ErrConflict
		}
		s.ResourceVersion = made.ResourceVersion
	}
	var write filled
	write.Metadata.ResourceVersion, write.Data = s.ResourceVersion, s.Data
	raw, err := json.Marshal(write)
	if err != nil {
		return err
	}
	_, err = c.Client.CoreV1().Secrets(c.Namespace).Patch(ctx, c.Name, types.MergePatchType, raw, metav1.PatchOptions{FieldManager: fieldManager})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return ErrConflict
	}
	return err
}

// filled is a merge patch (RFC 7396) of a Secret of a version.
type filled struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Data map[string][]byte `json:"data"`
}

// fieldManager is by what name the API server knows who changed a field.
const fieldManager = "pierhead"

// change is one part of a JSON patch (RFC 6902).
type change struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Trust makes every webhook of the configuration that leads to the Service, or to an
// address, trust the certificates, and none of those made here before. Whom else it
// trusts it goes on to trust: while ingress-nginx's Pods give way to ours, and after a
// way back, they show the certificate that their jobs have made. What has changed
// meanwhile is not written over.
func (c *APIServer) Trust(ctx context.Context, bundle []byte) error {
	configurations := c.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	conf, err := configurations.Get(ctx, c.Configuration, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("configuration of the admission webhook: %w", err)
	}
	patch := []change{{"test", "/metadata/resourceVersion", conf.ResourceVersion}}
	for i, w := range conf.Webhooks {
		if !c.leadsHere(w.ClientConfig) {
			continue
		}
		if want := joined(bundle, w.ClientConfig.CABundle, time.Now()); !bytes.Equal(w.ClientConfig.CABundle, want) {
			patch = append(patch, change{"add", fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), want})
		}
	}
	if len(patch) == 1 {
		return nil
	}
	raw, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	if _, err = configurations.Patch(ctx, c.Configuration, types.JSONPatchType, raw, metav1.PatchOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("configuration of the admission webhook: %w", err)
	}
	return nil
}

// leadsHere tells whether a webhook asks this controller.
func (c *APIServer) leadsHere(to admissionregistrationv1.WebhookClientConfig) bool {
	return to.Service == nil || to.Service.Namespace == c.Namespace && to.Service.Name == c.Service
}
