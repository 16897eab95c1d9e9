package launch

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Run reads a Spec from SpecFD and becomes the program it describes, as the first process
// of namespaces of its own. It must be called from the main thread. It returns only
// after a failure, which it also tells on ErrorFD.
func Run() error {
	unix.CloseOnExec(ErrorFD)
	err := run()
	report := os.NewFile(ErrorFD, "error")
	fmt.Fprint(report, err)
	report.Close()
	return err
}

func run() error {
	in := os.NewFile(SpecFD, "spec")
	var s Spec
	if err := json.NewDecoder(in).Decode(&s); err != nil {
		return fmt.Errorf("spec: %w", err)
	}
	in.Close()
	if len(s.Args) == 0 {
		return fmt.Errorf("args: empty: must name a program")
	}
	if s.Hostname != "" {
		if err := unix.Sethostname([]byte(s.Hostname)); err != nil {
			return fmt.Errorf("hostname %q: %w", s.Hostname, err)
		}
	}
	if err := s.enter(); err != nil {
		return err
	}
	if s.Dir != "" {
		if err := unix.Chdir(s.Dir); err != nil {
			return fmt.Errorf("working directory %q: %w", s.Dir, err)
		}
	}
	program, err := s.program()
	if err != nil {
		return err
	}
	if err := s.confine(); err != nil {
		return err
	}
	return fmt.Errorf("start %q: %w", program, unix.Exec(program, s.Args, s.Env))
}

// program finds Args[0] as a shell in the container would.
func (s *Spec) program() (string, error) {
	name := s.Args[0]
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, e := range s.Env {
		dirs, ok := strings.CutPrefix(e, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range strings.Split(dirs, ":") {
			if p := path.Join(dir, name); unix.Access(p, unix.X_OK) == nil {
				return p, nil
			}
		}
	}
	return "", fmt.Errorf("program %q: not found in PATH", name)
}
