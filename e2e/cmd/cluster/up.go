package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pierhead/pierhead/e2e/cluster"
	"github.com/pierhead/pierhead/e2e/node"
	"github.com/pierhead/pierhead/e2e/process"
)

// progressFD is where the cluster in the background tells the command that started it how
// it gets on; it is closed when the cluster is up or has failed.
const progressFD = 3

// up starts a cluster.
func up(args []string) error {
	flags, dir := newFlags("up", "")
	foreground := flags.Bool("foreground", false, "stay until Ctrl-C, then stop everything")
	background := flags.Bool("background", false, "used by up itself")
	balancers := flags.String("load-balancers", "10.97.0.0/24", "`prefix` of addresses for Services of type LoadBalancer without a class; empty: none")
	o := cluster.Options{Images: map[string]node.Image{}}
	flags.Func("image", "`NAME=PATH` of a static program or a root folder that runs in the place of image NAME; may be repeated", func(s string) error {
		name, image, err := parseImage(s)
		o.Images[name] = image
		return err
	})
	flags.Parse(args)
	if err := needRoot(); err != nil {
		return err
	}
	if *balancers != "" {
		var err error
		if o.Balancers, err = netip.ParsePrefix(*balancers); err != nil {
			return fmt.Errorf("load-balancers %q: must be a prefix as 10.97.0.0/24", *balancers)
		}
	}
	o.Dir = *dir
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	switch {
	case *background:
		syscall.CloseOnExec(progressFD)
		progress := os.NewFile(progressFD, "progress")
		err := serve(ctx, o, progress, func() { progress.Close() })
		if err != nil {
			fmt.Fprintln(progress, "cluster:", err)
		}
		return err
	case *foreground:
		return serve(ctx, o, os.Stderr, func() {
			if r, err := read(o.Dir); err == nil {
				explain(os.Stdout, r)
			}
		})
	}
	return start(ctx, *dir, args)
}

// serve runs a cluster until ctx is done.
func serve(ctx context.Context, o cluster.Options, progress io.Writer, isUp func()) error {
	o.Progress = progress
	c, err := cluster.Start(ctx, o)
	if err != nil {
		return err
	}
	pid := os.Getpid()
	started, err := process.Started(pid)
	if err == nil {
		r := run{Pid: pid, Started: started, NamespacePid: c.Namespace.Pid(), Kubeconfig: c.Kubeconfig(), Bin: c.Bin, Images: c.Images.Path}
		err = r.write(c.Dir)
	}
	if err != nil {
		c.Close()
		return err
	}
	isUp()
	<-ctx.Done()
	return c.Close()
}

// start runs "up" once more in the background and waits until the cluster is up.
func start(ctx context.Context, dir string, args []string) error {
	if r, err := read(dir); err == nil {
		return fmt.Errorf("folder %s: a cluster is up already, process %d (stop it with: cluster down)", dir, r.Pid)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "daemon.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	progress, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe", append([]string{"up", "-background"}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	theirs.Close()
	unwatch := context.AfterFunc(ctx, func() { cmd.Process.Signal(syscall.SIGTERM) })
	io.Copy(os.Stderr, progress)
	unwatch()
	r, err := read(dir)
	if err != nil {
		cmd.Wait()
		return fmt.Errorf("the cluster has not come up")
	}
	explain(os.Stdout, r)
	return nil
}

// explain says how to use the cluster.
func explain(w io.Writer, r *run) {
	fmt.Fprintf(w, `
kubeconfig   %s
kubectl      %s
enter        %s

  eval "$(go run ./cmd/cluster env)"     kubectl in this shell
  go run ./cmd/cluster enter             a shell in its network: Pods, cluster IPs, DNS
  go run ./cmd/cluster down              stops it and leaves nothing behind
`, r.Kubeconfig, filepath.Join(r.Bin, "kubectl"), strings.Join(cluster.EnterPid(r.NamespacePid), " "))
}
