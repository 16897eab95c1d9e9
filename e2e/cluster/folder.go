package cluster

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/pierhead/pierhead/e2e/node"
)

// folderPattern names the folders of clusters that were given none.
const folderPattern = "pierhead-cluster-*"

// makeDir makes the cluster's folder and takes possession of it.
func (c *Cluster) makeDir() error {
	dir := c.options.Dir
	if dir == "" {
		sweep()
		var err error
		if dir, err = os.MkdirTemp("", folderPattern); err != nil {
			return err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	owner, err := own(dir)
	if err != nil {
		return err
	}
	if err := clear(dir); err != nil {
		owner.Close()
		return err
	}
	c.Dir, c.owner = dir, owner
	// Containers of other users look into the folder of their Pod.
	for _, sub := range []string{"", "logs", "keys", "bin", "pods"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	c.Images = &node.Images{Path: filepath.Join(dir, "images.json")}
	if c.logFile, err = os.Create(filepath.Join(dir, "logs", "node.log")); err != nil {
		return err
	}
	c.log = slog.New(slog.NewTextHandler(c.logFile, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return nil
}

// own locks the folder for this process, as long as the file is open.
func own(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, ".owner"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		f.Close()
		return nil, fmt.Errorf("folder %s: a cluster runs in it: must be stopped first", dir)
	}
	return f, nil
}

// clear removes what an earlier cluster has left. It touches only a folder that such a
// cluster has marked as its own by its lock, and that is the one we hold.
func clear(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	known := map[string]bool{".owner": true, "logs": true, "keys": true, "bin": true, "pods": true, "etcd": true, "images.json": true, "kubeconfig": true,
		"inside.kubeconfig": true, "manager.kubeconfig": true, "resolv.conf": true, "tokens.csv": true, "daemon.log": true, "run.json": true}
	for _, e := range entries {
		if !known[e.Name()] {
			return fmt.Errorf("folder %s: %q in it is not of a cluster: must be empty or missing", dir, e.Name())
		}
	}
	for _, e := range entries {
		if name := e.Name(); name != ".owner" && name != "daemon.log" {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep removes the folders of clusters whose process was killed. Their processes have
// died with it.
func sweep() {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), folderPattern))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, ".owner")); err != nil {
			continue
		}
		if owner, err := own(dir); err == nil {
			os.RemoveAll(dir)
			owner.Close()
		}
	}
}
