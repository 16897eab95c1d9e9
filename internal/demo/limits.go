package demo

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// rate sends requests faster than limit-rps allows: a burst of five times the limit
// and one more passes at once, the rest is refused.
func (t *transcript) rate(ctx context.Context) error {
	const sent = 40
	t.line("for i in `seq 1 %d`; do curl -o /dev/null -w '%%{http_code} ' https://%s; done", sent, external)
	h := t.c.http(6)
	var codes []string
	count := map[int]int{}
	for range sent {
		a, err := get(ctx, h, "https://"+external)
		if err != nil {
			return err
		}
		count[a.StatusCode]++
		codes = append(codes, fmt.Sprint(a.StatusCode))
	}
	t.back("%s", strings.Join(codes, " "))
	t.expect(strings.HasPrefix(strings.Join(codes, " "), strings.TrimSpace(strings.Repeat("200 ", 26))), "a burst of 5 x 5 and one more is served")
	t.expect(count[503] > 0 && count[200]+count[503] == sent, "then 503 (%d served, %d refused)", count[200], count[503])
	return nil
}

// connections holds 25 requests of one client open and asks for a 26th.
func (t *transcript) connections(ctx context.Context) error {
	const limit = 25
	t.line("for i in `seq 1 %d`; do curl https://%s/wait & done; sleep 1; curl -v https://%s", limit, external, external)
	h := t.c.http(7)
	h.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	codes := make(chan int, limit)
	for range limit {
		go func() {
			a, err := get(ctx, h, "https://"+external+"/wait")
			if err != nil {
				codes <- 0
				return
			}
			codes <- a.StatusCode
		}()
	}
	for range limit {
		select {
		case <-t.app.waiting:
		case <-time.After(20 * time.Second):
			return fmt.Errorf("the %d requests did not all reach the application", limit)
		}
	}
	a, err := get(ctx, h, "https://"+external)
	if err != nil {
		return err
	}
	t.head(a)
	t.expect(a.StatusCode == 503, "the 26th at once is refused with 503")
	close(t.app.held)
	served := 0
	for range limit {
		if <-codes == 200 {
			served++
		}
	}
	t.expect(served == limit, "the %d others were served", limit)
	return nil
}

func (t *transcript) address(ctx context.Context) error {
	const source = 8
	h := t.c.http(source)
	t.line("curl --interface 127.0.1.%d https://%s/whoami", source, external)
	a, err := get(ctx, h, "https://"+external+"/whoami")
	if err != nil {
		return err
	}
	t.back("%s", strings.TrimSpace(a.body))
	want := "127.0.0.1"
	if ownAddresses {
		want = fmt.Sprintf("127.0.1.%d", source)
	}
	t.expect(strings.TrimSpace(a.body) == "You are: "+want, "%s, not the load balancer's own", want)
	return nil
}

// secondHost adds a host to the Ingress's file while requests go on, and asks for
// it until it answers.
func (t *transcript) secondHost(ctx context.Context) error {
	file := filepath.Join(t.dir, "nodejs-app_ingress_external.yml")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	t.c.extra[another] = t.balancer(false)[0]
	var failed, done atomic.Int64
	stop, ended, begun := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		h := t.c.http(9)
		for {
			if a, err := get(ctx, h, "http://"+internal); err != nil || a.StatusCode != 200 {
				failed.Add(1)
			}
			if done.Add(1) == 1 {
				close(begun)
			}
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	<-begun
	t.line("cat >> %s", filepath.Base(file))
	t.back("%s", strings.TrimRight(anotherRule, "\n"))
	begin := time.Now()
	if err := replace(file, append(text, anotherRule...), 0o644); err != nil {
		return err
	}
	t.line("curl -L http://%s", another)
	h := t.c.http(10)
	var a *answer
	for ; ; time.Sleep(10 * time.Millisecond) {
		if a, err = get(ctx, h, "http://"+another); err != nil || a.StatusCode != 404 || time.Since(begin) > 5*time.Second {
			break
		}
	}
	took := time.Since(begin)
	if err == nil {
		t.head(a, "Location")
		a, err = get(ctx, h, "https://"+another) // the certificate covers it too
	}
	close(stop)
	<-ended
	if err != nil {
		return err
	}
	t.head(a)
	t.back("\n%s", strings.TrimSpace(a.body))
	t.expect(a.StatusCode == 200, "200 from the same application")
	t.expect(took < time.Second, "served %d ms after the file was written", took.Milliseconds())
	t.expect(failed.Load() == 0 && done.Load() > 0, "0 of the %d requests sent meanwhile failed", done.Load())
	return nil
}

const anotherRule = `  - host: ` + another + `
    http:
      paths:
      - path: /
        backend:
          serviceName: nodejs-app-svc
          servicePort: 80
`
