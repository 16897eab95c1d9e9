package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
)

var authMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"}

// authKeys are the keys of external authentication, of an Ingress or of the whole
// controller.
type authKeys struct {
	url, method, signin, param, redirect *Value[string]
	headers                              *Value[[]string]
	cookie                               *Value[bool]
}

var (
	ownAuth = authKeys{
		url:      URL("auth-url", "The service that is asked for each request.", bad(Close)),
		method:   Enum("auth-method", "", authMethods, "The method it is asked with; GET when it is not set.", bad(Close)),
		signin:   URL("auth-signin", "Where a 401 of the service sends the client.", also("auth-signin-url", "signin-url")),
		param:    Text("auth-signin-redirect-param", "rd", "[A-Za-z0-9._~-]+", "parameter name", "The parameter added to auth-signin: the URL the client asked for."),
		headers:  List("auth-response-headers", nil, "header names", "Fields of the service's answer that are sent to the upstream in place of the client's.", fieldName, bad(Close)),
		redirect: Variables("auth-request-redirect", "$request_uri", "The service gets it as X-Auth-Request-Redirect.", bad(Close)),
		cookie:   Bool("auth-always-set-cookie", false, "Pass on Set-Cookie of the service with answers of every status, not only 2xx and 3xx.", bad(Close)),
	}
	allAuth = authKeys{
		url:      URL("global-auth-url", "As auth-url, for every Ingress without one.", only, bad(Close)),
		method:   Enum("global-auth-method", "", authMethods, "As auth-method.", only, bad(Close)),
		signin:   URL("global-auth-signin", "As auth-signin.", only),
		param:    Text("global-auth-signin-redirect-param", "rd", "[A-Za-z0-9._~-]+", "parameter name", "As auth-signin-redirect-param.", only),
		headers:  List("global-auth-response-headers", nil, "header names", "As auth-response-headers.", fieldName, only, bad(Close)),
		redirect: Variables("global-auth-request-redirect", "$request_uri", "As auth-request-redirect.", only, bad(Close)),
		cookie:   Bool("global-auth-always-set-cookie", false, "As auth-always-set-cookie.", only, bad(Close)),
	}
	authSetHeaders = Reference("auth-proxy-set-headers", "ConfigMap", "Fields for the service: names and values, which may hold variables.", bad(Close))
	useGlobalAuth  = Bool("enable-global-auth", true, "false frees the Ingress from global-auth-url.", bad(Default))
)

func (k *authKeys) list() []Key {
	return []Key{k.url, k.method, k.signin, k.param, k.headers, k.redirect, k.cookie}
}

var _ = Register(Unit{
	Name: "external-auth",
	Doc: "Asks another service about each request, before anything is sent on. 2xx lets the client in; 401 and 403 go to the " +
		"client, 401 as a redirect when auth-signin is set; anything else, or no answer, is 500. " +
		"The service gets the client's fields without the body, and X-Original-URL and X-Original-Method.",
	Follows: "nginx auth_request",
	Keys:    append(append(ownAuth.list(), allAuth.list()...), authSetHeaders, useGlobalAuth, noAuth),
	Apply:   applyExternalAuth,
	Example: `
-- annotations --
ingress.kubernetes.io/auth-url: https://$host/oauth2/auth
ingress.kubernetes.io/signin-url: https://$host/oauth2/sign_in
nginx.ingress.kubernetes.io/auth-response-headers: X-Auth-User
-- conversation --
request: GET https://app.example.com/a?b=c
  Cookie: session=1
asks: GET https://app.example.com:443/oauth2/auth
  X-Original-URL: https://app.example.com/a?b=c
  X-Original-Method: GET
  X-Auth-Request-Redirect: /a?b=c
  Cookie: session=1
told: 202
  X-Auth-User: alice
  Set-Cookie: session=2
upstream:
  X-Auth-User: alice
reply: 200
  Set-Cookie: session=2
request: GET https://app.example.com/a?b=c
  X-Auth-User: mallory
told: 401
reply: 302
  Location: https://app.example.com/oauth2/sign_in?rd=https://app.example.com%2Fa%3Fb%3Dc
request: GET https://app.example.com/
told: 403
reply: 403
request: GET https://app.example.com/
told: 302
reply: 500
request: GET https://app.example.com/
told: nothing
reply: 500
`,
})

func applyExternalAuth(d *Draft) {
	k := &ownAuth
	if !ownAuth.url.Own(d) {
		if k = &allAuth; !useGlobalAuth.Get(d) {
			return
		}
	}
	url := k.url.Get(d)
	if url == "" {
		d.Warn(ownAuth.signin, "it does nothing without auth-url: nobody is asked", "set auth-url")
		return
	}
	p := &ExternalAuth{
		URL: url, Method: k.method.Get(d), Signin: k.signin.Get(d), Param: k.param.Get(d),
		ResponseHeaders: canonical(k.headers.Get(d)), Redirect: k.redirect.Get(d), Except: noAuth.Get(d),
		Append: fullForwardedFor.Get(d) && forwardedHeaders.Get(d),
	}
	if ref, set := authSetHeaders.Lookup(d); set && !p.takeHeaders(d, ref) {
		return
	}
	d.Use(p)
	if len(p.ResponseHeaders) > 0 {
		d.Use(&GrantedHeaders{Names: p.ResponseHeaders})
	}
	d.Use(&AuthCookies{Always: k.cookie.Get(d)})
}

// canonical returns field names as they are usually written.
func canonical(names []string) []string {
	var list []string
	for _, n := range names {
		list = append(list, http.CanonicalHeaderKey(n))
	}
	return list
}

// takeHeaders reads the ConfigMap of auth-proxy-set-headers.
func (p *ExternalAuth) takeHeaders(d *Draft, ref Ref) bool {
	if ref.Namespace == "" {
		ref.Namespace = d.in.Namespace
	}
	if ref.Namespace != d.in.Namespace {
		d.Fail(authSetHeaders, "the ConfigMap is in another namespace", "put the ConfigMap into namespace "+d.in.Namespace)
		return false
	}
	data, err := d.configMap(ref)
	if err != nil {
		d.Fail(authSetHeaders, fmt.Sprintf("ConfigMap %s cannot be read: %v", ref, err), "")
		return false
	}
	for name, value := range data {
		_, err := exchange.ParseTemplate(value)
		if err == nil {
			err = fieldName(name)
		}
		if err != nil {
			d.Fail(authSetHeaders, fmt.Sprintf("ConfigMap %s: %v", ref, err), "")
			return false
		}
		p.SetHeaders = append(p.SetHeaders, HeaderText{name, value})
	}
	slices.SortFunc(p.SetHeaders, func(a, b HeaderText) int { return strings.Compare(a.Name, b.Name) })
	return true
}

// HeaderText is a field whose value may hold variables.
type HeaderText struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// ExternalAuth asks another service about each request.
type ExternalAuth struct {
	Used
	URL             string       `json:"url"`
	Method          string       `json:"method,omitempty"`
	Signin          string       `json:"signin,omitempty"`
	Param           string       `json:"param,omitempty"`
	ResponseHeaders []string     `json:"responseHeaders,omitempty"`
	Redirect        string       `json:"redirect,omitempty"`
	SetHeaders      []HeaderText `json:"setHeaders,omitempty"`
	Except          []string     `json:"except,omitempty"`
	Append          bool         `json:"append,omitempty"` // to X-Forwarded-For
}

// PolicyName returns "external-auth".
func (*ExternalAuth) PolicyName() string { return "external-auth" }

// Phase returns Access.
func (*ExternalAuth) Phase() exchange.Phase { return exchange.Access }

// Build makes the step.
func (p *ExternalAuth) Build(env *Env) (any, error) {
	if under(env.Route.Path, p.Except) {
		return nil, nil
	}
	return newExternalAuthStep(p)
}

// GrantedHeaders gives the upstream the fields that external authentication named.
// What the client sent under these names never passes, also where nobody was asked:
// another guard was enough, or the path is exempt.
type GrantedHeaders struct {
	Used
	Names []string `json:"names"`
}

// PolicyName returns "granted-headers".
func (*GrantedHeaders) PolicyName() string { return "granted-headers" }

// Phase returns Rewrite: only now is anything changed.
func (*GrantedHeaders) Phase() exchange.Phase { return exchange.Rewrite }

// Build makes the step.
func (p *GrantedHeaders) Build(*Env) (any, error) { return p, nil }

// Request replaces the client's fields, also by nothing.
func (p *GrantedHeaders) Request(x *exchange.Exchange) *exchange.Reply {
	h := &x.Out.Header
	for _, name := range p.Names {
		h.DeleteFunc(func(f *message.Field) bool { return alias(f.Name, name) })
		if v := x.Granted.Get(name); v != "" {
			h.Add(name, v)
		}
	}
	return nil
}

// AuthCookies passes cookies of external authentication on to the client.
type AuthCookies struct {
	Used
	Always bool `json:"always,omitempty"`
}

// PolicyName returns "auth-cookies".
func (*AuthCookies) PolicyName() string { return "auth-cookies" }

// Phase returns Respond.
func (*AuthCookies) Phase() exchange.Phase { return exchange.Respond }

// Build makes the step.
func (p *AuthCookies) Build(*Env) (any, error) { return p, nil }

// Response adds the cookies.
func (p *AuthCookies) Response(x *exchange.Exchange) {
	if !p.Always {
		switch x.Resp.Status {
		case 200, 201, 204, 206, 301, 302, 303, 304, 307, 308:
		default:
			return
		}
	}
	for i := range x.Cookies.Len() {
		x.Resp.Header.Add("Set-Cookie", x.Cookies.At(i).Value)
	}
}
