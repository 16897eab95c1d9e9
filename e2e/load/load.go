// Package load sends a bounded, open-loop stream of requests, as many clients of several
// kinds would, and tells each one that failed. It ends by itself.
//
// What a client may do about a closed connection is what package net/http does: a request
// without side effects that found a kept connection closed before the first byte of the
// answer is sent again. Nothing else is retried.
package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options say what is sent, and where.
type Options struct {
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	HTTP, TLS string        // host:port of both listeners
	Host      string        // of the requests
	Rate      int           // requests a second in sum, without the messages of WebSockets; default 200
	Sockets   int           // WebSockets that are held open; each sends a message every Pace
	Pace      time.Duration // default 500 ms
	Age       time.Duration // after which a WebSocket is closed by its client and opened again; 0: never
	Posts     bool          // one in eight requests is a POST, which no client sends twice
	AtMost    time.Duration // the load ends after that; default 10 minutes
}

// The kinds of clients.
const (
	Kept   = "http/1.1 kept"
	Fresh  = "http/1.1 fresh"
	H2     = "http/2 TLS"
	H2C    = "http/2 clear"
	Socket = "websocket"
)

// patience is how long a request may take.
const patience = 15 * time.Second

// Load is a load that runs.
type Load struct {
	opt     Options
	ctx     context.Context
	stop    context.CancelFunc
	clients []client
	all     sync.WaitGroup
	record  record
}

// client sends requests of one kind.
type client struct {
	kind      string
	transport *http.Transport
	url       string
}

// Start begins to send.
func Start(ctx context.Context, o Options) *Load {
	if o.Rate == 0 {
		o.Rate = 200
	}
	if o.Pace == 0 {
		o.Pace = 500 * time.Millisecond
	}
	if o.AtMost == 0 {
		o.AtMost = 10 * time.Minute
	}
	l := &Load{opt: o, record: record{begin: time.Now(), rows: map[string]*Row{}}}
	l.ctx, l.stop = context.WithTimeout(ctx, o.AtMost)
	add := func(kind, url string, change func(*http.Transport, *http.Protocols)) {
		t := &http.Transport{DialContext: o.Dial, MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: o.Host}, Protocols: new(http.Protocols)}
		change(t, t.Protocols)
		l.clients = append(l.clients, client{kind, t, url})
	}
	add(Kept, "http://"+o.HTTP+"/", func(_ *http.Transport, p *http.Protocols) { p.SetHTTP1(true) })
	add(H2, "https://"+o.TLS+"/", func(_ *http.Transport, p *http.Protocols) { p.SetHTTP1(true); p.SetHTTP2(true) })
	add(Fresh, "http://"+o.HTTP+"/", func(t *http.Transport, p *http.Protocols) { t.DisableKeepAlives = true; p.SetHTTP1(true) })
	add(H2C, "http://"+o.HTTP+"/", func(_ *http.Transport, p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
	l.all.Go(l.send)
	for n := range o.Sockets {
		l.all.Go(func() { l.socket(n) })
	}
	return l
}

// send starts a request at every tick, whatever became of those before.
func (l *Load) send() {
	tick := time.NewTicker(time.Second / time.Duration(l.opt.Rate))
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		method := http.MethodGet
		if l.opt.Posts && n/len(l.clients)%8 == 7 {
			method = http.MethodPost
		}
		c := &l.clients[n%len(l.clients)]
		l.all.Go(func() { l.record.add(c.kind, time.Now(), l.request(c, method)) })
	}
}

// request sends one request and reads its answer. It is not cut off by the end of the
// load: what was begun counts.
func (l *Load) request(c *client, method string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("some words")
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url, body)
	if err != nil {
		return err
	}
	r.Host = l.opt.Host
	answer, err := c.transport.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return fmt.Errorf("%s: body of %s: %w", method, answer.Status, err)
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s: %.200q", method, answer.Status, text)
	case !strings.HasPrefix(answer.Proto, strings.ToUpper(c.kind[:6])):
		return fmt.Errorf("%s: answered over %s", method, answer.Proto)
	}
	return nil
}

// Stop ends the load, waits for what was begun and returns the report.
func (l *Load) Stop() *Report {
	l.stop()
	l.all.Wait()
	for _, c := range l.clients {
		c.transport.CloseIdleConnections()
	}
	return l.record.report()
}

// More waits until so many further requests have been answered or have failed.
func (l *Load) More(ctx context.Context, n int) error {
	late, tick := time.NewTimer(time.Minute), time.NewTicker(20*time.Millisecond)
	defer late.Stop()
	defer tick.Stop()
	for want := l.Sent() + n; l.Sent() < want; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			return fmt.Errorf("%d requests were sent in a minute, want %d", l.Sent()+n-want, n)
		}
	}
	return nil
}

// Sent returns how many requests and messages have been answered or have failed so far.
func (l *Load) Sent() int { return l.record.sum() }
