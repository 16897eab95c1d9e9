package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/pierhead/pierhead/e2e/process"
)

// down stops the cluster and removes its folder.
func down(args []string) error {
	flags, dir := newFlags("down", "")
	grace := flags.Duration("grace", 30*time.Second, "how long to wait before the process is killed")
	flags.Parse(args)
	if err := needRoot(); err != nil {
		return err
	}
	r, err := read(*dir)
	if r == nil {
		if errors.Is(err, errNone) {
			fmt.Println("no cluster is up in", *dir)
			return nil
		}
		return err
	}
	if err == nil {
		if err := stop(r, *grace); err != nil {
			return err
		}
	}
	// A cluster that was killed had no time to do this.
	return os.RemoveAll(*dir)
}

// stop ends the process of the cluster; all others are its children and end with it.
func stop(r *run, grace time.Duration) error {
	if err := syscall.Kill(r.Pid, syscall.SIGTERM); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("stop process %d: %w", r.Pid, err)
	}
	limit := time.Now().Add(grace)
	for process.Alive(r.Pid, r.Started) {
		if time.Now().After(limit) {
			if err := syscall.Kill(r.Pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
				return fmt.Errorf("kill process %d: %w", r.Pid, err)
			}
			limit = limit.Add(grace)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}
