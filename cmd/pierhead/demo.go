package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pierhead/pierhead/internal/control"
	"github.com/pierhead/pierhead/internal/demo"
	"github.com/pierhead/pierhead/internal/source/file"
)

var demoCommand = command{
	name:  "demo",
	short: "see the whole workflow run on this machine",
	usage: `usage: pierhead demo [flags]

Writes an example to a folder: an application behind an external and an internal
ingress controller, each behind a load balancer, with DNS names, a fresh
certificate, limits and a password. Starts three replicas of the application in this
process, serves the folder as up does, shows what stands and prints dig and curl
lines to paste. Change the files while it runs. Ctrl-C ends it.

flags:
  --dir DIR      where the example is written (default: a temporary folder, removed
                 at the end). An example that is there already stays as you have
                 changed it, but for certificates and addresses, and for --check
  --check        perform the transcript of dig and curl, print what came back, and
                 exit 0 or 1
and all flags of up. With --check, ports that up takes by default are free ones.

examples:
  pierhead demo --dir ./example
  pierhead demo --check
`,
}

func init() { demoCommand.run = runDemo }

func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var dir string
	var check, ownAdmin, ownDNS bool
	opt, words, err := upOptions(&demoCommand, args, stdout, stderr, func(fs *flag.FlagSet) {
		fs.StringVar(&dir, "dir", "", "")
		fs.BoolVar(&check, "check", false, "")
	})
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usageError{fmt.Errorf("demo: it takes no path; write to a folder with --dir")}
	}
	for _, a := range args {
		ownAdmin = ownAdmin || hasFlag(a, "admin-listen")
		ownDNS = ownDNS || hasFlag(a, "dns-listen")
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "pierhead-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	} else if demo.Foreign(dir) {
		return usageError{fmt.Errorf("demo: --dir %q holds other files, which are left alone: name a new folder, or serve this one with pierhead up", dir)}
	}
	if check {
		opt.AnyPort = true
		if !ownAdmin {
			opt.AdminListen = "127.0.0.1:0"
		}
		if !ownDNS {
			opt.DNSListen = demo.AnyDNS
		}
	}
	log, err := os.Create(filepath.Join(dir, "access.log"))
	if err != nil {
		if err = os.MkdirAll(dir, 0o755); err == nil {
			log, err = os.Create(filepath.Join(dir, "access.log"))
		}
		if err != nil {
			return err
		}
	}
	defer log.Close()
	opt.AccessLog, opt.Source = log, file.New(dir)
	fmt.Fprintf(stdout, "the example is in %s\n", dir)
	d := demo.Demo{Dir: dir, Out: stdout, Options: opt, Show: func(w io.Writer, c *control.Control) { writeState(w, c.State()) }}
	if check {
		return d.Check(ctx)
	}
	return d.Run(ctx)
}

// hasFlag tells whether a word of the command line is the flag.
func hasFlag(word, flag string) bool {
	for _, dash := range []string{"-", "--"} {
		if word == dash+flag || len(word) > len(dash+flag) && word[:len(dash+flag)+1] == dash+flag+"=" {
			return true
		}
	}
	return false
}
