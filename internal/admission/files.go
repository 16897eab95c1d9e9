package admission

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// Files is a certificate in two files that somebody else renews.
type Files struct {
	cert, key string
	log       *slog.Logger
	pair      atomic.Pointer[tls.Certificate]
	texts     [2][]byte // of the files as they were last read
	said      string    // the last error that was logged
}

// readEvery is how often the files are read. They are small; a mounted Secret is
// replaced by links that most ways to be told of changes miss.
const readEvery = 5 * time.Second

// NewFiles reads a certificate with its chain and its key, both in PEM. Files that
// cannot be read yet are no error: Run reads them again.
func NewFiles(cert, key string, log *slog.Logger) *Files {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &Files{cert: cert, key: key, log: log}
	f.look()
	return f
}

// KeyPair returns the certificate of the moment.
func (f *Files) KeyPair(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if pair := f.pair.Load(); pair != nil {
		return pair, nil
	}
	return nil, errors.New("the webhook has no certificate yet")
}

// Run follows the files until ctx ends. While they cannot be used the last certificate
// stays.
func (f *Files) Run(ctx context.Context) {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.look()
		case <-ctx.Done():
			return
		}
	}
}

// look reads the files and tells once what is wrong with them.
func (f *Files) look() {
	err := f.read()
	if err == nil {
		f.said = ""
	} else if f.said != err.Error() {
		f.said = err.Error()
		f.log.Error("the certificate of the admission webhook cannot be used; the last one stays", "error", err)
	}
}

func (f *Files) read() error {
	cert, err := os.ReadFile(f.cert)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(f.key)
	if err != nil {
		return err
	}
	if bytes.Equal(cert, f.texts[0]) && bytes.Equal(key, f.texts[1]) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", f.cert, f.key, err)
	}
	f.texts = [2][]byte{cert, key}
	f.pair.Store(&pair)
	return nil
}
