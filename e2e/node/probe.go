package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// eager is how often a readiness probe runs until it succeeds for the first time. A
// kubelet waits the whole period; tests need not.
const eager = 100 * time.Millisecond

// probe runs the container's probes until ctx is done: the startup probe first, then the
// others side by side.
func (c *container) probe(ctx context.Context, r *running) {
	if s := c.spec.StartupProbe; s != nil {
		if !c.watch(ctx, r, s, false, func(ok bool) bool {
			if !ok {
				r.again("startup probe failed")
				return false
			}
			c.set(func() { c.started = c.process == r })
			return false
		}) {
			return
		}
	}
	if l := c.spec.LivenessProbe; l != nil {
		go c.watch(ctx, r, l, false, func(ok bool) bool {
			if !ok {
				r.again("liveness probe failed")
			}
			return ok
		})
	}
	if p := c.spec.ReadinessProbe; p != nil {
		c.watch(ctx, r, p, true, func(ok bool) bool {
			c.set(func() { c.probed = ok && c.process == r })
			return true
		})
	}
}

// again asks for a restart.
func (r *running) again(reason string) {
	select {
	case r.restart <- reason:
	default: // there is a reason already
	}
}

// watch runs one probe and tells each change of its result, until told returns false or
// ctx is done. It returns whether the last result was good.
func (c *container) watch(ctx context.Context, r *running, p *corev1.Probe, hurry bool, told func(ok bool) bool) bool {
	or := func(v, otherwise int32) int32 {
		if v == 0 {
			return otherwise
		}
		return v
	}
	period, limit := time.Duration(or(p.PeriodSeconds, 10))*time.Second, time.Duration(or(p.TimeoutSeconds, 1))*time.Second
	successes, failures := or(p.SuccessThreshold, 1), or(p.FailureThreshold, 3)
	var known, result bool
	var run int32 // results in a row that differ from the known one
	if !pause(ctx, time.Duration(p.InitialDelaySeconds)*time.Second) {
		return false
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, limit)
		err := c.check(attempt, r, p.ProbeHandler)
		cancel()
		if ctx.Err() != nil {
			return known && result
		}
		ok := err == nil
		if known && ok == result {
			run = 0
		} else if run++; ok && run >= successes || !ok && run >= failures {
			known, result, run = true, ok, 0
			if !ok {
				c.pod.log.Info("probe", "container", c.spec.Name, "error", err)
			}
			if !told(ok) {
				return ok
			}
		}
		wait := period
		if hurry && !(known && result) {
			wait = min(period, eager)
		}
		if !pause(ctx, wait) {
			return known && result
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// check does what a probe asks for, once.
func (c *container) check(ctx context.Context, r *running, h corev1.ProbeHandler) error {
	switch {
	case h.HTTPGet != nil:
		return c.get(ctx, h.HTTPGet)
	case h.TCPSocket != nil:
		addr, err := c.address(h.TCPSocket.Host, h.TCPSocket.Port)
		if err != nil {
			return err
		}
		conn, err := c.pod.agent.In.Dial(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	case h.Exec != nil:
		return c.execute(ctx, r, h.Exec.Command)
	}
	return fmt.Errorf("probe: a kind that is not known here: must be httpGet, tcpSocket or exec")
}

// get asks as a kubelet asks: without a look at the certificate, from the node.
func (c *container) get(ctx context.Context, a *corev1.HTTPGetAction) error {
	addr, err := c.address(a.Host, a.Port)
	if err != nil {
		return err
	}
	scheme := "http"
	if a.Scheme == corev1.URISchemeHTTPS {
		scheme = "https"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+addr+"/"+strings.TrimPrefix(a.Path, "/"), nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "kube-probe/e2e")
	for _, h := range a.HTTPHeaders {
		if http.CanonicalHeaderKey(h.Name) == "Host" {
			request.Host = h.Value
		}
		request.Header.Add(h.Name, h.Value)
	}
	client := http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: c.pod.agent.In.Dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("%s answered %s", request.URL, response.Status)
	}
	return nil
}

// address is where a probe or a hook connects to.
func (c *container) address(host string, port intstr.IntOrString) (string, error) {
	if host == "" {
		host = c.pod.ip.String()
	}
	if port.Type == intstr.Int {
		return net.JoinHostPort(host, port.String()), nil
	}
	for _, p := range c.spec.Ports {
		if p.Name == port.StrVal {
			return net.JoinHostPort(host, fmt.Sprint(p.ContainerPort)), nil
		}
	}
	return "", fmt.Errorf("port %q: must be one of the container's ports", port.StrVal)
}

// hook runs a preStop hook.
func (c *container) hook(ctx context.Context, r *running, h *corev1.LifecycleHandler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // a process that has ended needs no farewell
		select {
		case <-r.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	switch {
	case h.Sleep != nil:
		pause(ctx, time.Duration(h.Sleep.Seconds)*time.Second)
		return nil
	case h.HTTPGet != nil:
		return c.get(ctx, h.HTTPGet)
	case h.Exec != nil:
		return c.execute(ctx, r, h.Exec.Command)
	}
	return fmt.Errorf("hook: a kind that is not known here: must be sleep, httpGet or exec")
}
