// Command sandbox is the small program behind every namespace of the test bed. As
// "sandbox pause" it does nothing, in namespaces that live as long as it does; as
// "sandbox run" it becomes a container.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/pierhead/pierhead/e2e/launch"
)

// The program that a container runs replaces the thread that prepares it: it has to be
// the first one, which the kernel ties to the life of the parent.
func init() { runtime.LockOSThread() }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		args = []string{"pause"} // as a container's only program
	}
	switch args[0] {
	case "pause":
		return pause(args[1:])
	case "run":
		return launch.Run()
	}
	return fmt.Errorf("command %q: must be pause or run", args[0])
}

// pause waits for its end.
func pause(args []string) error {
	flags := flag.NewFlagSet("pause", flag.ContinueOnError)
	resolv := flags.String("resolv", "", "`file` that takes the place of /etc/resolv.conf in this mount namespace")
	ready := flags.Bool("ready", false, "print a line when all is in place")
	if err := flags.Parse(args); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM)
	if *resolv != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("own mounts: %w", err)
		}
		if err := unix.Mount(*resolv, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s on /etc/resolv.conf: %w", *resolv, err)
		}
	}
	if *ready {
		fmt.Println("ready")
	}
	<-stop
	return nil
}
