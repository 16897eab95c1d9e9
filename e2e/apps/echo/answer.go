package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/websocket"
)

// Answer is what a test reads.
type Answer struct {
	Pod       string      `json:"pod"`       // the host name
	Namespace string      `json:"namespace"` // from the environment variable POD_NAMESPACE
	Client    string      `json:"client"`    // address and port of the connection
	Method    string      `json:"method"`
	URI       string      `json:"uri"` // as it was sent
	Host      string      `json:"host"`
	Proto     string      `json:"proto"`
	Header    http.Header `json:"header"`
	Body      int64       `json:"body"` // bytes received
}

// answer describes the request. The query may ask for a status, a delay, fields, and a body
// of some size instead of the description.
func (o *options) answer(w http.ResponseWriter, r *http.Request) {
	pod, err := os.Hostname()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	received, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	query := r.URL.Query()
	if d, err := time.ParseDuration(query.Get("delay")); err == nil {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
			return
		}
	}
	status := o.status
	if n, err := strconv.Atoi(query.Get("status")); err == nil && n >= 200 && n < 600 {
		status = n
	}
	w.Header().Set("X-Pod", pod)
	for _, field := range query["header"] {
		name, value, _ := strings.Cut(field, ":")
		w.Header().Add(name, value)
	}
	if n, err := strconv.Atoi(query.Get("size")); err == nil && n >= 0 {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(n))
		w.WriteHeader(status)
		for block := bytes.Repeat([]byte("0123456789abcdef"), 256); n > 0; n -= len(block) {
			if _, err := w.Write(block[:min(n, len(block))]); err != nil {
				return
			}
		}
		return
	}
	if o.text != "" && r.URL.Path != "/whoami" {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
		io.WriteString(w, o.text+"\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(Answer{Pod: pod, Namespace: os.Getenv("POD_NAMESPACE"), Client: r.RemoteAddr, Method: r.Method, URI: r.RequestURI,
		Host: r.Host, Proto: r.Proto, Header: r.Header, Body: received})
}

// file sends a file, also one that the kernel makes up and that has no size.
func file(w http.ResponseWriter, r *http.Request) {
	text, err := os.ReadFile("/" + r.PathValue("path"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Write(text)
}

// sockets are the WebSockets that are open.
type sockets struct {
	stop context.Context
	open sync.WaitGroup
}

// echo sends back every message of a WebSocket. After stop it closes it behind the next
// one, when the client waits for nothing: with status 1001, "going away".
func (s *sockets) echo(c *websocket.Conn) {
	s.open.Add(1)
	defer s.open.Done()
	name := ""
	if c.Request().FormValue("name") != "" {
		name, _ = os.Hostname()
		name += " "
	}
	for {
		var message string
		if websocket.Message.Receive(c, &message) != nil {
			return
		}
		if websocket.Message.Send(c, name+message) != nil {
			return
		}
		if s.stop.Err() != nil {
			c.WriteClose(1001)
			return
		}
	}
}

// wait returns when all are closed, or ctx is done.
func (s *sockets) wait(ctx context.Context) {
	all := make(chan struct{})
	go func() {
		s.open.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-ctx.Done():
	}
}
