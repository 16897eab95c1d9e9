package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/routing"
	"github.com/pierhead/pierhead/internal/translate"
	"github.com/pierhead/pierhead/internal/upstream"
)

type edit = func(*networkingv1.Ingress)

func flags(f func(*translate.Flags)) func(*Options) {
	return func(o *Options) { f(&o.Translate.Default.Flags) }
}

func secretName(name string) edit {
	return func(in *networkingv1.Ingress) { in.Spec.TLS = []networkingv1.IngressTLS{{SecretName: name}} }
}

func pathType(p networkingv1.PathType) edit {
	return func(in *networkingv1.Ingress) { in.Spec.Rules[0].HTTP.Paths[0].PathType = &p }
}

func class(name string) edit {
	return func(in *networkingv1.Ingress) { in.Spec.IngressClassName = &name }
}

func deleted(in *networkingv1.Ingress) {
	in.DeletionTimestamp = ptr(metav1.NewTime(time.Unix(2000, 0)))
}

func aliased(in *networkingv1.Ingress) { in.Spec.Rules[0].Host = "a alias /x; b" }

func bucket(in *networkingv1.Ingress) {
	in.Spec.Rules[0].HTTP.Paths[0].Backend = networkingv1.IngressBackend{Resource: &corev1.TypedLocalObjectReference{Kind: "Bucket", Name: "b"}}
}

// TestRefusals: each sentence on the decisions of the reference, with the text that is
// to be told; "" is that the Ingress passes.
func TestRefusals(t *testing.T) {
	const host = "app.example.com"
	stored := made("stored", host, "/taken")
	for what, c := range map[string]struct {
		in   *networkingv1.Ingress
		want string
		more []runtime.Object
		opt  func(*Options)
	}{
		"a good one": {in: made("new", host, "/")},

		// deleted comes before everything
		"deleted":             {in: made("new", host, "/", deleted, aliased)},
		"deep: host":          {in: made("new", host, "/", aliased), want: `invalid object: spec.rules[0].host`},
		"deep: path":          {in: made("new", host, "/x root\n/y\n;"), want: `invalid object: spec.rules[0].http.paths[0].path`},
		"deep: TLS host":      {in: made("new", host, "/", func(in *networkingv1.Ingress) { in.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{"x_by_lua"}}} }), want: `invalid object: spec.tls[0].hosts[0]`},
		"deep: secret":        {in: made("new", host, "/", secretName("/var/run/secrets/x")), want: `invalid object: spec.tls[0].secretName`},
		"deep: passwd":        {in: made("new", host, "/etc/passwd"), want: "invalid object: "},
		"deep: shadow":        {in: made("new", host, "/a/etc/shadow"), want: "invalid object: "},
		"deep: group":         {in: made("new", host, "/etc/group"), want: "invalid object: "},
		"deep: nginx":         {in: made("new", host, "/etc/nginx"), want: "invalid object: "},
		"deep: controller":    {in: made("new", host, "/etc/ingress-controller"), want: "invalid object: "},
		"deep: other /etc":    {in: made("new", host, "/etc/hosts")},
		"deep: alias alone":   {in: made("new", host, "/alias")},
		"deep: ; before":      {in: made("new", host, "/;alias", pathType("ImplementationSpecific"))},
		"deep: case counts":   {in: made("new", host, "/ETC/passwd")},
		"deep: off":           {in: made("new", host, "/etc/passwd"), opt: func(o *Options) { o.DeepInspect = false }},
		"deep: another class": {in: made("new", host, "/etc/passwd", class("foreign")), want: "invalid object: "},

		// another class or namespace passes whatever it holds
		"foreign class":      {in: made("new", host, "/taken", class("foreign"), note("server-snippet", "x")), more: []runtime.Object{stored}},
		"no such class":      {in: made("new", host, "/", class("none"), note("server-snippet", "x"))},
		"class by note":      {in: made("new", host, "/", noClass, fullNote("kubernetes.io/ingress.class", "nginx"), note("server-snippet", "x")), want: "server-snippet annotation cannot be used"},
		"no class":           {in: made("new", host, "/", noClass, note("server-snippet", "x"))},
		"no class, but ours": {in: made("new", host, "/", noClass, note("server-snippet", "x")), opt: flags(func(f *translate.Flags) { f.WatchWithoutClass = true }), want: "cannot be used"},
		"not watched":        {in: made("new", host, "/", note("server-snippet", "x")), opt: flags(func(f *translate.Flags) { f.WatchNamespace = "y" })},
		"watched":            {in: made("new", host, "/", note("server-snippet", "x")), opt: flags(func(f *translate.Flags) { f.WatchNamespace = "x" }), want: "cannot be used"},

		"catch-all backend":      {in: made("new", host, "/", defaultBackend), opt: flags(noCatchAll), want: "--disable-catch-all"},
		"catch-all rule":         {in: made("new", "", "/"), opt: flags(noCatchAll), want: "--disable-catch-all"},
		"no catch-all":           {in: made("new", host, "/"), opt: flags(noCatchAll)},
		"catch-all before UID":   {in: made("new", "", "/", noUID), opt: flags(noCatchAll), want: "--disable-catch-all"},
		"no UID":                 {in: made("new", host, "/", noUID), want: "is not a UUID"},
		"bad UID":                {in: made("new", host, "/", func(in *networkingv1.Ingress) { in.UID = "../../etc/passwd0d0e5a4e-7f2a-4a0a-9d4" }), want: "is not a UUID"},
		"UID before paths":       {in: made("new", host, "/a(b)", noUID), want: "is not a UUID"},
		"strict: Prefix":         {in: made("new", host, "/a(b)"), want: "ingress contains invalid paths: path /a(b) cannot be used with pathType Prefix"},
		"strict: Exact":          {in: made("new", host, "/a|", pathType("Exact")), want: "ingress contains invalid paths: path /a| cannot be used with pathType Exact"},
		"strict: regex":          {in: made("new", host, "/a(b)|c$", pathType("ImplementationSpecific"))},
		"strict: all characters": {in: made("new", host, "/aZ09._/-")},
		"strict: off":            {in: made("new", host, "/a(b)"), more: []runtime.Object{settings("strict-validate-path-type", "false")}},
		"strict: two":            {in: made("new", host, "/a(", func(in *networkingv1.Ingress) { in.Spec.Rules = append(in.Spec.Rules, rule("b.example.com", "/b(")) }), want: "path /a( cannot be used with pathType Prefix; path /b( cannot"},

		"prefix: misuse":       {in: made("new", host, "/", note("ssl-redirect", "true")), opt: flags(otherPrefix), want: notes + "ssl-redirect"},
		"prefix: right":        {in: made("new", host, "/", fullNote("other.example.com/ssl-redirect", "true")), opt: flags(otherPrefix)},
		"prefix before words":  {in: made("new", host, "/", note("app-root", "/bad")), opt: flags(otherPrefix), more: []runtime.Object{settings("annotation-value-word-blocklist", "bad")}, want: "begin with other.example.com"},
		"words":                {in: made("new", host, "/", note("app-root", "/load_module")), more: []runtime.Object{settings("annotation-value-word-blocklist", "x, load_module")}, want: notes + "app-root annotation contains invalid word load_module"},
		"words: brace":         {in: made("new", host, "/", note("app-root", "/{")), more: []runtime.Object{settings("annotation-value-word-blocklist", "{,}")}, want: "contains invalid word {"},
		"words: other prefix":  {in: made("new", host, "/", fullNote("example.com/app-root", "/load_module")), more: []runtime.Object{settings("annotation-value-word-blocklist", "load_module")}},
		"words: none":          {in: made("new", host, "/", note("app-root", "/load_module"))},
		"words before snippet": {in: made("new", host, "/", note("server-snippet", "bad")), more: []runtime.Object{settings("annotation-value-word-blocklist", "bad")}, want: "invalid word bad"},
		"snippet":              {in: made("new", host, "/", note("configuration-snippet", "x")), want: notes + "configuration-snippet annotation cannot be used. Snippet directives are disabled by the Ingress administrator"},
		"snippet: allowed, but risky": {in: made("new", host, "/", note("configuration-snippet", "x")), more: []runtime.Object{settings("allow-snippet-annotations", "true")},
			want: "annotation group ConfigurationSnippet contains risky annotation based on ingress configuration"},
		"snippet: allowed":      {in: made("new", host, "/", note("configuration-snippet", "x")), more: []runtime.Object{settings("allow-snippet-annotations", "true", "annotations-risk-level", "Critical")}},
		"risk: High by default": {in: made("new", host, "/", note("server-alias", "alias.example.com"))},
		"risk: Medium":          {in: made("new", host, "/", note("server-alias", "alias.example.com")), more: []runtime.Object{settings("annotations-risk-level", "Medium")}, want: "annotation group Aliases contains risky annotation"},
		"risk: Low":             {in: made("new", host, "/", note("whitelist-source-range", "10.0.0.0/8")), more: []runtime.Object{settings("annotations-risk-level", "Low")}, want: "annotation group Allowlist contains risky annotation"},
		"risk: Low is low":      {in: made("new", host, "/", note("ssl-redirect", "true")), more: []runtime.Object{settings("annotations-risk-level", "Low")}},

		"invalid: rejects":      {in: made("new", host, "/", note("limit-rps", "many")), want: `metadata.annotations[` + notes + `limit-rps] = "many"`},
		"invalid: alias":        {in: made("new", host, "/", note("server-alias", "a b")), want: "the Ingress is not served"},
		"invalid: others don't": {in: made("new", host, "/", note("proxy-body-size", "much"))},
		"invalid: closes":       {in: made("new", host, "/", note("auth-type", "basic"), note("auth-secret", "missing"))},
		"not yet: canary":       {in: made("new", host, "/", note("canary", "true"))},

		"overlap":                    {in: made("new", host, "/taken"), more: []runtime.Object{stored}, want: `host "app.example.com" and path "/taken" is already defined in ingress x/stored`},
		"overlap: another path":      {in: made("new", host, "/free"), more: []runtime.Object{stored}},
		"overlap: another host":      {in: made("new", "b.example.com", "/taken"), more: []runtime.Object{stored}},
		"overlap: path type":         {in: made("new", host, "/taken", pathType("Exact")), more: []runtime.Object{stored}, want: "is already defined"},
		"overlap: empty path":        {in: made("new", host, ""), more: []runtime.Object{made("stored", host, "/")}, want: `path "/" is already defined`},
		"overlap: any host":          {in: made("new", "", "/"), more: []runtime.Object{made("stored", "", "/")}, want: `host "_" and path "/" is already defined in ingress x/stored`},
		"overlap: without a Service": {in: made("new", host, "/taken", bucket), more: []runtime.Object{stored}},
		"overlap: with such a one":   {in: made("new", host, "/taken"), more: []runtime.Object{made("stored", host, "/taken", bucket)}},
		"overlap: foreign owner":     {in: made("new", host, "/taken"), more: []runtime.Object{made("stored", host, "/taken", class("foreign"))}},
		"overlap: itself":            {in: made("stored", host, "/taken", note("ssl-redirect", "false")), more: []runtime.Object{stored}},
		"overlap: owner of old":      {in: made("stored", host, "/taken", aged(10)), more: []runtime.Object{made("stored", host, "/taken", aged(10)), made("later", host, "/taken", aged(20))}},
		"overlap: takes by age":      {in: made("stored", host, "/taken", aged(10)), more: []runtime.Object{made("stored", host, "/", aged(10)), made("later", host, "/taken", aged(20))}, want: "defined in ingress x/later"},
		"overlap: second rule": {in: made("new", host, "/free", func(in *networkingv1.Ingress) {
			in.Spec.Rules = append(in.Spec.Rules, rule("", "/x"), rule(host, "/taken"))
		}),
			more: []runtime.Object{stored}, want: "is already defined"},
		"canary":                   {in: made("new", host, "/taken", note("canary", "true")), more: []runtime.Object{stored}},
		"canary: stored":           {in: made("new", host, "/taken"), more: []runtime.Object{made("stored", host, "/taken", note("canary", "true"))}},
		"canary: two":              {in: made("new", host, "/taken", note("canary", "true")), more: []runtime.Object{stored, made("other", host, "/taken", note("canary", "true"))}, want: "is already defined in ingress x/other"},
		"canary: false skips":      {in: made("new", host, "/taken", note("canary", "false")), more: []runtime.Object{stored}},
		"canary: empty is none":    {in: made("new", host, "/taken", note("canary", "")), more: []runtime.Object{stored}, want: "is already defined"},
		"overlap after invalid":    {in: made("new", host, "/taken", note("limit-rps", "many")), more: []runtime.Object{stored}, want: "limit-rps"},
		"snippet before overlap":   {in: made("new", host, "/taken", note("server-snippet", "x")), more: []runtime.Object{stored}, want: "cannot be used"},
		"overlap: default backend": {in: made("new", "", "/"), more: []runtime.Object{made("stored", "", "/", defaultBackend, func(in *networkingv1.Ingress) { in.Spec.Rules = nil })}, want: "is already defined"},
	} {
		t.Run(what, func(t *testing.T) {
			s := serverOf(objects(t, c.more...))
			if c.opt != nil {
				s = serverOf(objects(t, c.more...), c.opt)
			}
			a := ask(t, s, c.in)
			if a.Allowed != (c.want == "") {
				t.Fatalf("allowed: %v, %+v", a.Allowed, a.Result)
			}
			if c.want == "" {
				return
			}
			if !strings.Contains(a.Result.Message, c.want) {
				t.Errorf("the message is %q, want %q", a.Result.Message, c.want)
			}
			if a.Result.Code != 400 || a.Result.Reason != metav1.StatusReasonBadRequest || a.Result.Status != metav1.StatusFailure {
				t.Errorf("the result is %+v", a.Result)
			}
		})
	}
}

func noClass(in *networkingv1.Ingress) { in.Spec.IngressClassName = nil }

func noUID(in *networkingv1.Ingress) { in.UID = "" }

func fullNote(key, value string) edit {
	return func(in *networkingv1.Ingress) { in.Annotations[key] = value }
}

func aged(seconds int64) edit {
	return func(in *networkingv1.Ingress) { in.CreationTimestamp = metav1.NewTime(time.Unix(seconds, 0)) }
}

func defaultBackend(in *networkingv1.Ingress) {
	in.Spec.DefaultBackend = ptr(rule("", "/").HTTP.Paths[0].Backend)
}

func noCatchAll(f *translate.Flags)  { f.DisableCatchAll = true }
func otherPrefix(f *translate.Flags) { f.AnnotationsPrefix = "other.example.com" }

// TestWarnings: what is told without refusing, of this object only.
func TestWarnings(t *testing.T) {
	const host = "app.example.com"
	for what, c := range map[string]struct {
		in   *networkingv1.Ingress
		want []string // parts, one of each warning, in order
		more []runtime.Object
	}{
		"nothing":        {in: made("new", host, "/")},
		"another class":  {in: made("new", host, "/", class("foreign"), note("enable-influxdb", "true"))},
		"influxdb":       {in: made("new", host, "/", note("enable-influxdb", "true"), note("influxdb-host", "h")), want: []string{"enable-influxdb", "influxdb-host"}},
		"old secret":     {in: made("new", host, "/", note("secure-verify-ca-secret", "s")), want: []string{"proxy-ssl-secret"}},
		"path types":     {in: made("new", host, "/a("), more: []runtime.Object{settings("strict-validate-path-type", "false")}, want: []string{"path /a( cannot be used with pathType Prefix"}},
		"misspelt":       {in: made("new", host, "/", note("ssl-redirct", "true")), want: []string{`did you mean "ssl-redirect"?`}},
		"worst first":    {in: made("new", host, "/", note("auth-type", "basic"), note("auth-secret", "none"), note("app-root2", "x"), note("proxy-buffering", "on")), want: []string{"503", "app-root2", "proxy-buffering"}},
		"Service":        {in: made("new", host, "/", service("none")), want: []string{"Service x/none does not exist"}},
		"another's":      {in: made("new", host, "/"), more: []runtime.Object{made("bad", "b.example.com", "/", note("ssl-redirct", "true"))}},
		"lost path type": {in: made("new", host, "/taken", note("canary", "false")), more: []runtime.Object{made("stored", host, "/taken", aged(1))}, want: []string{`path "/taken" of the host is already served by Ingress x/stored`, "not yet supported"}},
		"canary":         {in: made("new", host, "/", note("canary", "true")), want: []string{"the Ingress is not served"}},
	} {
		t.Run(what, func(t *testing.T) {
			a := ask(t, serverOf(objects(t, c.more...)), c.in)
			if !a.Allowed || len(a.Warnings) != len(c.want) {
				t.Fatalf("allowed: %v, warnings: %q; want %q", a.Allowed, a.Warnings, c.want)
			}
			for i, w := range c.want {
				if !strings.Contains(a.Warnings[i], w) {
					t.Errorf("warning %d is %q, want %q", i, a.Warnings[i], w)
				}
			}
		})
	}
}

func service(name string) edit {
	return func(in *networkingv1.Ingress) { in.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name = name }
}

// TestWarningsOfRefusals: who is refused is told the rest as well.
func TestWarningsOfRefusals(t *testing.T) {
	a := ask(t, serverOf(objects(t, made("stored", "a.example.com", "/"))), made("new", "a.example.com", "/", note("ssl-redirct", "true")))
	if a.Allowed || !slices.ContainsFunc(a.Warnings, func(w string) bool { return strings.Contains(w, "did you mean") }) {
		t.Errorf("allowed: %v, warnings: %q", a.Allowed, a.Warnings)
	}
}

// TestWarningsFit: however much is wrong, the API server hands on all that is given, and
// what is left out is counted.
func TestWarningsFit(t *testing.T) {
	in := made("new", "a.example.com", "/")
	for i := range 200 {
		in.Annotations[fmt.Sprintf("%sno-such-annotation-%d", notes, i)] = strings.Repeat("é\n", 10_000)
	}
	a := ask(t, serverOf(objects(t)), in)
	total := 0
	for _, w := range a.Warnings {
		n := utf8.RuneCountInString(w)
		if total += n; n > tightLimit || strings.ContainsAny(w, "\n\r") || !utf8.ValidString(w) {
			t.Errorf("a warning of %d letters: %q", n, w)
		}
	}
	last := a.Warnings[len(a.Warnings)-1]
	if total > allLimit || !strings.HasPrefix(last, fmt.Sprintf("and %d more", 200-len(a.Warnings)+1)) || len(a.Warnings) < 5 {
		t.Errorf("%d warnings of %d letters, the last is %q", len(a.Warnings), total, last)
	}
}

// TestHugeValues: a value of a megabyte is refused or warned of in a short text.
func TestHugeValues(t *testing.T) {
	huge := strings.Repeat("x", 1<<20)
	a := ask(t, serverOf(objects(t)), made("new", "a.example.com", "/", note("limit-rps", huge)))
	if a.Allowed || len(a.Result.Message) > 2*messageLimit {
		t.Errorf("allowed: %v, %d bytes", a.Allowed, len(a.Result.Message))
	}
	a = ask(t, serverOf(objects(t)), made("new", "a.example.com", "/", note("proxy-body-size", huge)))
	if !a.Allowed || len(a.Warnings) != 1 || len(a.Warnings[0]) > 2*warningLimit {
		t.Errorf("allowed: %v, %d warnings", a.Allowed, len(a.Warnings))
	}
}

// TestFetch: content that nobody has asked for before is fetched, and only where the
// Ingress is ours.
func TestFetch(t *testing.T) {
	var asked []translate.References
	fetch := func(o *Options) {
		o.Fetch = func(_ context.Context, refs translate.References) translate.Further {
			asked = append(asked, refs)
			return translate.Further{Objects: []runtime.Object{&corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "users"}, Data: map[string][]byte{"auth": []byte("u:{PLAIN}p\n")},
			}}}
		}
	}
	in := made("new", "a.example.com", "/", note("auth-type", "basic"), note("auth-secret", "users"))
	if a := ask(t, serverOf(objects(t)), in); len(a.Warnings) != 1 {
		t.Errorf("without the Secret: %q", a.Warnings)
	}
	s := serverOf(objects(t), fetch)
	if a := ask(t, s, in); len(a.Warnings) != 0 || len(asked) != 1 || !slices.Equal(asked[0].Secrets, []string{"x/users"}) {
		t.Errorf("with the Secret: %q, asked for %v", a.Warnings, asked)
	}
	ask(t, s, made("new", "a.example.com", "/", class("foreign"), note("auth-type", "basic"), note("auth-secret", "users")))
	ask(t, s, made("new", "a.example.com", "/"))
	if len(asked) != 1 {
		t.Errorf("asked for %v", asked)
	}
}

// TestCompile: what only compiling finds is told too, also where another Ingress makes
// the paths of the host regular expressions.
func TestCompile(t *testing.T) {
	compile := func(o *Options) {
		o.Compile = func(cfg *model.Config) (all []model.Problem) {
			pools := upstream.NewSet(nil)
			defer pools.Close()
			pools.Apply(cfg.Upstreams, upstream.DefaultKeepAlive)
			for i := range cfg.Controllers {
				_, problems := routing.Compile(&cfg.Controllers[i], routing.Env{Pools: pools.Pool, State: exchange.NewState()})
				all = append(all, problems...)
			}
			return all
		}
	}
	s := serverOf(objects(t, made("stored", "regex.example.com", "/x(?!y)", note("use-regex", "true"), pathType("ImplementationSpecific"))), compile)
	for what, c := range map[string]struct {
		in   *networkingv1.Ingress
		told int
	}{
		"a look-ahead":                     {made("new", "a.example.com", "/a(?!b)", note("use-regex", "true"), pathType("ImplementationSpecific")), 1},
		"a good pattern":                   {made("new", "a.example.com", "/a(b|c)", note("use-regex", "true"), pathType("ImplementationSpecific")), 0},
		"no pattern":                       {made("new", "a.example.com", "/a(?!b)", pathType("ImplementationSpecific")), 0},
		"a pattern by another Ingress":     {made("new", "regex.example.com", "/a(?!b)", pathType("ImplementationSpecific")), 1},
		"another's pattern is another's":   {made("new", "regex.example.com", "/a", pathType("ImplementationSpecific")), 0},
		"refused, and what is told is all": {made("new", "regex.example.com", "/x(?!y)", pathType("ImplementationSpecific")), 1},
	} {
		a := ask(t, s, c.in)
		if len(a.Warnings) != c.told {
			t.Errorf("%s: %q, want %d", what, a.Warnings, c.told)
		}
	}
}

// TestRatings: every annotation of the table has a group and a level.
func TestRatings(t *testing.T) {
	if len(ratings) < 130 {
		t.Errorf("there are %d ratings", len(ratings))
	}
	for name, r := range ratings {
		if r.group == "" || r.level < 0 || strings.Contains(name, ":") {
			t.Errorf("%s is rated %+v", name, r)
		}
	}
	if r := ratings["server-snippet"]; r != (rating{"ServerSnippet", 3}) {
		t.Errorf("server-snippet is rated %+v", r)
	}
}
