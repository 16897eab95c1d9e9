// Command echo is the application that tests send requests to. It answers with what it
// was asked, by whom, and which Pod it is, over HTTP/1.1 and HTTP/2 without TLS, and
// sends back what it receives on a WebSocket.
//
//	/            the request as JSON; ?status= ?delay= ?size= ?header=Name:value change the answer
//	/healthz     200 once it is ready, 503 after SIGTERM
//	/env         its environment
//	/file/PATH   a file of its file system
//	/ws          echoes WebSocket messages, each with the Pod's name before it on ?name=1;
//	             after SIGTERM the connection is closed behind the next one
//
// With -text it answers with that text instead, but for /whoami, as an application of a few
// lines would, and with -status with that status. With -tls-listen it listens for TLS besides, with a
// certificate that nobody knows. With -udp-listen it answers datagrams with the Pod's name and
// what they hold.
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
	var o options
	flag.StringVar(&o.listen, "listen", ":8080", "`address` to listen on")
	flag.StringVar(&o.tlsListen, "tls-listen", "", "`address` to listen on for TLS")
	flag.StringVar(&o.udpListen, "udp-listen", "", "`address` to answer datagrams on")
	flag.StringVar(&o.text, "text", "", "answer with this `text` instead of the request")
	flag.IntVar(&o.status, "status", http.StatusOK, "the status of answers")
	flag.DurationVar(&o.startDelay, "start-delay", 0, "listen only after this time")
	flag.DurationVar(&o.readyDelay, "ready-delay", 0, "be ready this time after listening")
	flag.DurationVar(&o.stopDelay, "stop-delay", 0, "go on serving for this time after SIGTERM")
	flag.DurationVar(&o.drain, "drain", 10*time.Second, "then wait this long for requests to end")
	flag.Parse()
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	listen, tlsListen, udpListen             string
	text                                     string
	status                                   int
	startDelay, readyDelay, stopDelay, drain time.Duration
}

func run(o *options) error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if !wait(stop, o.startDelay) {
		return nil
	}
	l, err := net.Listen("tcp", o.listen)
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
	ws := &sockets{stop: stop}
	mux.Handle("/ws", websocket.Server{Handler: ws.echo}) // no look at the origin: any client is welcome
	mux.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, strings.Join(os.Environ(), "\n")) })
	mux.HandleFunc("/file/{path...}", file)
	mux.HandleFunc("/", o.answer)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: mux, Protocols: protocols}
	served := make(chan error, 2)
	go func() { served <- server.Serve(l) }()
	fmt.Println("listening on", l.Addr())
	if o.tlsListen != "" {
		l, err := listenTLS(o.tlsListen)
		if err != nil {
			return err
		}
		go func() { served <- server.Serve(l) }()
	}
	if o.udpListen != "" {
		if err := serveUDP(o.udpListen); err != nil {
			return err
		}
	}
	if wait(stop, o.readyDelay) {
		ready.Store(true)
	}
	select {
	case err := <-served:
		return err
	case <-stop.Done():
	}
	fmt.Println("stopping")
	ready.Store(false)
	time.Sleep(o.stopDelay)
	ctx, end := context.WithTimeout(context.Background(), o.drain)
	defer end()
	err = server.Shutdown(ctx)
	ws.wait(ctx)
	return err
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
