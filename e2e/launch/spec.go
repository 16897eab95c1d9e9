// Package launch turns a process into a container: the small program that starts every
// container of the test bed (apps/sandbox) reads a Spec and becomes what it describes.
package launch

// Spec says what a container sees and what it runs. The network namespace is not in it:
// the process is started in the right one.
type Spec struct {
	Root     string   // an empty folder to build the container's file system on
	Base     string   // a folder to start from, never written to; empty: an empty file system
	Mounts   []Mount  // in order
	Hostname string   // empty: the one of the namespace
	Args     []string // Args[0] is the program, as a path in the container or to be found in PATH
	Env      []string
	Dir      string // working directory; empty: /

	UID, GID      int
	Groups        []int
	ReadOnlyRoot  bool
	NoNewPrivs    bool
	AllPrivileges bool     // every capability, as for a privileged container
	Add, Drop     []string // capabilities added to and taken from the usual ones; "ALL" is understood
}

// Mount makes the file or folder Source visible at Target.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

// The file descriptors by which a Spec comes in and a failure goes out.
const (
	SpecFD  = 3 // JSON
	ErrorFD = 4 // the reason why the program could not be started; closed without a word when it was
)
