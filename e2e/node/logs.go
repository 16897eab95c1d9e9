package node

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// LogsPort is where the API server asks for the output of containers.
const LogsPort = 10250

// ServeLogs answers the API server's requests for "kubectl logs" until ctx is done. It is
// the only part of a kubelet's API that there is.
func (a *Agent) ServeLogs(ctx context.Context, certificate tls.Certificate) error {
	l, err := a.In.Listen("tcp", a.Bridge.Gateway.String()+":"+strconv.Itoa(LogsPort))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", a.serveLog)
	server := &http.Server{Handler: mux, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// serveLog sends a container's output: all of it or the last lines, and what comes later
// when asked to follow.
func (a *Agent) serveLog(w http.ResponseWriter, r *http.Request) {
	f, err := os.Open(a.logFile(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container")))
	if err != nil {
		http.Error(w, "the container has not been started yet", http.StatusNotFound)
		return
	}
	defer f.Close()
	if n, err := strconv.Atoi(r.FormValue("tailLines")); err == nil {
		text, err := io.ReadAll(f)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		lines := strings.SplitAfter(string(text), "\n")
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		io.WriteString(w, strings.Join(lines[max(0, len(lines)-n):], ""))
	}
	out := http.NewResponseController(w)
	for {
		if _, err := io.Copy(w, f); err != nil {
			return
		}
		if r.FormValue("follow") != "true" || out.Flush() != nil || !pause(r.Context(), 200*time.Millisecond) {
			return
		}
	}
}
