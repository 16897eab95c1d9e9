package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/pierhead/pierhead/internal/source/kube"
	publish "github.com/pierhead/pierhead/internal/status"
	"github.com/pierhead/pierhead/internal/translate"
)

// How many requests the API server gets in a second: to read, and to write.
const (
	readRate, readBurst   = 200, 400
	writeRate, writeBurst = 100, 200
)

// connect makes the source, the publisher and the webhook. It waits for no answer of the
// API server.
func (c *controller) connect(ctx context.Context) error {
	config, err := clusterConfig(c.flags)
	if err != nil {
		return err
	}
	reader, err := client(config, readRate, readBurst)
	if err != nil {
		return err
	}
	writer, err := client(config, writeRate, writeBurst)
	if err != nil {
		return err
	}
	if c.hook, err = c.openWebhook(ctx, writer); err != nil {
		return err
	}
	f := c.flags
	ns, name, _ := strings.Cut(c.pod, "/")
	c.source = kube.New(kube.Options{
		Client: reader, Namespace: f.WatchNamespace, Others: namespaces(ns, f), Namespaces: f.WatchNamespaceSelector != "",
		ConfigMap: f.ConfigMap, ConfigMaps: given(f.TCPServices, f.UDPServices), Secrets: given(f.DefaultSSLCertificate), ZoneOf: c.zoneOf(), Needed: needed(f), Log: c.log,
		Seen:   func(had, has kube.Object) { c.publisher.Seen(had, has) },
		Review: c.hook != nil, Followed: c.madeHere(), Follow: c.follow,
	})
	if c.hook != nil {
		c.webhook = c.answers()
	}
	c.publisher = publish.New(publish.Options{
		Client: writer, Objects: c.source, Pod: c.pod, Log: c.log,
		Election: publish.Election{
			Namespace: ns, Lease: f.Text("election-id"), Identity: name, TTL: f.Duration("election-ttl"), Off: f.Bool("disable-leader-election"),
		},
		Addresses: f.PublishStatusAddress, Service: f.PublishService, InternalIP: f.Bool("report-node-internal-ip-address"),
		Update: f.Bool("update-status"), ClearAtEnd: f.Bool("update-status-on-shutdown"), SyncEvents: !f.Bool("disable-sync-events"),
		Interval: time.Duration(max(f.Int("status-update-interval"), 5)) * time.Second,
	})
	return nil
}

// zoneOf returns the Pod whose zone's endpoints go first, or "".
func (c *controller) zoneOf() string {
	if c.flags.Bool("enable-topology-aware-routing") {
		return c.pod
	}
	return ""
}

// needed lists what must be there for a start, as in ingress-nginx.
func needed(f *translate.ProcessFlags) []kube.Needed {
	return []kube.Needed{
		{Flag: "default-backend-service", Kind: "Service", Key: f.DefaultBackendService},
		{Flag: "publish-service", Kind: "Service", Key: f.PublishService},
		{Flag: "watch-namespace", Kind: "Namespace", Key: f.WatchNamespace},
		{Flag: "configmap", Kind: "ConfigMap", Key: f.ConfigMap},
		{Flag: "tcp-services-configmap", Kind: "ConfigMap", Key: f.TCPServices},
		{Flag: "udp-services-configmap", Kind: "ConfigMap", Key: f.UDPServices},
	}
}

// clusterConfig says how to reach the API server: as the flags say, or as a Pod does.
func clusterConfig(f *translate.ProcessFlags) (*rest.Config, error) {
	host, file := f.Text("apiserver-host"), f.Text("kubeconfig")
	if host == "" && file == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("API server: %w; outside of a cluster give --kubeconfig or --apiserver-host", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags(host, file)
	if err != nil {
		return nil, fmt.Errorf("API server: %w; see --kubeconfig and --apiserver-host", err)
	}
	if ca := f.Text("certificate-authority"); ca != "" && host != "" {
		config.TLSClientConfig = rest.TLSClientConfig{CAFile: ca}
	}
	return config, nil
}

// client returns a client that sends at most so many requests a second.
func client(config *rest.Config, rate float32, burst int) (*kubernetes.Clientset, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = "pierhead/" + version
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.QPS, config.Burst = rate, burst
	return kubernetes.NewForConfig(config)
}

// namespaces lists those of what the flags name.
func namespaces(own string, f *translate.ProcessFlags) []string {
	list := []string{own}
	for _, key := range []string{f.ConfigMap, f.DefaultBackendService, f.DefaultSSLCertificate, f.PublishService, f.TCPServices, f.UDPServices} {
		if ns, _, ok := strings.Cut(key, "/"); ok {
			list = append(list, ns)
		}
	}
	return list
}

// given returns the words that are not empty.
func given(words ...string) (list []string) {
	for _, w := range words {
		if w != "" {
			list = append(list, w)
		}
	}
	return list
}
