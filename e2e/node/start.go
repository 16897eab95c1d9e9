package node

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/e2e/launch"
)

// start starts the container's process. After a failure, reason is a kubelet's word for it.
func (c *container) start() (r *running, reason string, err error) {
	image, err := c.pod.agent.Images.Find(c.spec.Image)
	if err != nil {
		return nil, "ErrImagePull", err
	}
	s, err := c.describe(image)
	if err != nil {
		return nil, "CreateContainerConfigError", err
	}
	log, err := os.OpenFile(c.pod.agent.logFile(c.pod.namespace, c.pod.name, c.spec.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, "CreateContainerError", err
	}
	defer log.Close()
	cmd := exec.Command(c.pod.agent.Sandbox, "run")
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, s.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setsid: true,
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC}
	if err := c.launch(cmd, s); err != nil {
		return nil, "RunContainerError", err
	}
	r = &running{cmd: cmd, pid: cmd.Process.Pid, begun: metav1.Now(), exited: make(chan struct{}), restart: make(chan string, 1)}
	go func() {
		cmd.Wait()
		close(r.exited)
	}()
	return r, "", nil
}

// launch starts cmd and returns when the program runs or could not be started.
func (c *container) launch(cmd *exec.Cmd, s *launch.Spec) error {
	specR, specW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer specW.Close()
	errR, errW, err := os.Pipe()
	if err != nil {
		specR.Close()
		return err
	}
	defer errR.Close()
	cmd.ExtraFiles = []*os.File{specR, errW} // launch.SpecFD and launch.ErrorFD
	err = c.pod.net.Start(cmd)
	specR.Close()
	errW.Close()
	if err != nil {
		return err
	}
	encoded := json.NewEncoder(specW).Encode(s)
	specW.Close()
	failure, err := io.ReadAll(errR)
	if encoded != nil && len(failure) == 0 {
		failure = []byte(encoded.Error())
	}
	if err == nil && len(failure) == 0 {
		return nil
	}
	cmd.Process.Kill()
	cmd.Wait()
	return fmt.Errorf("%s%v", failure, errOrNothing(err))
}

func errOrNothing(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// describe says what the container is to see and to run.
func (c *container) describe(image Image) (*launch.Spec, error) {
	env, err := c.environment(image)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(c.pod.dir, "roots", c.spec.Name)
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	s := &launch.Spec{Root: root, Base: image.Root, Env: env.list(), Dir: c.spec.WorkingDir, Hostname: c.pod.hostname()}
	s.Args = image.Entrypoint
	if len(c.spec.Command) > 0 {
		s.Args = env.expandAll(c.spec.Command)
	} else {
		s.Args = append([]string{}, s.Args...)
	}
	s.Args = append(s.Args, env.expandAll(c.spec.Args)...)
	for _, name := range image.names() {
		s.Mounts = append(s.Mounts, launch.Mount{Source: image.Binary, Target: name, ReadOnly: true})
	}
	for _, name := range []string{"hosts", "resolv.conf", "hostname"} {
		s.Mounts = append(s.Mounts, launch.Mount{Source: filepath.Join(c.pod.dir, name), Target: "/etc/" + name})
	}
	for _, m := range c.spec.VolumeMounts {
		mount, err := c.pod.mount(m, env)
		if err != nil {
			return nil, err
		}
		s.Mounts = append(s.Mounts, mount)
	}
	c.restrict(s)
	return s, nil
}

// restrict applies the security contexts, the container's over the Pod's.
func (c *container) restrict(s *launch.Spec) {
	if p := c.pod.spec().Spec.SecurityContext; p != nil {
		set(&s.UID, p.RunAsUser)
		set(&s.GID, p.RunAsGroup)
		for _, g := range p.SupplementalGroups {
			s.Groups = append(s.Groups, int(g))
		}
		if p.FSGroup != nil {
			s.Groups = append(s.Groups, int(*p.FSGroup))
		}
	}
	x := c.spec.SecurityContext
	if x == nil {
		return
	}
	set(&s.UID, x.RunAsUser)
	set(&s.GID, x.RunAsGroup)
	s.ReadOnlyRoot = x.ReadOnlyRootFilesystem != nil && *x.ReadOnlyRootFilesystem
	s.NoNewPrivs = x.AllowPrivilegeEscalation != nil && !*x.AllowPrivilegeEscalation
	s.AllPrivileges = x.Privileged != nil && *x.Privileged
	if x.Capabilities != nil {
		s.Add, s.Drop = names(x.Capabilities.Add), names(x.Capabilities.Drop)
	}
}

func set(to *int, from *int64) {
	if from != nil {
		*to = int(*from)
	}
}

func names(list []corev1.Capability) (out []string) {
	for _, c := range list {
		out = append(out, string(c))
	}
	return out
}
