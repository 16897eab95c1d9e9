package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// largestState bounds what Fetch reads: 100,000 routes are about 40 MiB.
const largestState = 256 << 20

// Fetch asks a running process for its state. addr is host:port.
func Fetch(ctx context.Context, addr string) (*State, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/api/v1/state", nil)
	if err != nil {
		return nil, fmt.Errorf("admin address %q: want host:port", addr)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, fmt.Errorf("no Pierhead answers on %s: %w; start one with pierhead up, or tell its --admin-listen with --admin", addr, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s: is it a Pierhead's admin address?", addr, resp.Status)
	}
	var s State
	if err := json.NewDecoder(io.LimitReader(resp.Body, largestState)).Decode(&s); err != nil {
		return nil, fmt.Errorf("%s did not answer with a state: %w", addr, err)
	}
	return &s, nil
}
