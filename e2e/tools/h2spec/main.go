// Command h2spec runs the conformance tests of the project of that name, strict ones
// included, against an HTTP/2 server. It fails when any of them fails.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/summerwind/h2spec"
	"github.com/summerwind/h2spec/config"
)

func main() {
	c := config.Config{Strict: true, Insecure: true}
	flag.BoolVar(&c.TLS, "tls", false, "connect over TLS, without a look at the certificate")
	flag.StringVar(&c.Path, "path", "/", "`path` that is asked for; POST to it must be answered too")
	flag.DurationVar(&c.Timeout, "timeout", 2*time.Second, "how long to wait for an answer")
	flag.IntVar(&c.MaxHeaderLen, "max-header-length", 4000, "length of the longest field `bytes`")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: h2spec [flags] host:port [section...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(&c, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "h2spec:", err)
		os.Exit(1)
	}
}

func run(c *config.Config, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("address is missing: must be host:port")
	}
	host, port, err := net.SplitHostPort(args[0])
	if err != nil {
		return fmt.Errorf("address %q: must be host:port", args[0])
	}
	c.Host = host
	if c.Port, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("port %q: must be a number", port)
	}
	c.Sections = args[1:]
	ok, err := h2spec.Run(c)
	if err == nil && !ok {
		err = fmt.Errorf("%s does not conform", args[0])
	}
	return err
}
