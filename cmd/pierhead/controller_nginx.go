package main

import (
	"fmt"
	"net/http"
)

// nginx answers what nginx itself does on --status-port, for this machine alone: the
// numbers of its connections, in the text that scripts read, and whether it serves.
func (h *health) nginx() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /nginx_status", h.traffic)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /is-dynamic-lb-initialized", func(w http.ResponseWriter, _ *http.Request) {
		if h.running.Load() == nil {
			http.Error(w, (*h.waits.Load())(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "OK")
	})
	return mux
}

// traffic answers in the form of stub_status, spaces at the ends of lines included.
func (h *health) traffic(w http.ResponseWriter, _ *http.Request) {
	s := h.running.Load()
	if s == nil {
		http.Error(w, (*h.waits.Load())(), http.StatusServiceUnavailable)
		return
	}
	t := s.control.Traffic()
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, "Active connections: %d \nserver accepts handled requests\n %d %d %d \nReading: %d Writing: %d Waiting: %d \n",
		t.Active, t.Accepted, t.Accepted, t.Requests, t.Reading, t.Writing, t.Waiting)
}
