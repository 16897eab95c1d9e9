package control

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/l4"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/takeover"
	"github.com/pierhead/pierhead/internal/translate"
)

// streams is what runs of the TCP and UDP ports of controllers, and of TLS connections
// that are handed on unopened. Only the goroutine of the control plane touches it.
type streams struct {
	tcp *l4.Balancer
	udp *l4.Datagrams

	config  *model.Config // that was last applied
	open    []bool        // which ports of it were to be open
	found   *findings
	failing bool // something could not be opened
}

func newStreams(e *loop.Engine, place *takeover.Place) *streams {
	return &streams{tcp: l4.New(e, l4.Config{Interval: -1}), udp: l4.NewDatagrams(place), found: &findings{}}
}

// streamKey names a port of a controller in errors, numbers and the state.
func streamKey(c *model.Controller, s *model.Stream) string {
	return fmt.Sprintf("%s %s/%d", c.Name, strings.ToLower(s.Protocol), s.Port)
}

// keyLabels takes such a key apart: controller, protocol, port.
func keyLabels(key string) (controller, protocol, port string) {
	key, _, _ = strings.Cut(key, alsoOn)
	controller, rest, _ := strings.Cut(key, " ")
	protocol, port, _ = strings.Cut(rest, "/")
	return controller, protocol, port
}

// alsoOn stands in the names of what is listened on at a further address.
const alsoOn = " on "

// stream brings the TCP and UDP ports to the plan. A port whose Service has no endpoint
// is closed, so it depends on these besides.
func (r *running) stream(p *Plan) *findings {
	open := r.openStreams(p)
	if p.Config == r.streams.config && slices.Equal(open, r.streams.open) && !r.streams.failing {
		return r.streams.found
	}
	found := &findings{listen: map[string]string{}}
	tcp, udp, origins := r.desiredStreams(p, open, found)
	errs := append(r.streams.tcp.Apply(tcp), r.streams.udp.Apply(udp)...)
	for _, f := range errs {
		found.listen[f.Key] = f.Err.Error()
		key, _, _ := strings.Cut(f.Key, alsoOn)
		found.problem(origins[key], "data", f.Listen.String(), f.Err.Error(), "free the port, or choose another one; it is tried again by itself")
	}
	r.streams.tcp.Forget(func(key string) bool {
		controller, _, _ := keyLabels(key)
		return slices.ContainsFunc(p.Config.Controllers, func(c model.Controller) bool { return c.Name == controller && len(c.HandedOn) > 0 })
	})
	r.streams.config, r.streams.open, r.streams.failing, r.streams.found = p.Config, open, len(errs) > 0, found
	if len(p.Config.LoadBalancers) > 0 {
		// Some of their ports may lead to streams. What is wrong with them apply has told.
		r.balancers.Apply(r.balanced(p))
	}
	found.problems = model.SortProblems(found.problems)
	return found
}

// openStreams tells of each port, in the order of the Config, whether it is to be open.
func (r *running) openStreams(p *Plan) (open []bool) {
	for i := range p.Config.Controllers {
		for _, s := range p.Config.Controllers[i].Streams {
			pool := r.pools.Pool(s.Upstream)
			open = append(open, pool != nil && (pool.External() || !pool.Empty()))
		}
	}
	return open
}

// desiredStreams says which ports are to be open, and tells of those that are not.
func (r *running) desiredStreams(p *Plan, open []bool, found *findings) (tcp []l4.Desired, udp []l4.DesiredUDP, origins map[string]model.Origin) {
	origins = map[string]model.Origin{}
	for i := range p.Config.Controllers {
		c := &p.Config.Controllers[i]
		for j := range c.Streams {
			s := &c.Streams[j]
			origins[streamKey(c, s)] = s.Origin
			if is := open[0]; !is {
				if r.endpoints != nil { // else translation has told it
					found.problems = append(found.problems, model.Problem{
						Origin: s.Origin, Field: fmt.Sprintf("data[%d]", s.Port), Severity: model.Warning,
						Reason: translate.NoStreamEndpoints(s), Remedy: "see why the Pods are not ready",
					})
				}
				open = open[1:]
				continue
			}
			open = open[1:]
			for key, at := range r.bindStream(p, c, s) {
				if s.Protocol == "UDP" {
					udp = append(udp, l4.DesiredUDP{Key: key, Listen: at, UDPOptions: r.udpOptions(c, s, found)})
				} else {
					tcp = append(tcp, l4.Desired{Key: key, Listen: at, Options: r.tcpOptions(c, s, found)})
				}
			}
		}
	}
	slices.SortFunc(tcp, func(a, b l4.Desired) int { return strings.Compare(a.Key, b.Key) })
	slices.SortFunc(udp, func(a, b l4.DesiredUDP) int { return strings.Compare(a.Key, b.Key) })
	return tcp, udp, origins
}

// bindStream returns where a port is bound, by key. One that a load balancer leads to
// takes any free port of loopback.
func (r *running) bindStream(p *Plan, c *model.Controller, s *model.Stream) map[string]netip.AddrPort {
	key, listener := streamKey(c, s), fmt.Sprintf("%s/%d", strings.ToLower(s.Protocol), s.Port)
	for i := range p.Config.LoadBalancers {
		b := &p.Config.LoadBalancers[i]
		if slices.Contains(b.Targets, model.Target{Controller: c.Name}) && slices.ContainsFunc(b.Ports, func(port model.LoadBalancerPort) bool { return port.Listener == listener }) {
			return map[string]netip.AddrPort{key: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)}
		}
	}
	at := map[string]netip.AddrPort{key: r.bind(c, &model.Listener{Port: s.Port}, false)}
	if also := r.opt.ListenAlso; also.IsValid() {
		at[key+alsoOn+also.String()] = netip.AddrPortFrom(also, at[key].Port())
	}
	return at
}

func (r *running) tcpOptions(c *model.Controller, s *model.Stream, found *findings) l4.Options {
	set := &c.Settings.Streams
	return l4.Options{
		Find: r.find(s.Upstream), Idle: set.Idle, Tries: set.Tries, TryFor: set.TryFor,
		ProxyIn: s.ProxyIn, ProxyV1: s.ProxyOut, Trusted: c.Settings.TrustedProxies, Ended: r.streamLog(c, s.Protocol, found),
	}
}

func (r *running) udpOptions(c *model.Controller, s *model.Stream, found *findings) l4.UDPOptions {
	set := &c.Settings.Streams
	return l4.UDPOptions{Find: r.findUDP(s.Upstream), Idle: set.Idle, Responses: set.Responses, Ended: r.streamLog(c, s.Protocol, found)}
}

// find returns what finds the endpoints of an upstream at any moment.
func (r *running) find(name string) func(*loop.Loop) []netip.AddrPort {
	return func(l *loop.Loop) []netip.AddrPort {
		pool := r.pools.Pool(name)
		if pool == nil || !pool.Resolved() && l.Await(pool.Resolve) != nil {
			return nil
		}
		return pool.Addresses()
	}
}

// findUDP is find where nobody may wait: the name of an ExternalName that nobody has
// needed for a while is looked up for the client's next datagram.
func (r *running) findUDP(name string) func() []netip.AddrPort {
	return func() []netip.AddrPort {
		pool := r.pools.Pool(name)
		if pool == nil {
			return nil
		}
		if !pool.Resolved() {
			pool.Ask()
		}
		return pool.Addresses()
	}
}

// streamStatus is nginx's for how a session ended.
var streamStatus = map[l4.Reason]int{
	l4.Done: 200, l4.Client: 200, l4.Idle: 200, l4.Drained: 200, l4.Evicted: 503,
	l4.Header: 400, l4.Source: 403, l4.Server: 502, l4.NoTarget: 502, l4.Connect: 502,
}

// streamLog returns what writes the sessions of a controller to its access log; nil:
// there is none.
func (r *running) streamLog(c *model.Controller, protocol string, found *findings) func(*l4.Session) {
	set := &c.Settings.Streams
	if !set.AccessLog {
		return nil
	}
	format, err := exchange.ParseStreamFormat(set.AccessLogFormat)
	if err != nil { // it was checked when it was read
		format, _ = exchange.ParseStreamFormat(exchange.DefaultStreamFormat)
	}
	log := r.log(c, "stream-access-log-path", set.AccessLogPath, found)
	return func(s *l4.Session) {
		status := streamStatus[s.Reason]
		if s.Reason == l4.Server && s.Out > 0 {
			status = 200
		}
		line := exchange.Session{
			Protocol: protocol, Client: s.Client, Server: s.Local, Told: s.Told, Endpoint: s.Endpoint, Status: status,
			Begin: s.Begin, End: s.End, In: s.In, Out: s.Out,
		}
		log.Add(func(b []byte) []byte { return format.Append(b, &line) })
	}
}

// passthrough returns what takes the TLS connections for server names that are handed on
// unopened; nil when there are none.
func (r *running) passthrough(c *model.Controller, l *model.Listener, found *findings) map[string]func(*loop.Conn, netip.AddrPort) {
	if len(c.HandedOn) == 0 {
		return nil
	}
	way := r.streams.tcp.Passage(fmt.Sprintf("%s tls/%d", c.Name, l.Port), l4.Options{
		Idle: c.Settings.Streams.Idle, Tries: c.Settings.Streams.Tries, TryFor: c.Settings.Streams.TryFor, Ended: r.streamLog(c, "TCP", found),
	})
	takers := map[string]func(*loop.Conn, netip.AddrPort){}
	for _, h := range c.HandedOn {
		find := r.find(h.Passthrough)
		takers[h.Name] = func(conn *loop.Conn, from netip.AddrPort) { way.Hand(conn, from, find) }
	}
	return takers
}

// streamRows tells of the ports of a controller and the names that it hands on.
func (r *running) streamRows(c *model.Controller, found *findings) (rows []admin.Stream) {
	for i := range c.Streams {
		s := &c.Streams[i]
		key := streamKey(c, s)
		row := admin.Stream{Controller: c.Name, Protocol: s.Protocol, Port: s.Port, Upstream: s.Upstream, Error: found.listen[key], Origin: s.Origin.String(), Place: s.Origin.Place()}
		addr := r.streams.tcp.Addr
		if s.Protocol == "UDP" {
			addr = r.streams.udp.Addr
		}
		if at, ok := addr(key); ok {
			row.Listen = at.String()
		} else if row.Error == "" {
			row.Error = translate.NoStreamEndpoints(s)
		}
		rows = append(rows, row)
	}
	for _, h := range c.HandedOn {
		for j := range c.Listeners {
			if l := &c.Listeners[j]; l.TLS {
				row := admin.Stream{Controller: c.Name, Protocol: "TLS", Port: l.Port, Host: h.Name, Upstream: h.Passthrough, Origin: h.Origin.String(), Place: h.Origin.Place()}
				if at, ok := r.listeners.Addr(listenerName(c, l)); ok {
					row.Listen = at.String()
				}
				rows = append(rows, row)
			}
		}
	}
	return rows
}
