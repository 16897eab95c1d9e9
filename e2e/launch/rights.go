package launch

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// capability numbers by name, without the prefix CAP_.
var capability = map[string]int{
	"CHOWN": unix.CAP_CHOWN, "DAC_OVERRIDE": unix.CAP_DAC_OVERRIDE, "DAC_READ_SEARCH": unix.CAP_DAC_READ_SEARCH, "FOWNER": unix.CAP_FOWNER,
	"FSETID": unix.CAP_FSETID, "KILL": unix.CAP_KILL, "SETGID": unix.CAP_SETGID, "SETUID": unix.CAP_SETUID, "SETPCAP": unix.CAP_SETPCAP,
	"NET_BIND_SERVICE": unix.CAP_NET_BIND_SERVICE, "NET_BROADCAST": unix.CAP_NET_BROADCAST, "NET_ADMIN": unix.CAP_NET_ADMIN, "NET_RAW": unix.CAP_NET_RAW,
	"IPC_LOCK": unix.CAP_IPC_LOCK, "SYS_CHROOT": unix.CAP_SYS_CHROOT, "SYS_PTRACE": unix.CAP_SYS_PTRACE, "SYS_ADMIN": unix.CAP_SYS_ADMIN,
	"SYS_NICE": unix.CAP_SYS_NICE, "SYS_RESOURCE": unix.CAP_SYS_RESOURCE, "MKNOD": unix.CAP_MKNOD, "AUDIT_WRITE": unix.CAP_AUDIT_WRITE, "SETFCAP": unix.CAP_SETFCAP,
	"BPF": unix.CAP_BPF,
}

// usual capabilities are those that container engines leave to root.
var usual = []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE", "NET_RAW", "SYS_CHROOT",
	"MKNOD", "AUDIT_WRITE", "SETFCAP"}

// capabilities returns the numbers of those that the container may ever have.
func (s *Spec) capabilities() (map[int]bool, error) {
	keep := map[int]bool{}
	for _, name := range usual {
		keep[capability[name]] = true
	}
	change := func(names []string, to bool) error {
		for _, name := range names {
			name = strings.TrimPrefix(strings.ToUpper(name), "CAP_")
			number, known := capability[name]
			switch {
			case name == "ALL":
				for n := range unix.CAP_LAST_CAP + 1 {
					keep[n] = to
				}
			case !known:
				return fmt.Errorf("capability %q: not known here", name)
			default:
				keep[number] = to
			}
		}
		return nil
	}
	if s.AllPrivileges {
		return keep, change([]string{"ALL"}, true)
	}
	if err := change(s.Drop, false); err != nil {
		return nil, err
	}
	return keep, change(s.Add, true)
}

// confine takes away what the container is not given. After it, this thread is no
// longer what it was: the program must be started from it.
func (s *Spec) confine() error {
	keep, err := s.capabilities()
	if err != nil {
		return err
	}
	for n := range unix.CAP_LAST_CAP + 1 {
		if !keep[n] { // a kernel may know fewer
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(n), 0, 0, 0); err != nil && err != unix.EINVAL {
				return fmt.Errorf("drop capability %d: %w", n, err)
			}
		}
	}
	if err := unix.Setgroups(s.Groups); err != nil {
		return fmt.Errorf("groups %v: %w", s.Groups, err)
	}
	if err := unix.Setresgid(s.GID, s.GID, s.GID); err != nil {
		return fmt.Errorf("group %d: %w", s.GID, err)
	}
	if err := unix.Setresuid(s.UID, s.UID, s.UID); err != nil {
		return fmt.Errorf("user %d: %w", s.UID, err)
	}
	if s.NoNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("no new privileges: %w", err)
		}
	}
	// A change of user makes the kernel forget it.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("death with the parent: %w", err)
	}
	return nil
}
