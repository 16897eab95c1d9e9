package status

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
)

// writers is how many statuses are written at a time. The client's own limit says how
// many in a second.
const writers = 8

// apply carries changes out and returns how many failed. Every status is read again
// before it is written: only what differs is, and what others write beside it stays.
func apply(ctx context.Context, client kubernetes.Interface, log *slog.Logger, changes []Change) int {
	work := make(chan Change)
	var mu sync.Mutex
	failed := 0
	var wg sync.WaitGroup
	for range min(writers, len(changes)) {
		wg.Go(func() {
			for c := range work {
				if err := write(ctx, client, c); err != nil && ctx.Err() == nil {
					log.Warn("the status of an Ingress cannot be written; it is tried again", "ingress", c.Key, "error", err)
					mu.Lock()
					failed++
					mu.Unlock()
				}
			}
		})
	}
	for _, c := range changes {
		select {
		case work <- c:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(work)
	wg.Wait()
	return failed
}

// write gives one Ingress its status. It is an update, not a patch: the roles that
// clusters have for ingress-nginx allow no other.
func write(ctx context.Context, client kubernetes.Interface, c Change) error {
	ns, name, _ := strings.Cut(c.Key, "/")
	api := client.NetworkingV1().Ingresses(ns)
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		in, err := api.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil // gone, and its status with it
		}
		if err != nil {
			return fmt.Errorf("get: %w", err)
		}
		if has(in, c.Want) {
			return nil
		}
		in.Status.LoadBalancer.Ingress = c.Want
		_, err = api.UpdateStatus(ctx, in, metav1.UpdateOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}
