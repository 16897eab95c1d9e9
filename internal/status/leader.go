package status

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Election says how the leader is found.
type Election struct {
	Namespace string // of the Lease
	Lease     string
	Identity  string // the Pod's name
	TTL       time.Duration
	Off       bool // this process leads
}

// defaultTTL is how long a Lease holds unless something else is asked for.
const defaultTTL = 30 * time.Second

// run calls lead whenever this process has become the leader, with a context that ends
// when it is not any more, until ctx ends. It lets go of the Lease at the end.
func (e Election) run(ctx context.Context, client kubernetes.Interface, log *slog.Logger, lead func(context.Context)) error {
	if e.Off {
		lead(ctx)
		return nil
	}
	ttl := e.TTL
	if ttl <= 0 {
		ttl = defaultTTL
	}
	for ctx.Err() == nil {
		done := make(chan struct{})
		lock := &lock{LeaseLock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Lease},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: e.Identity},
		}}
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, Name: e.Lease, ReleaseOnCancel: true,
			LeaseDuration: ttl, RenewDeadline: ttl / 2, RetryPeriod: ttl / 4,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(ctx context.Context) {
					defer close(done)
					log.Info("this Pod leads", "lease", e.Namespace+"/"+e.Lease)
					lead(ctx)
				},
				OnStoppedLeading: func() {},
			},
		})
		if err != nil {
			return fmt.Errorf("leader election: %w", err)
		}
		elector.Run(ctx)
		if lock.taken {
			<-done
		}
	}
	return nil
}

// lock is a Lease that knows whether it was ever held.
type lock struct {
	*resourcelock.LeaseLock
	taken bool
}

// RecordEvent is called first when the Lease has been taken, by the goroutine that
// waits for it.
func (l *lock) RecordEvent(string) { l.taken = true }
