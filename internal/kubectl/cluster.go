package kubectl

import (
	"fmt"
	"net/http"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// cluster is the API server that is asked.
type cluster struct {
	client    kubernetes.Interface
	http      *http.Client // for what the Pods answer through it
	namespace string
	chosen    bool // by a flag or the kubeconfig file
	limit     time.Duration
	again     time.Duration // between two questions when Pods answer differently
}

// How many requests the API server gets in a second.
const rate, burst = 100, 200

// connect reads the kubeconfig file as kubectl does. It asks the API server nothing yet.
func connect(file, context, namespace string, limit time.Duration, version string) (*cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = file
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{
		CurrentContext: context, Context: clientcmdapi.Context{Namespace: namespace},
	})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig file does not lead to a cluster: %w; see --kubeconfig and --context", err)
	}
	c := &cluster{limit: limit, again: time.Second}
	if c.namespace, c.chosen, err = loader.Namespace(); err != nil {
		return nil, fmt.Errorf("the kubeconfig file names no namespace: %w; give --namespace", err)
	}
	c.chosen = c.chosen || c.namespace != "default"
	config.UserAgent = "kubectl-pierhead/" + version
	config.QPS, config.Burst = rate, burst
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.Timeout = limit
	if c.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, fmt.Errorf("the kubeconfig file does not lead to a cluster: %w", err)
	}
	if c.client, err = kubernetes.NewForConfigAndClient(config, c.http); err != nil {
		return nil, fmt.Errorf("the kubeconfig file does not lead to a cluster: %w", err)
	}
	return c, nil
}
