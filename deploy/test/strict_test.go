package deploy

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// types are those that objects are decoded into. A field that a type does not have is an
// error, as for an API server that validates strictly.
var types = map[string]func() any{
	"v1 ConfigMap":                  func() any { return new(corev1.ConfigMap) },
	"v1 Secret":                     func() any { return new(corev1.Secret) },
	"v1 Service":                    func() any { return new(corev1.Service) },
	"v1 ServiceAccount":             func() any { return new(corev1.ServiceAccount) },
	"v1 Namespace":                  func() any { return new(corev1.Namespace) },
	"apps/v1 Deployment":            func() any { return new(appsv1.Deployment) },
	"apps/v1 DaemonSet":             func() any { return new(appsv1.DaemonSet) },
	"policy/v1 PodDisruptionBudget": func() any { return new(policyv1.PodDisruptionBudget) },

	"autoscaling/v2 HorizontalPodAutoscaler":                         func() any { return new(autoscalingv2.HorizontalPodAutoscaler) },
	"networking.k8s.io/v1 IngressClass":                              func() any { return new(networkingv1.IngressClass) },
	"networking.k8s.io/v1 NetworkPolicy":                             func() any { return new(networkingv1.NetworkPolicy) },
	"rbac.authorization.k8s.io/v1 ClusterRole":                       func() any { return new(rbacv1.ClusterRole) },
	"rbac.authorization.k8s.io/v1 ClusterRoleBinding":                func() any { return new(rbacv1.ClusterRoleBinding) },
	"rbac.authorization.k8s.io/v1 Role":                              func() any { return new(rbacv1.Role) },
	"rbac.authorization.k8s.io/v1 RoleBinding":                       func() any { return new(rbacv1.RoleBinding) },
	"admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration": func() any { return new(admissionregistrationv1.ValidatingWebhookConfiguration) },
	"monitoring.coreos.com/v1 ServiceMonitor":                        func() any { return new(monitoringv1.ServiceMonitor) },
	"monitoring.coreos.com/v1 PrometheusRule":                        func() any { return new(monitoringv1.PrometheusRule) },
	"cert-manager.io/v1 Issuer":                                      func() any { return new(issuer) },
	"cert-manager.io/v1 Certificate":                                 func() any { return new(certificate) },
	"keda.sh/v1alpha1 ScaledObject":                                  func() any { return new(scaledObject) },
}

// What is used of the types of cert-manager and KEDA, whose modules are not needed for
// the sake of a few fields.
type (
	issuer struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			SelfSigned *struct{} `json:"selfSigned,omitempty"`
			CA         *struct {
				SecretName string `json:"secretName"`
			} `json:"ca,omitempty"`
		} `json:"spec"`
	}
	certificate struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			SecretName           string          `json:"secretName"`
			CommonName           string          `json:"commonName,omitempty"`
			DNSNames             []string        `json:"dnsNames,omitempty"`
			Duration             metav1.Duration `json:"duration"`
			IsCA                 bool            `json:"isCA,omitempty"`
			RevisionHistoryLimit *int32          `json:"revisionHistoryLimit,omitempty"`
			PrivateKey           struct {
				Algorithm      string `json:"algorithm"`
				RotationPolicy string `json:"rotationPolicy,omitempty"`
			} `json:"privateKey"`
			IssuerRef struct {
				Name  string `json:"name"`
				Kind  string `json:"kind,omitempty"`
				Group string `json:"group,omitempty"`
			} `json:"issuerRef"`
		} `json:"spec"`
	}
	scaledObject struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			ScaleTargetRef struct {
				Name string `json:"name"`
			} `json:"scaleTargetRef"`
			PollingInterval int32 `json:"pollingInterval"`
			CooldownPeriod  int32 `json:"cooldownPeriod"`
			MinReplicaCount int32 `json:"minReplicaCount"`
			MaxReplicaCount int32 `json:"maxReplicaCount"`
			Fallback        *struct {
				FailureThreshold int32 `json:"failureThreshold"`
				Replicas         int32 `json:"replicas"`
			} `json:"fallback,omitempty"`
			Triggers []struct {
				Type     string            `json:"type"`
				Metadata map[string]string `json:"metadata"`
			} `json:"triggers"`
			Advanced struct {
				RestoreToOriginalReplicaCount bool `json:"restoreToOriginalReplicaCount"`
				HorizontalPodAutoscalerConfig *struct {
					Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior"`
				} `json:"horizontalPodAutoscalerConfig,omitempty"`
			} `json:"advanced"`
		} `json:"spec"`
	}
)

// TestStrict decodes every object as what it says to be, and holds that names are unique
// and that namespaces stand where they must.
func TestStrict(t *testing.T) {
	everyCase(t, func(t *testing.T, _ string, out rendered) { strict(t, out) })
	t.Run("keda", func(t *testing.T) {
		strict(t, mustRender(t, release{values: with("controller.keda.enabled", true, "controller.keda.fallback.replicas", 2,
			"controller.keda.behavior.scaleDown.stabilizationWindowSeconds", 60,
			"controller.keda.triggers", []any{values{"type": "prometheus", "metadata": values{"query": "1"}}})}))
	})
}

func strict(t *testing.T, out rendered) {
	t.Helper()
	seen := map[string]bool{}
	for _, o := range out.objects {
		made := types[o.apiVersion+" "+o.kind]
		if made == nil {
			t.Errorf("%s of %s: nobody expects this kind", o, o.apiVersion)
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(o.text), made()); err != nil {
			t.Errorf("%s: %v\n%s", o, err, o.text)
		}
		if seen[o.String()] {
			t.Errorf("%s is there twice", o)
		}
		seen[o.String()] = true
		global := o.kind == "ClusterRole" || o.kind == "ClusterRoleBinding" || o.kind == "IngressClass" || o.kind == "ValidatingWebhookConfiguration" || o.kind == "Namespace"
		if global != (o.ns == "") {
			t.Errorf("%s: its namespace is %q", o, o.ns)
		}
	}
}
