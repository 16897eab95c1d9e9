// Command echo is the application that tests send requests to. It answers with what it
// was asked, by whom, and which Pod it is, over HTTP/1.1 and HTTP/2 without TLS, and
// sends back what it receives on a WebSocket.
//
//	/            the request as JSON; ?status= ?delay= ?size= change the answer
//	/healthz     200 once it is ready, 503 after SIGTERM
//	/env         its environment
//	/file/PATH   a file of its file system
//	/ws          echoes WebSocket messages, each with the Pod's name before it on ?name=1
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/websocket"
)

func main() {
	listen := flag.String("listen", ":8080", "`address` to listen on")
	startDelay := flag.Duration("start-delay", 0, "listen only after this time")
	readyDelay := flag.Duration("ready-delay", 0, "be ready this time after listening")
	stopDelay := flag.Duration("stop-delay", 0, "go on serving for this time after SIGTERM")
	drain := flag.Duration("drain", 10*time.Second, "then wait this long for requests to end")
	flag.Parse()
	if err := run(*listen, *startDelay, *readyDelay, *stopDelay, *drain); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func run(listen string, startDelay, readyDelay, stopDelay, drain time.Duration) error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if !wait(stop, startDelay) {
		return nil
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	var ready atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		}
	})
	mux.Handle("/ws", websocket.Server{Handler: echoMessages}) // no look at the origin: any client is welcome
	mux.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, strings.Join(os.Environ(), "\n")) })
	mux.HandleFunc("/file/{path...}", file)
	mux.HandleFunc("/", answer)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: mux, Protocols: protocols}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	fmt.Println("listening on", l.Addr())
	if wait(stop, readyDelay) {
		ready.Store(true)
	}
	select {
	case err := <-served:
		return err
	case <-stop.Done():
	}
	fmt.Println("stopping")
	ready.Store(false)
	time.Sleep(stopDelay)
	ctx, end := context.WithTimeout(context.Background(), drain)
	defer end()
	return server.Shutdown(ctx)
}

// wait returns false when ctx was done first.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
