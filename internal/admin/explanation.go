package admin

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Explanation is what one controller does with one request.
type Explanation struct {
	Controller  string       `json:"controller"`
	Listener    string       `json:"listener"`
	Refused     string       `json:"refused,omitempty"` // why the request is not even matched
	Host        string       `json:"host"`              // entry; "" is the catch-all
	HostWhy     string       `json:"hostWhy"`
	Certificate string       `json:"certificate,omitempty"`
	Passthrough string       `json:"passthrough,omitempty"` // the upstream that TLS connections go to unopened: nothing else is done to them
	Considered  []Considered `json:"considered"`
	Route       Considered   `json:"route"`
	Closed      string       `json:"closed,omitempty"`
	Steps       []Step       `json:"steps"`
	Upstream    string       `json:"upstream"`
	Endpoints   []string     `json:"endpoints"`
	Balance     string       `json:"balance,omitempty"` // how one of them is chosen, unless in turn
	Health      string       `json:"health,omitempty"`  // what puts endpoints out of use
	Outcome     *Outcome     `json:"outcome,omitempty"` // nil when the request is refused
}

// Considered is one route that was looked at.
type Considered struct {
	Path     string `json:"path"`
	PathType string `json:"pathType"`
	From     string `json:"from"` // object, file and line
	Taken    bool   `json:"taken"`
	Why      string `json:"why"`
}

// Step is one policy of a route, in the order in which they run.
type Step struct {
	Phase  string   `json:"phase"` // "setting" for policies without a step
	Policy string   `json:"policy"`
	Value  string   `json:"value"` // the policy as JSON
	From   []string `json:"from"`  // the values that somebody wrote; the others are defaults
}

// Outcome is what becomes of a request: an answer, or what is sent to the upstream.
type Outcome struct {
	Status   int      `json:"status,omitempty"`   // answered; 0: the upstream answers
	Redirect string   `json:"redirect,omitempty"` // where the answer leads
	Asks     string   `json:"asks,omitempty"`     // the authentication service, which is taken to let the client in
	Method   string   `json:"method,omitempty"`   // sent to the upstream
	Target   string   `json:"target,omitempty"`
	Host     string   `json:"host,omitempty"`
	Fields   []string `json:"fields,omitempty"` // fields that the client did not send so
}

// WriteText prints the explanation of a request for that URL for people.
func (e *Explanation) WriteText(w io.Writer, u *url.URL) {
	fmt.Fprintf(w, "%s\n  controller  %s, listener %s\n", u, e.Controller, e.Listener)
	if e.Refused != "" {
		fmt.Fprintln(w, "  "+e.Refused)
		return
	}
	host := e.Host
	if host == "" {
		host = "*"
	}
	fmt.Fprintf(w, "  host        %s: %s\n", host, e.HostWhy)
	if e.Passthrough != "" {
		fmt.Fprintf(w, "  passthrough TLS connections go to %s unopened; what follows is done to requests of other connections only\n", e.Passthrough)
	}
	if e.Certificate != "" {
		fmt.Fprintf(w, "  certificate %s\n", e.Certificate)
	}
	fmt.Fprintln(w, "  routes")
	for _, c := range e.Considered {
		mark := " "
		if c.Taken {
			mark = ">"
		}
		fmt.Fprintf(w, "  %s %-8s %-20s %s (%s)\n", mark, c.PathType, c.Path, c.Why, c.From)
	}
	fmt.Fprintf(w, "  route       %s %s of %s\n", e.Route.PathType, e.Route.Path, e.Route.From)
	if e.Closed != "" {
		fmt.Fprintf(w, "  CLOSED      every request is answered 503: %s\n", e.Closed)
	}
	fmt.Fprintln(w, "  steps")
	WriteSteps(w, "    ", e.Steps)
	ends := strings.Join(e.Endpoints, ", ")
	if ends == "" {
		ends = "no endpoint: 503"
	}
	if e.Upstream == "" {
		ends = "the controller answers by itself: 404"
	}
	fmt.Fprintf(w, "  upstream    %s\n", strings.TrimPrefix(e.Upstream+": "+ends, ": "))
	if e.Balance != "" {
		fmt.Fprintf(w, "  balance     %s\n", e.Balance)
	}
	if e.Health != "" {
		fmt.Fprintf(w, "  health      %s\n", e.Health)
	}
	e.Outcome.writeText(w)
}

// WriteSteps prints steps for people, with where their values were written.
func WriteSteps(w io.Writer, indent string, steps []Step) {
	for _, s := range steps {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%s%-10s %-20s %s", indent, s.Phase, s.Policy, s.Value), " "))
		for _, from := range s.From {
			fmt.Fprintf(w, "%s%-10s %-20s   %s\n", indent, "", "", from)
		}
	}
}

// writeText prints what comes of the request.
func (o *Outcome) writeText(w io.Writer) {
	if o == nil {
		return
	}
	if o.Asks != "" {
		fmt.Fprintf(w, "  asks        %s (taken to let the client in)\n", o.Asks)
	}
	if o.Status != 0 {
		fmt.Fprintf(w, "  answer      %s\n", strings.TrimSpace(fmt.Sprintf("%d %s %s", o.Status, http.StatusText(o.Status), o.Redirect)))
		return
	}
	fmt.Fprintf(w, "  sent        %s %s\n  %-11s Host: %s\n", o.Method, o.Target, "", o.Host)
	for _, f := range o.Fields {
		fmt.Fprintf(w, "  %-11s %s\n", "", f)
	}
}
