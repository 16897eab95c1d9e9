package launch

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// devices are what programs expect of every machine.
var devices = []string{"null", "zero", "full", "random", "urandom"}

// enter builds the container's file system in this process's mount namespace, which
// must be its own, and makes it the root.
func (s *Spec) enter() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("own mounts: %w", err)
	}
	root, err := s.base()
	if err != nil {
		return err
	}
	// What comes from outside is taken hold of now and put in place from inside, where
	// no link of the image can lead out.
	var trees []tree
	for _, name := range devices {
		t, err := open(Mount{Source: "/dev/" + name, Target: "/dev/" + name})
		if err != nil {
			return err
		}
		trees = append(trees, t)
	}
	for _, m := range s.Mounts {
		t, err := open(m)
		if err != nil {
			return err
		}
		trees = append(trees, t)
	}
	if err := pivot(root); err != nil {
		return err
	}
	if err := usualFolders(); err != nil {
		return err
	}
	for _, t := range trees {
		if err := t.attach(); err != nil {
			return err
		}
	}
	if s.ReadOnlyRoot {
		if err := readOnly("/"); err != nil {
			return err
		}
	}
	return nil
}

// base mounts the file system that everything else goes into: memory, over the image's
// folder when there is one.
func (s *Spec) base() (string, error) {
	if err := unix.Mount("root", s.Root, "tmpfs", unix.MS_NODEV, "mode=755"); err != nil {
		return "", fmt.Errorf("mount %s: %w", s.Root, err)
	}
	if s.Base == "" {
		return s.Root, nil
	}
	dirs := map[string]string{}
	for _, name := range []string{"upper", "work", "root"} {
		dirs[name] = filepath.Join(s.Root, name)
		if err := os.Mkdir(dirs[name], 0o755); err != nil {
			return "", err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", s.Base, dirs["upper"], dirs["work"])
	if err := unix.Mount("root", dirs["root"], "overlay", 0, options); err != nil {
		return "", fmt.Errorf("mount overlay of %s: %w", s.Base, err)
	}
	return dirs["root"], nil
}

// pivot makes root the root of this mount namespace and lets go of everything else.
func pivot(root string) error {
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the old root: %w", err)
	}
	return unix.Chdir("/")
}

// usualFolders makes the folders of every container, and what the kernel shows in them.
func usualFolders() error {
	for _, dir := range []string{"/etc", "/run", "/proc", "/dev", "/var"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/tmp", "/var/tmp"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(dir, os.ModeSticky|0o777); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("dev", "/dev", "tmpfs", unix.MS_NOSUID, "mode=755"); err != nil {
		return fmt.Errorf("mount /dev: %w", err)
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(to, "/dev/"+name); err != nil {
			return err
		}
	}
	return nil
}

// A tree is the source of a Mount, held by a file descriptor.
type tree struct {
	Mount
	fd  int
	dir bool
}

func open(m Mount) (tree, error) {
	info, err := os.Stat(m.Source)
	if err != nil {
		return tree{}, err
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, m.Source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return tree{}, fmt.Errorf("open_tree %s: %w", m.Source, err)
	}
	return tree{m, fd, info.IsDir()}, nil
}

// attach puts the tree at its target, making the file or folder it covers.
func (t tree) attach() error {
	dir := t.Target
	if !t.dir {
		dir = filepath.Dir(t.Target)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if !t.dir {
		f, err := os.OpenFile(t.Target, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		f.Close()
	}
	if err := unix.MoveMount(t.fd, "", unix.AT_FDCWD, t.Target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount %s on %s: %w", t.Source, t.Target, err)
	}
	unix.Close(t.fd)
	if t.ReadOnly {
		return readOnly(t.Target)
	}
	return nil
}

func readOnly(path string) error {
	if err := unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mount %s read-only: %w", path, err)
	}
	return nil
}
