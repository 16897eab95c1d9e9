package daemonset

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// knocking opens a connection to each port every 10 ms and asks something there. A
// connection that is refused, reset or closed without an answer is a failure.
type knocking struct {
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu    sync.Mutex
	ports map[string]*knocks
}

// knocks is what became of the connections to one port.
type knocks struct {
	made   int
	failed []string
}

// knock begins, with a URL for each port.
func knock(ctx context.Context, urls map[string]string, host string) *knocking {
	k := &knocking{ports: map[string]*knocks{}}
	ctx, k.cancel = context.WithCancel(ctx)
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{
		DialContext: kube.Dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	for port, url := range urls {
		k.ports[port] = &knocks{}
		k.all.Go(func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				k.all.Go(func() { k.once(client, port, url, host) })
			}
		})
	}
	return k
}

// once is one connection. The webhook has no answer to what is no question but 400.
func (k *knocking) once(client *http.Client, port, url, host string) {
	want := http.StatusOK
	if port == "webhook" {
		want = http.StatusBadRequest
	}
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err == nil {
		request.Host = host
		var answer *http.Response
		if answer, err = client.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode != want {
				err = fmt.Errorf("%s, want status %d", answer.Status, want)
			}
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ports[port].made++; err != nil {
		k.ports[port].failed = append(k.ports[port].failed, fmt.Sprintf("at %s: %v", time.Now().Format("15:04:05.000"), err))
	}
}

// stop ends it and returns what became of all connections.
func (k *knocking) stop() map[string]*knocks {
	k.cancel()
	k.all.Wait()
	return k.ports
}
