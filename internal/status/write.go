package status

import (
	"context"
	"errors"
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

// apply carries changes out and returns those that failed. Every status is read again
// before it is written: only what differs is, and what others write beside it stays. It
// gives up, and away is true, when the API server does not answer.
func apply(ctx context.Context, client kubernetes.Interface, log *slog.Logger, changes []Change) (left []string, away bool) {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	work := make(chan Change, len(changes))
	for _, c := range changes {
		work <- c
	}
	close(work)
	var mu sync.Mutex
	var first error
	var wg sync.WaitGroup
	for range min(writers, len(changes)) {
		wg.Go(func() {
			for c := range work {
				err := write(ctx, client, c)
				if err == nil {
					continue
				}
				mu.Lock()
				left = append(left, c.Key)
				if first == nil && ctx.Err() == nil {
					first = fmt.Errorf("ingress %s: %w", c.Key, err)
				}
				if status := apierrors.APIStatus(nil); !errors.As(err, &status) {
					away = true
					giveUp()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if first != nil {
		log.Warn("statuses cannot be written; it is tried again", "left", len(left), "error", first)
	}
	return left, away
}

// write gives one Ingress its status. It is an update, not a patch: the roles that
// clusters have for ingress-nginx allow no other.
func write(ctx context.Context, client kubernetes.Interface, c Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
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
