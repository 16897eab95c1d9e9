package http2

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/message"
)

// TestGoClient has Go's own client use us, over TLS and in the clear, many requests
// at one time: bodies both ways, trailers, cancellations.
func TestGoClient(t *testing.T) {
	cfg := &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
		switch r.Target {
		case "/large":
			answerPattern(1<<20, 100_000)(r, w)
		case "/never":
			waitHandler(r, w)
		default:
			echo(r, w)
		}
	})}
	for _, kind := range kinds() {
		t.Run("cleartext "+string(kind), func(t *testing.T) {
			tr := &http.Transport{Protocols: new(http.Protocols)}
			tr.Protocols.SetUnencryptedHTTP2(true)
			useGoClient(t, tr, "http://"+listen(t, kind, cfg).String())
		})
		t.Run("TLS "+string(kind), func(t *testing.T) {
			tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			useGoClient(t, tr, "https://"+listenTLS(t, kind, cfg))
		})
	}
}

func useGoClient(t *testing.T, tr *http.Transport, base string) {
	client := &http.Client{Transport: tr, Timeout: 20 * time.Second}
	defer tr.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			var err error
			switch i % 4 {
			case 0:
				err = getPattern(client, base+"/large")
			case 1, 2:
				err = postEcho(client, base+"/echo", 100_000*(i%3)+i)
			case 3:
				err = cancelled(client, base+"/never")
			}
			if err != nil {
				t.Error(i, err)
			}
		})
	}
	wg.Wait()
}

func getPattern(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.ProtoMajor != 2 || !bytes.Equal(body, pattern(1<<20)) {
		return fmt.Errorf("%s: got %d bytes, not those that were sent", resp.Proto, len(body))
	}
	return nil
}

func postEcho(client *http.Client, url string, n int) error {
	body := pattern(n)
	req, err := http.NewRequest("POST", url, io.MultiReader(bytes.NewReader(body))) // of unknown length
	if err != nil {
		return err
	}
	req.Trailer = http.Header{"X-Sum": {"7"}}
	req.Header.Set("Cookie", strings.Repeat("crumb=1; ", 20)+"end=1")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, body) || resp.Trailer.Get("X-Sum") != "7" {
		return fmt.Errorf("%d bytes came back as %d, trailer %v", n, len(got), resp.Trailer)
	}
	return nil
}

func cancelled(client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	if resp, err := client.Do(req); err == nil {
		return fmt.Errorf("got %s", resp.Status)
	}
	return nil
}
