//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Which core does what: the proxy has one to itself, the load and the origin share the
// other. On a machine of one core nothing is bound.
const (
	proxyCore = 0
	loadCore  = 1
)

// process is a program that was started for the benchmark, with its children.
type process struct {
	name string
	cmd  *exec.Cmd
	log  bytes.Buffer
	dir  string
}

// start runs a program on one core and waits until it listens.
func (b *bench) start(name string, core int, addr, bin string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.CommandContext(b.ctx, bin, args...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if b.output != nil {
		p.cmd.Stdout = b.output
	}
	p.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+b.dir, "XDG_CONFIG_HOME="+b.dir)
	if err := startOn(core, p.cmd); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	for end := time.Now().Add(60 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return p, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("%s ended: %v: %s", name, err, p.log.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			p.stop()
			return nil, fmt.Errorf("%s does not listen on %s: %s", name, addr, p.log.String())
		}
	}
}

// startOn starts a command on one core: a child has the affinity of the thread that
// makes it.
func startOn(core int, cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if runtime.NumCPU() < 2 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &all)
	return cmd.Start()
}

func (p *process) stop() {
	if p == nil || p.cmd.Process == nil {
		return
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	for range 100 {
		if syscall.Kill(-p.cmd.Process.Pid, 0) != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
}

// tree returns the process and its children.
func (p *process) tree() []int {
	all := []int{p.cmd.Process.Pid}
	for i := 0; i < len(all); i++ {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		for _, list := range lists {
			text, _ := os.ReadFile(list)
			for _, f := range strings.Fields(string(text)) {
				if pid, err := strconv.Atoi(f); err == nil {
					all = append(all, pid)
				}
			}
		}
	}
	return all
}

// cpu returns the CPU time that the process and its children have used, by the clock
// that the kernel keeps of each.
func (p *process) cpu() (total time.Duration, err error) {
	for _, pid := range p.tree() {
		var t unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
			return 0, fmt.Errorf("CPU time of %s: %w", p.name, err)
		}
		total += time.Duration(t.Nano())
	}
	return total, nil
}

// resident returns how much memory the process and its children have in use.
func (p *process) resident() (total int64) {
	for _, pid := range p.tree() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if f := strings.Fields(string(text)); len(f) > 1 {
			pages, _ := strconv.ParseInt(f[1], 10, 64)
			total += pages * int64(os.Getpagesize())
		}
	}
	return total
}

func freeAddr() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}
