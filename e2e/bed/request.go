package bed

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Status asks the controller for a host on a connection of its own.
func (b *Bed) Status(ctx context.Context, host string) (int, error) {
	transport := b.Transport()
	transport.DisableKeepAlives = true
	return StatusBy(ctx, transport, "http://"+b.Installed.Host()+"/", host)
}

// StatusBy asks for a URL under another host.
func StatusBy(ctx context.Context, transport *http.Transport, url, host string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	request.Host = host
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// Answers waits until a host is answered with a status by all Pods: as many times in a
// row as makes that likely. No status of never may come meanwhile.
func (s *Space) Answers(limit time.Duration, host string, want int, never ...int) {
	s.Helper()
	row := 0
	s.Eventually(limit, func() error {
		for ; row < 10; row++ {
			got, err := s.Bed.Status(s.Context(), host)
			for _, no := range never {
				if got == no {
					s.Fatalf("host %s is answered %d on the way to %d", host, got, want)
				}
			}
			if err != nil || got != want {
				row = 0
				return fmt.Errorf("host %s is answered %d (%v), want %d", host, got, err, want)
			}
		}
		return nil
	})
}
