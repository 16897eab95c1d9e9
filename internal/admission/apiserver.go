package admission

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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

// Write stores the Secret, unless it has changed since it was read.
func (c *APIServer) Write(ctx context.Context, s *corev1.Secret) error {
	secrets := c.Client.CoreV1().Secrets(c.Namespace)
	var err error
	if s.ResourceVersion == "" {
		s.Name, s.Namespace = c.Name, c.Namespace
		_, err = secrets.Create(ctx, s, metav1.CreateOptions{})
	} else {
		_, err = secrets.Update(ctx, s, metav1.UpdateOptions{})
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		return ErrConflict
	}
	return err
}

// change is one part of a JSON patch (RFC 6902).
type change struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Trust makes every webhook of the configuration that leads to the Service, or to an
// address, trust the certificates. What has changed meanwhile is not written over.
func (c *APIServer) Trust(ctx context.Context, bundle []byte) error {
	configurations := c.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	conf, err := configurations.Get(ctx, c.Configuration, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("configuration of the admission webhook: %w", err)
	}
	patch := []change{{"test", "/metadata/resourceVersion", conf.ResourceVersion}}
	for i, w := range conf.Webhooks {
		if c.leadsHere(w.ClientConfig) && !bytes.Equal(w.ClientConfig.CABundle, bundle) {
			patch = append(patch, change{"add", fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), bundle})
		}
	}
	if len(patch) == 1 {
		return nil
	}
	raw, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	if _, err = configurations.Patch(ctx, c.Configuration, types.JSONPatchType, raw, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("configuration of the admission webhook: %w", err)
	}
	return nil
}

// leadsHere tells whether a webhook asks this controller.
func (c *APIServer) leadsHere(to admissionregistrationv1.WebhookClientConfig) bool {
	return to.Service == nil || to.Service.Namespace == c.Namespace && to.Service.Name == c.Service
}
