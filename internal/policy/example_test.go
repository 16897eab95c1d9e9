package policy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/model"
)

// TestExamples runs the example of every unit: what the manual shows is true.
//
// A conversation is made of blocks, "request:", then any of "asks:" (the question
// to the service of auth-url), "told:" (its answer), "upstream:" (what is sent on),
// "answer:" and "picked:" (what the upstream answers) and "reply:". The lines below a
// block's first are fields; one with "!" in front must not be there.
func TestExamples(t *testing.T) {
	for _, u := range Units() {
		if u.Example != "" {
			t.Run(u.Name, func(t *testing.T) { runExample(t, u.Example) })
		} else if u.Apply != nil && u.Name != "upstream" && u.Name != "server-alias" && u.Name != "ssl-passthrough" && u.Name != "access-log" {
			t.Errorf("%s has no example", u.Name)
		}
	}
}

type example struct {
	t         *testing.T
	chain     exchange.Chain
	forward   exchange.Forward
	upstream  Upstream
	route     *exchange.Route
	requested int
}

func runExample(t *testing.T, text string) {
	ex := &example{t: t}
	in := Input{Origin: model.Origin{Kind: "Ingress", Namespace: "default", Name: "app"}, Namespace: "default"}
	path, conversation, forward, upstream := "/", "", "", ""
	secrets := map[string]map[string][]byte{}
	for _, f := range txtar.Parse([]byte(text)).Files {
		var data map[string]string
		kind, name, _ := strings.Cut(f.Name, " ")
		switch kind {
		case "annotations", "configmap", "secret":
			if err := yaml.Unmarshal(f.Data, &data); err != nil {
				t.Fatal(err)
			}
		}
		switch kind {
		case "annotations":
			in.Annotations = data
		case "configmap":
			var ps []model.Problem
			if in.Settings, ps = ReadGlobal(data, model.Origin{Kind: "ConfigMap", Name: "c"}, nil); len(ps) > 0 {
				t.Fatalf("the ConfigMap has problems: %v", ps)
			}
		case "secret":
			secrets["default/"+name] = map[string][]byte{}
			for k, v := range data {
				secrets["default/"+name][k] = []byte(v)
			}
		case "path":
			path = strings.TrimSpace(string(f.Data))
		case "conversation":
			conversation = string(f.Data)
		case "forward":
			forward = string(f.Data)
		case "upstream":
			upstream = string(f.Data)
		default:
			t.Fatalf("the example has a part %q", f.Name)
		}
	}
	in.Secret = func(ns, name string) (map[string][]byte, error) {
		if s := secrets[ns+"/"+name]; s != nil {
			return s, nil
		}
		return nil, errors.New("there is no such Secret")
	}
	ex.build(in, path)
	checkValues(ex.t, "forward", ex.forward, forward)
	checkValues(ex.t, "upstream", ex.upstream, upstream)
	ex.converse(conversation)
}

func (ex *example) build(in Input, path string) {
	ex.t.Helper()
	r := Route(in)
	if len(r.Problems) > 0 || r.Closed != "" || r.Reject {
		ex.t.Fatalf("problems %v, closed %q, reject %v", r.Problems, r.Closed, r.Reject)
	}
	ex.upstream = r.Upstream
	ex.route = &exchange.Route{Namespace: "default", Ingress: "app", Service: "app", Upstream: "default-app-80", Path: path, Host: "app.example.com"}
	var err error
	ex.chain, ex.forward, err = Steps(append(r.Policies, r.Host.Policies...), &Env{Route: ex.route, State: exchange.NewState()})
	if err != nil {
		ex.t.Fatal(err)
	}
}

// checkValues compares lines "Field: value" with a struct.
func checkValues(t *testing.T, what string, have any, text string) {
	for line := range strings.Lines(text) {
		name, want, _ := strings.Cut(strings.TrimSpace(line), ": ")
		f := reflect.ValueOf(have).FieldByName(name)
		if !f.IsValid() {
			t.Errorf("%T has no field %s", have, name)
		} else if got := fmt.Sprint(f.Interface()); got != want {
			t.Errorf("%s: %s is %s, want %s", what, name, got, want)
		}
	}
}

// block is one part of a conversation.
type block struct {
	word, line string
	fields     []string
}

func (ex *example) converse(text string) {
	var turn []block
	scan := bufio.NewScanner(strings.NewReader(text))
	for scan.Scan() {
		line := scan.Text()
		if strings.HasPrefix(line, "  ") && len(turn) > 0 {
			last := &turn[len(turn)-1]
			last.fields = append(last.fields, strings.TrimSpace(line))
			continue
		}
		word, rest, _ := strings.Cut(line, ":")
		if word == "request" && len(turn) > 0 {
			ex.turn(turn)
			turn = nil
		}
		turn = append(turn, block{word: word, line: strings.TrimSpace(rest)})
	}
	if len(turn) > 0 {
		ex.turn(turn)
	}
}

// service is a Runtime whose other server answers as told.
type service struct {
	asked     *message.Request
	url       exchange.URL
	told      block
	clock     time.Time
	awaited   int
	forgotten bool
}

func (s *service) Now() time.Time { return s.clock }
func (s *service) Await(f func()) { s.awaited++; f() }
func (s *service) Do(_ *exchange.Exchange, u *exchange.URL, req *message.Request, resp *message.Response) (func(), error) {
	s.url = *u
	s.asked = &message.Request{Method: req.Method, Host: req.Host, Target: req.Target, Length: req.Length, Body: req.Body}
	s.asked.Header.CopyFrom(&req.Header)
	status, err := strconv.Atoi(s.told.line)
	if err != nil {
		return nil, errors.New("connection refused")
	}
	resp.Status = status
	for _, f := range s.told.fields {
		name, value, _ := strings.Cut(f, ": ")
		resp.Header.Add(name, value)
	}
	return func() { s.forgotten = true }, nil
}

// turn runs one request, as often as it says.
func (ex *example) turn(turn []block) {
	f := strings.Fields(turn[0].line)
	from, times, open := "192.0.2.1", 1, false
	for i, w := range f[2:] {
		switch {
		case w == "from":
			from = f[2+i+1]
		case w == "open":
			open = true
		case w[0] == 'x':
			times, _ = strconv.Atoi(w[1:])
		}
	}
	for range times {
		ex.requested++
		ex.one(turn, f[0], f[1], from, open)
	}
}

func newExchange(method, url, from string, fields []string) (*exchange.Exchange, *service) {
	scheme, rest, _ := strings.Cut(url, "://")
	host, target := rest, "/"
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, target = rest[:i], rest[i:]
	}
	addr := netip.AddrPortFrom(netip.MustParseAddr(from), 40000)
	s := &service{clock: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)}
	x := &exchange.Exchange{
		In:   &message.Request{Version: message.HTTP11, Method: method, Scheme: scheme, Host: host, Target: target},
		Out:  &message.Request{},
		Resp: &message.Response{},
		Conn: &exchange.Conn{Peer: addr, Client: addr, ServerPort: "80"},
		Run:  s, HostName: withoutPort(host),
	}
	if scheme == "https" {
		x.Conn.TLS, x.Conn.ListenerTLS, x.Conn.ServerPort = &tls.ConnectionState{Version: tls.VersionTLS13}, true, "443"
	}
	path, query, _ := strings.Cut(target, "?")
	x.Path, x.Query = strings.ReplaceAll(path, "%20", " "), query
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		x.In.Header.Add(name, value)
	}
	x.Out.Method, x.Out.Host, x.Out.Target = method, host, target
	x.Out.Header.CopyFrom(&x.In.Header)
	return x, s
}

// pass runs the request half of a chain.
func pass(c *exchange.Chain, x *exchange.Exchange) *exchange.Reply {
	for _, s := range c.Request {
		if r := s.Request(x); r != nil {
			return r
		}
	}
	return nil
}

// respond makes the answer that reply stands for and runs the response half.
func respond(c *exchange.Chain, x *exchange.Exchange, r *exchange.Reply) {
	if r != nil {
		x.Resp.Status = r.Status
		for _, f := range r.Fields {
			x.Resp.Header.Add(f.Name, f.Value)
		}
	}
	for i := len(c.Response) - 1; i >= 0; i-- {
		c.Response[i].Response(x)
	}
}

func (ex *example) one(turn []block, method, url, from string, open bool) {
	t := ex.t
	x, s := newExchange(method, url, from, turn[0].fields)
	x.Route = ex.route
	find := func(word string) (block, bool) {
		for _, b := range turn {
			if b.word == word {
				return b, true
			}
		}
		return block{}, false
	}
	s.told, _ = find("told")
	at := fmt.Sprintf("request %d, %s %s", ex.requested, method, url)
	r := pass(&ex.chain, x)
	if asks, ok := find("asks"); ok {
		ex.checkAsked(at, asks, s)
	}
	sent, goesOn := find("upstream")
	if goesOn != (r == nil) {
		t.Fatalf("%s: reply %+v, want it to go on: %v", at, r, goesOn)
	}
	if goesOn {
		checkFields(t, at+": upstream", sent.fields, &x.Out.Header, map[string]string{"Host": x.Out.Host, ":path": x.Out.Target})
		x.Resp.Status = 200
		answer, _ := find("answer")
		for _, f := range answer.fields {
			name, value, _ := strings.Cut(f, ": ")
			x.Resp.Header.Add(name, value)
		}
		if picked, ok := find("picked"); ok {
			x.Affinity.Picked, x.Affinity.Fresh = picked.line, true
		}
	}
	respond(&ex.chain, x, r)
	if want, ok := find("reply"); ok {
		if got := strconv.Itoa(x.Resp.Status); got != want.line {
			t.Errorf("%s: status %s, want %s", at, got, want.line)
		}
		checkFields(t, at+": reply", want.fields, &x.Resp.Header, nil)
	}
	if !open {
		for _, l := range ex.chain.Log {
			l.Log(x)
		}
	}
}

func (ex *example) checkAsked(at string, asks block, s *service) {
	t := ex.t
	if s.asked == nil {
		t.Fatalf("%s: nobody was asked", at)
	}
	method, url, _ := strings.Cut(asks.line, " ")
	if got := fmt.Sprintf("%s://%s:%d%s", s.url.Scheme, s.url.Host, s.url.Port, s.url.Path); s.asked.Method != method || got != url {
		t.Errorf("%s: asks %s %s, want %s", at, s.asked.Method, got, asks.line)
	}
	if !s.forgotten {
		t.Errorf("%s: the service's answer is not closed", at)
	}
	checkFields(t, at+": asks", asks.fields, &s.asked.Header, nil)
}

func checkFields(t *testing.T, at string, want []string, got *message.Header, more map[string]string) {
	t.Helper()
	for _, line := range want {
		if name, absent := strings.CutPrefix(line, "!"); absent {
			if v, has := got.Lookup(name); has {
				t.Errorf("%s: has %s: %s", at, name, v)
			}
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		v, ok := more[name]
		if !ok {
			v = got.Get(name)
		}
		if v != value {
			t.Errorf("%s: %s is %q, want %q", at, name, v, value)
		}
	}
}
