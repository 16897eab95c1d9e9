package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/htpasswd"
	"github.com/pierhead/pierhead/internal/message"
)

var (
	authType       = Enum("auth-type", "", []string{"basic", "digest"}, "Asks for a user and a password. digest is not there yet: the paths answer 503.", bad(Reject))
	authSecret     = Reference("auth-secret", "Secret", "The users, in the namespace of the Ingress.", bad(Close))
	authSecretType = Enum("auth-secret-type", "auth-file", []string{"auth-file", "auth-map"},
		"auth-file: the key auth of the Secret is htpasswd text. auth-map: each key is a user, its value the hash.", bad(Reject))
	authRealm = Text("auth-realm", "", `[A-Za-z0-9._~/: -]*`, "text of letters, digits, spaces and ._~/:-", "What browsers show.", bad(Reject))
	noAuth    = List("no-auth-locations", []string{"/.well-known/acme-challenge"}, "path prefixes", "Paths of rules that begin with one of these ask for no password and no external authentication.", nil, only)
)

var _ = Register(Unit{
	Name: "basic-auth",
	Doc: "Lets in users of a Secret by their password; the others get 401. All formats of htpasswd are read: bcrypt, apr1, " +
		"sha256 and sha512 crypt, traditional crypt, {SHA}, {SSHA}, {PLAIN}. The upstream does not see Authorization.",
	Follows: "RFC 7617",
	Keys:    []Key{authType, authSecret, authSecretType, authRealm, noAuth},
	Apply:   applyBasicAuth,
	Example: `
-- annotations --
ingress.kubernetes.io/auth-type: basic
ingress.kubernetes.io/auth-secret: basic-auth
ingress.kubernetes.io/auth-realm: Authentication Required
-- secret basic-auth --
auth: someuser:$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0
-- conversation --
request: GET http://app.example.com/
reply: 401
  WWW-Authenticate: Basic realm="Authentication Required"
request: GET http://app.example.com/
  Authorization: Basic c29tZXVzZXI6c2VjcmV0
upstream:
  !Authorization
request: GET http://app.example.com/
  Authorization: Basic c29tZXVzZXI6d3Jvbmc=
reply: 401
`,
})

func applyBasicAuth(d *Draft) {
	switch authType.Get(d) {
	case "":
		d.Warn(authSecret, "it asks for no password without auth-type: the route is open", "set auth-type: basic")
		return
	case "digest":
		d.close("auth-type: digest is " + notYetWords)
		d.Warn(authType, "digest is "+notYetWords+": every path of the Ingress answers 503", "use auth-type: basic over https")
		return
	}
	ref, set := authSecret.Lookup(d)
	if !set {
		d.Fail(authSecret, "auth-type is set and auth-secret is not", "name a Secret with the users")
		return
	}
	if ref.Namespace == "" {
		ref.Namespace = d.in.Namespace
	}
	if ref.Namespace != d.in.Namespace {
		d.Fail(authSecret, "the Secret is in another namespace", "put the Secret into namespace "+d.in.Namespace)
		return
	}
	data, err := d.secret(ref)
	if err != nil {
		d.Fail(authSecret, fmt.Sprintf("Secret %s cannot be read: %v", ref, err), "")
		return
	}
	p := &BasicAuth{Realm: authRealm.Get(d), Secret: ref.String(), Except: noAuth.Get(d)}
	if p.users = data; authSecretType.Get(d) == "auth-file" {
		text, has := data["auth"]
		if !has {
			d.Fail(authSecret, fmt.Sprintf("Secret %s has no key \"auth\"", ref), `store the htpasswd file under "auth", or set auth-secret-type: auth-map`)
			return
		}
		p.file, p.users = text, nil
	}
	p.Digest = p.digest()
	_, bad, err := p.parse()
	if err != nil {
		d.Fail(authSecret, fmt.Sprintf("Secret %s has %v", ref, errors.Join(append([]error{err}, bad...)...)), "write one line user:hash for each user")
		return
	}
	for _, e := range bad {
		d.Warn(authSecret, fmt.Sprintf("Secret %s: %v: the line is left out", ref, e), "write the line anew with htpasswd")
	}
	d.Use(p)
	d.Use(&DropAuthorization{Except: p.Except})
}

// BasicAuth lets in users by their password. The hashes are printed nowhere.
type BasicAuth struct {
	Used
	Realm  string   `json:"realm"`
	Secret string   `json:"secret"`
	Digest string   `json:"digest"` // of the users: what tells two versions apart
	Except []string `json:"except,omitempty"`

	file  []byte            // htpasswd text, or
	users map[string][]byte // a hash for each user
}

// PolicyName returns "basic-auth".
func (*BasicAuth) PolicyName() string { return "basic-auth" }

// Phase returns Access.
func (*BasicAuth) Phase() exchange.Phase { return exchange.Access }

func (p *BasicAuth) parse() (*htpasswd.File, []error, error) {
	if p.users != nil {
		return htpasswd.ParseMap(p.users)
	}
	return htpasswd.Parse(p.file)
}

func (p *BasicAuth) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q", p.file)
	var names []string
	for name := range p.users {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(h, "%q%q", name, p.users[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Build makes the step. What was verified is remembered beyond the table, until the
// Secret changes.
func (p *BasicAuth) Build(env *Env) (any, error) {
	if under(env.Route.Path, p.Except) {
		return nil, nil
	}
	var err error
	file := exchange.Keep(env.State, "basic-auth:"+p.Secret+":"+p.Digest, func() (f *htpasswd.File) {
		f, _, err = p.parse()
		return f
	})
	if file == nil {
		return nil, errors.Join(errors.New("no users"), err)
	}
	return &basicAuthStep{users: file, asks: exchange.Reply{Status: 401, Fields: []exchange.ReplyField{
		{Name: "WWW-Authenticate", Value: `Basic realm="` + p.Realm + `"`}}}}, nil
}

type basicAuthStep struct {
	users *htpasswd.File
	asks  exchange.Reply
}

func (*basicAuthStep) guard() {}

// Request lets the user in, or asks for a password.
func (s *basicAuthStep) Request(x *exchange.Exchange) *exchange.Reply {
	v := x.In.Header.GetKnown(message.Authorization)
	user, ok := s.users.Known(v)
	if !ok && v != "" {
		var err error
		if user, err = s.users.Verify(v, x.Run.Await); err == htpasswd.ErrBusy {
			return &busyReply
		}
		ok = err == nil
	}
	if !ok {
		return &s.asks
	}
	x.User = user
	return nil
}

// busyReply is the answer while too many passwords are being verified.
var busyReply = exchange.Reply{Status: exchange.Overloaded.Status(), Err: exchange.Overloaded, Fields: []exchange.ReplyField{{Name: "Retry-After", Value: "5"}}}

// DropAuthorization keeps our users' passwords from the upstream.
type DropAuthorization struct {
	Used
	Except []string `json:"except,omitempty"`
}

// PolicyName returns "drop-authorization".
func (*DropAuthorization) PolicyName() string { return "drop-authorization" }

// Phase returns Rewrite.
func (*DropAuthorization) Phase() exchange.Phase { return exchange.Rewrite }

// Build makes the step.
func (p *DropAuthorization) Build(env *Env) (any, error) {
	if under(env.Route.Path, p.Except) {
		return nil, nil
	}
	return p, nil
}

// Request removes the field.
func (*DropAuthorization) Request(x *exchange.Exchange) *exchange.Reply {
	x.Out.Header.DelKnown(message.Authorization)
	return nil
}
