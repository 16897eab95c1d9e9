package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pierhead/pierhead/e2e/process"
)

// A run is what the other commands know about a cluster that is up.
type run struct {
	Pid          int    `json:"pid"`
	Started      uint64 `json:"started"` // tells the process from a later one with its id
	NamespacePid int    `json:"namespacePid"`
	Kubeconfig   string `json:"kubeconfig"`
	Bin          string `json:"bin"`
	Images       string `json:"images"`
}

var errNone = errors.New("no cluster is up")

func runFile(dir string) string { return filepath.Join(dir, "run.json") }

// read returns the cluster in dir; errNone when there is none, also when its process has
// been killed.
func read(dir string) (*run, error) {
	text, err := os.ReadFile(runFile(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("folder %s: %w", dir, errNone)
	}
	if err != nil {
		return nil, err
	}
	r := &run{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", runFile(dir), err)
	}
	if !process.Alive(r.Pid, r.Started) {
		return r, fmt.Errorf("folder %s: %w: its process %d has ended", dir, errNone, r.Pid)
	}
	return r, nil
}

// write makes the cluster known. It is there whole or not at all.
func (r *run) write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(runFile(dir)+".new", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(runFile(dir)+".new", runFile(dir))
}
