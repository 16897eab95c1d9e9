package control

import (
	"crypto/tls"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/routing"
)

// hostOf returns the host that the request names.
func hostOf(r *admin.Request) string {
	for _, f := range r.Fields {
		if strings.EqualFold(f[0], "Host") {
			return f[1]
		}
	}
	return r.URL.Host
}

// pathOf returns the path as a client sends it.
func pathOf(r *admin.Request) string {
	if p := r.URL.EscapedPath(); p != "" {
		return p
	}
	return "/"
}

// outcome runs the steps of the route on the request, from rest: nothing else is
// counted against limits, and no other server is asked.
func outcome(r *routing.Route, req *admin.Request, endpoints bool) admin.Outcome {
	asked := &nobody{now: time.Now()}
	x := exchangeOf(req, asked)
	path, query, err := routing.Normalize(x.In.Target, nil)
	if err != nil {
		return admin.Outcome{Status: exchange.BadRequest.Status()}
	}
	x.Path, x.Query, x.Route = path, query, &r.Route
	for _, step := range r.Chain.Request {
		if _, ok := step.(*routing.Available); ok {
			if endpoints {
				continue
			}
			return admin.Outcome{Status: exchange.NoEndpoint.Status(), Asks: asked.url}
		}
		if reply := step.Request(x); reply != nil {
			o := admin.Outcome{Status: reply.Status, Asks: asked.url}
			for _, f := range reply.Fields {
				if f.Name == "Location" {
					o.Redirect = f.Value
				}
			}
			return o
		}
	}
	o := admin.Outcome{Method: x.Out.Method, Target: x.Out.Target, Host: x.Out.Host, Asks: asked.url}
	for i := range x.Out.Header.Len() {
		f := x.Out.Header.At(i)
		if v, ok := x.In.Header.Lookup(f.Name); !ok || v != f.Value {
			o.Fields = append(o.Fields, f.Name+": "+f.Value)
		}
	}
	return o
}

// exchangeOf makes the exchange that the request would be.
func exchangeOf(r *admin.Request, run exchange.Runtime) *exchange.Exchange {
	from := r.From
	if !from.IsValid() {
		from = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	client := netip.AddrPortFrom(from, 40000)
	in := &message.Request{Version: message.HTTP11, Method: r.Method, Scheme: r.URL.Scheme, Host: hostOf(r), Target: pathOf(r)}
	if in.Method == "" {
		in.Method = "GET"
	}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		in.Target += "?" + r.URL.RawQuery
	}
	for _, f := range r.Fields {
		if !strings.EqualFold(f[0], "Host") {
			in.Header.Add(f[0], f[1])
		}
	}
	out := &message.Request{Version: message.HTTP11, Method: in.Method, Scheme: in.Scheme, Host: in.Host, Target: in.Target}
	out.Header.CopyFrom(&in.Header)
	x := &exchange.Exchange{
		In: in, Out: out, Resp: &message.Response{}, Run: run, Start: time.Now(),
		Conn:     &exchange.Conn{Peer: client, Client: client, ServerPort: "80", Requests: 1},
		ClientIP: from, Scheme: r.URL.Scheme, Host: in.Host, Port: "80",
	}
	if r.URL.Scheme == "https" {
		x.Conn.ServerPort, x.Port = "443", "443"
		x.Conn.TLS, x.Conn.ListenerTLS = &tls.ConnectionState{Version: tls.VersionTLS13}, true
	}
	x.HostName, _, _ = routing.ParseHost(in.Host, nil)
	return x
}

// nobody is a Runtime that asks no other server and remembers which one it should
// have asked; the answer is always yes.
type nobody struct {
	now time.Time
	url string
}

func (n *nobody) Now() time.Time { return n.now }
func (n *nobody) Await(f func()) { f() }

func (n *nobody) Do(_ *exchange.Exchange, u *exchange.URL, req *message.Request, resp *message.Response) (func(), error) {
	host := u.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if u.Scheme == "http" && u.Port != 80 || u.Scheme == "https" && u.Port != 443 {
		host += ":" + strconv.Itoa(int(u.Port))
	}
	n.url = req.Method + " " + u.Scheme + "://" + host + u.Path
	resp.Status = 200
	return func() {}, nil
}
