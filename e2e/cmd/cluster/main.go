// Command cluster starts and stops a Kubernetes control plane for development and tests;
// see package cluster.
//
//	cluster up       starts it in the background, or with -foreground until Ctrl-C
//	cluster down     stops it and removes everything
//	cluster env      prints what a shell needs to use kubectl with it: eval "$(cluster env)"
//	cluster enter    runs a command inside its network
//	cluster images   prints what runs in the place of which image; NAME=PATH changes it
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

var commands = map[string]func(args []string) error{"up": up, "down": down, "env": env, "enter": enter, "images": images}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: cluster up|down|env|enter|images [flags]   (-h after a command shows its flags)")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// newFlags returns the flags of a command, with the folder that all commands share.
func newFlags(name, usage string) (*flag.FlagSet, *string) {
	f := flag.NewFlagSet(name, flag.ExitOnError)
	dir := f.String("dir", defaultDir(), "`folder` of the cluster; one cluster per folder")
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "usage: cluster %s [flags]%s\n", name, usage)
		f.PrintDefaults()
	}
	return f, dir
}

func defaultDir() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "pierhead", "cluster")
}

// needRoot says early what would fail late.
func needRoot() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("the cluster needs root for its network namespaces: user id is %d, must be 0 (run it with sudo)", os.Geteuid())
	}
	return nil
}
