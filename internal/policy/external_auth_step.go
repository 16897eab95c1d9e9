package policy

import (
	"net/url"
	"strings"
	"sync"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
)

// externalAuthStep is ExternalAuth, ready to run.
type externalAuthStep struct {
	method     string
	withMethod bool // auth-method is set: two more fields
	ask        *exchange.Template
	fixed      *exchange.URL // of ask when it has no variables
	signin     *exchange.Template
	sep        string // what joins signin and the parameter; "" when the URL has it already
	headers    []string
	redirect   *exchange.Template
	set        []setHeader
	append     bool
}

type setHeader struct {
	name string
	text *exchange.Template
}

func newExternalAuthStep(p *ExternalAuth) (s *externalAuthStep, err error) {
	s = &externalAuthStep{method: p.Method, withMethod: p.Method != "", headers: p.ResponseHeaders, append: p.Append}
	if s.method == "" {
		s.method = "GET"
	}
	if s.ask, err = exchange.ParseTemplate(p.URL); err != nil {
		return nil, err
	}
	if s.ask.Static() {
		u, err := exchange.ParseURL(p.URL)
		if err != nil {
			return nil, err
		}
		s.fixed = &u
	}
	if s.redirect, err = exchange.ParseTemplate(p.Redirect); err != nil {
		return nil, err
	}
	if p.Signin != "" {
		if s.signin, err = exchange.ParseTemplate(p.Signin); err != nil {
			return nil, err
		}
		s.sep = signinSeparator(p.Signin, p.Param)
	}
	for _, h := range p.SetHeaders {
		t, err := exchange.ParseTemplate(h.Text)
		if err != nil {
			return nil, err
		}
		s.set = append(s.set, setHeader{h.Name, t})
	}
	return s, nil
}

// signinSeparator returns what goes between the URL and the value of the parameter,
// or "" when the URL brings the parameter itself.
func signinSeparator(signin, param string) string {
	_, query, has := strings.Cut(signin, "?")
	if !has {
		return "?" + param + "="
	}
	if values, err := url.ParseQuery(query); err == nil && values.Has(param) {
		return ""
	}
	return "&" + param + "="
}

func (*externalAuthStep) guard() {}

// asked is the memory of one question.
type asked struct {
	req  message.Request
	resp message.Response
	url  exchange.URL
}

var askedPool = sync.Pool{New: func() any { return new(asked) }}

// Request asks the service. Whatever it does not clearly allow is refused.
func (s *externalAuthStep) Request(x *exchange.Exchange) *exchange.Reply {
	a := askedPool.Get().(*asked)
	defer func() {
		a.req.Reset()
		a.resp.Reset()
		askedPool.Put(a)
	}()
	to := s.fixed
	if to == nil {
		u, err := exchange.ParseURL(s.ask.Text(x))
		if err != nil {
			return unavailable(x)
		}
		a.url = u
		to = &a.url
	}
	s.question(x, &a.req, to)
	done, err := x.Run.Do(x, to, &a.req, &a.resp)
	if err != nil {
		return unavailable(x)
	}
	r := s.answer(x, &a.resp)
	if done != nil {
		done()
	}
	return r
}

// unavailable answers when the service does not.
func unavailable(x *exchange.Exchange) *exchange.Reply {
	r := x.Answer(500)
	r.Err = exchange.AuthUnavailable
	return r
}

// question makes the request to the service: the client's fields, without its body.
func (s *externalAuthStep) question(x *exchange.Exchange, req *message.Request, to *exchange.URL) {
	in := &x.In.Header
	req.Version, req.Method, req.Scheme = message.HTTP11, s.method, to.Scheme
	req.Host, req.Target = to.Host, to.Path
	h := &req.Header
	h.CopyFrom(in)
	h.DeleteFunc(isOurs)
	h.DeleteFunc(isAlias)
	client := x.Text(x.ClientIP.AppendTo(x.Bytes()))
	full := client
	if theirs := joined(x, in); s.append && theirs != "" {
		b := append(append(x.Bytes(), theirs...), ", "...)
		full = x.Text(x.Conn.Client.Addr().Unmap().AppendTo(b))
	}
	original := append(append(x.Bytes(), x.Scheme...), "://"...)
	h.Set("X-Original-URL", x.Text(append(append(original, x.In.Host...), x.In.Target...)))
	h.Set("X-Original-Method", x.In.Method)
	h.Set("X-Sent-From", "nginx-ingress-controller")
	h.AddKnown(message.XRealIP, client)
	h.AddKnown(message.XForwardedFor, full)
	h.Set("X-Auth-Request-Redirect", fieldText(x, s.redirect))
	if x.RequestID != "" {
		h.AddKnown(message.XRequestID, x.RequestID)
	}
	if s.withMethod {
		h.Set("X-Original-URI", x.In.Target)
		h.AddKnown(message.XScheme, x.Scheme)
	}
	h.DelKnown(message.Expect)
	for i := range s.set {
		h.Set(s.set[i].name, fieldText(x, s.set[i].text))
	}
}

// answer reads the service's answer. Its texts die with it: what is kept is copied.
func (s *externalAuthStep) answer(x *exchange.Exchange, resp *message.Response) *exchange.Reply {
	if resp.Status == 401 || resp.Status == 403 || resp.Status/100 == 2 {
		keepCookies(x, resp)
	}
	switch {
	case resp.Status/100 == 2:
		for _, name := range s.headers {
			x.Granted.Add(name, keep(x, resp.Header.Get(name)))
		}
		return nil
	case resp.Status == 401 && s.signin != nil:
		return s.toSignin(x)
	case resp.Status == 401:
		r := x.Answer(401)
		for i := range resp.Header.Len() {
			if f := resp.Header.At(i); f.Known() == message.WWWAuthenticate {
				r.Add("WWW-Authenticate", keep(x, f.Value))
			}
		}
		return r
	case resp.Status == 403:
		return x.Answer(403)
	}
	return unavailable(x)
}

// toSignin sends the client to the page where it can sign in, and tells that page
// where it came from.
func (s *externalAuthStep) toSignin(x *exchange.Exchange) *exchange.Reply {
	b := clean(s.signin.Append(x.Bytes(), x))
	if s.sep != "" {
		b = append(append(b, s.sep...), x.Scheme...)
		b = append(append(b, "://"...), x.In.Host...)
		b = exchange.AppendEscaped(b, x.In.Target)
	}
	return x.Answer(302).Add("Location", x.Text(b))
}

func keepCookies(x *exchange.Exchange, resp *message.Response) {
	for i := range resp.Header.Len() {
		if f := resp.Header.At(i); f.Known() == message.SetCookie {
			x.Cookies.AddKnown(message.SetCookie, keep(x, f.Value))
		}
	}
}

// keep copies a text so that it lives as long as the exchange.
func keep(x *exchange.Exchange, s string) string {
	if s == "" {
		return ""
	}
	return x.Text(append(x.Bytes(), s...))
}

// fieldText expands a template to the value of a field.
func fieldText(x *exchange.Exchange, t *exchange.Template) string {
	if t.Static() {
		return t.String()
	}
	return x.Text(clean(t.Append(x.Bytes(), x)))
}

// clean replaces what a field value cannot hold: a variable such as $uri is decoded
// and may hold a line break.
func clean(b []byte) []byte {
	for i, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			b[i] = ' '
		}
	}
	return b
}
