// Package process runs the programs of the control plane: each writes to a log file, dies
// with us, is started again when it ends by itself, and can be stopped and started by a
// test that wants to see the world without it.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pierhead/pierhead/e2e/netns"
)

// A Program is one long-running command.
type Program struct {
	Name string
	args []string
	log  string
	in   *netns.Namespace

	mu   sync.Mutex
	stop chan struct{} // closed to end the running one; nil: not running
	done chan struct{} // closed when it has ended and is not started again
	cmd  *exec.Cmd
}

// New describes a program in a namespace whose output goes to a file in logs.
func New(in *netns.Namespace, logs, name string, args ...string) *Program {
	return &Program{Name: name, args: args, log: filepath.Join(logs, name+".log"), in: in}
}

// Log returns the path of the file that the program writes to.
func (p *Program) Log() string { return p.log }

// Pid returns the process id, 0 when it does not run.
func (p *Program) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop == nil || p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Start starts the program and keeps it running until Stop or Kill.
func (p *Program) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		return fmt.Errorf("%s runs already", p.Name)
	}
	if err := p.startOnce(); err != nil {
		return err
	}
	p.stop, p.done = make(chan struct{}), make(chan struct{})
	go p.keep(p.stop, p.done)
	return nil
}

// startOnce starts the command; mu is held.
func (p *Program) startOnce() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setsid: true}
	if err := p.in.Start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.cmd = cmd
	return nil
}

// keep waits for the program and starts it again until stop is closed.
func (p *Program) keep(stop, done chan struct{}) {
	defer close(done)
	for {
		p.cmd.Wait()
		select {
		case <-stop:
			return
		case <-time.After(500 * time.Millisecond):
		}
		p.mu.Lock()
		select {
		case <-stop:
			p.mu.Unlock()
			return
		default:
		}
		err := p.startOnce()
		p.mu.Unlock()
		if err != nil {
			return // the log cannot be opened or the program is gone: nothing a retry would change
		}
	}
}

// Kill ends the program at once, as a crash of its machine would.
func (p *Program) Kill() error { return p.end(unix.SIGKILL, 0) }

// Stop asks the program to end and kills it after grace.
func (p *Program) Stop(grace time.Duration) error { return p.end(unix.SIGTERM, grace) }

func (p *Program) end(signal unix.Signal, grace time.Duration) error {
	p.mu.Lock()
	if p.stop == nil {
		p.mu.Unlock()
		return fmt.Errorf("%s does not run", p.Name)
	}
	close(p.stop)
	p.stop = nil
	err := p.cmd.Process.Signal(signal)
	done, process := p.done, p.cmd.Process
	p.mu.Unlock()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	select {
	case <-done:
	case <-time.After(grace):
		process.Kill()
		<-done
	}
	return nil
}

// Tail returns the last bytes of the log, for an error message.
func (p *Program) Tail(n int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-n):])
}
