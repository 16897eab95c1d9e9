package main

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pierhead/pierhead/internal/takeover"
)

// upPlace returns the place of a process that serves these paths: others that serve the
// same ones may take it over. Where sockets cannot be handed over there is none, which is
// an error only if it was asked for.
func upPlace(paths []string, ask bool, log *slog.Logger) (*takeover.Place, error) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var all []string
	for _, p := range paths {
		abs, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		all = append(all, abs)
	}
	sum := sha256.Sum256([]byte(strings.Join(all, "\x00")))
	p, err := takeover.New("up/"+strconv.Itoa(os.Getuid())+"/"+hex.EncodeToString(sum[:12]), ask, log)
	if err != nil && !ask {
		return nil, nil
	}
	return p, err
}
