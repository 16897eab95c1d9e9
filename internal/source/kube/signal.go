package kube

import (
	"context"
	"time"
)

// How changes are gathered before they are told: until there was none for a while, but
// not longer than a bound. Endpoints wait less, since they cost less.
const (
	quiet             = 20 * time.Millisecond
	patience          = 200 * time.Millisecond
	quietEndpoints    = 3 * time.Millisecond
	patienceEndpoints = 25 * time.Millisecond
)

// signal gathers changes.
type signal struct {
	told            chan struct{}
	quiet, patience time.Duration
}

func newSignal(quiet, patience time.Duration) *signal {
	return &signal{told: make(chan struct{}, 1), quiet: quiet, patience: patience}
}

// tell says that something changed. It never waits.
func (s *signal) tell() {
	select {
	case s.told <- struct{}{}:
	default:
	}
}

// forget takes back what was told.
func (s *signal) forget() {
	select {
	case <-s.told:
	default:
	}
}

// wait returns true when something has changed since it last returned and no more is
// coming, and false when ctx ends.
func (s *signal) wait(ctx context.Context) bool {
	select {
	case <-s.told:
	case <-ctx.Done():
		return false
	}
	last := time.NewTimer(s.patience)
	defer last.Stop()
	rest := time.NewTimer(s.quiet)
	defer rest.Stop()
	for {
		select {
		case <-s.told:
			rest.Reset(s.quiet)
		case <-rest.C:
			return true
		case <-last.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
}
