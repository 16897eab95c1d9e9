package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

var healthzCommand = command{
	name:  "healthz",
	short: "ask the controller in this container whether it is ready",
	usage: `usage: pierhead healthz

Asks the process of pierhead controller --takeover in the same Pod, and no other one on
the node: two Pods in the node's network share the port of the health check while one
takes the other's place. It asks on a Unix socket that is named after the Pod, so it
needs POD_NAME and POD_NAMESPACE in the environment as the controller does.

Prints the answer. Exit 0 when the controller is ready, 1 when it is not or when there
is none.

example, as a probe of the container:
  readinessProbe:
    exec:
      command: [/pierhead, healthz]
`,
}

func init() { healthzCommand.run = healthz }

// healthzLimit is how long the answer may take; a kubelet gives up by itself.
const healthzLimit = 10 * time.Second

// ownSocket is where a controller tells its own health, on an abstract Unix socket.
func ownSocket(pod string) string { return "@pierhead/" + socketName("health", pod) }

func healthz(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	words, err := parse(flags(&healthzCommand, stdout, stderr), args)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usageError{fmt.Errorf("healthz: %q: there are no arguments", words[0])}
	}
	ns, name := os.Getenv("POD_NAMESPACE"), os.Getenv("POD_NAME")
	if ns == "" || name == "" {
		return errors.New("healthz: POD_NAME and POD_NAMESPACE are not both set; give them to the container by fieldRef")
	}
	pod := ns + "/" + name
	client := &http.Client{Timeout: healthzLimit, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", ownSocket(pod))
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://pierhead/", nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("healthz: no controller answers for Pod %s: %w; it must be pierhead controller --takeover in this container", pod, err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(stdout, io.LimitReader(answer.Body, 64<<10)); err != nil {
		return fmt.Errorf("healthz: %w", err)
	}
	fmt.Fprintln(stdout)
	if answer.StatusCode != http.StatusOK {
		return exitCode(1)
	}
	return nil
}
