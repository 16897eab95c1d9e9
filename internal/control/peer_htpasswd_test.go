package control

import (
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
)

// TestPeerHtpasswd lets in the users that htpasswd wrote, in each of its formats, by
// their passwords alone.
func TestPeerHtpasswd(t *testing.T) {
	formats := map[string]string{"md5": "-m", "bcrypt": "-B", "sha1": "-s", "crypt": "-d", "sha256": "-2", "sha512": "-5"}
	const password = "pa:s wö" // 8 bytes: traditional crypt looks at no more
	all := ""
	for name, flag := range formats {
		got := run(t, nil, "htpasswd", "-nb", flag, name, password)
		if got.exit != 0 {
			t.Fatalf("htpasswd %s: %s", flag, got.stderr)
		}
		all += got.stdout
	}
	bare := run(t, nil, "htpasswd", "-nb", "-p", "bare", password).stdout
	onEngines(t, func(t *testing.T, kind loop.Kind) {
		s := serve(t, kind, map[string]string{
			"app.yaml":   serviceAt("app", newOrigin(t).addr.String()),
			"auth.yaml":  ingressFor("auth", "auth.example.com", "/", "app", "auth-type: basic", "auth-secret: users", "auth-realm: Members"),
			"bare.yaml":  ingressFor("bare", "bare.example.com", "/", "app", "auth-type: basic", "auth-secret: bare"),
			"users.yaml": usersSecret("users", all+bare) + usersSecret("bare", bare),
		})
		const url = "http://auth.example.com/"
		if got := s.curl(url).want(t, 401).field("WWW-Authenticate"); got != `Basic realm="Members"` {
			t.Errorf("WWW-Authenticate: %s", got)
		}
		for name := range formats {
			t.Run(name, func(t *testing.T) {
				s.curl("--user", name+":wrong", url).want(t, 401)
				if body := s.curl("--user", name+":"+password, url).want(t, 200).body; strings.Contains(body, "Authorization") {
					t.Errorf("the app saw the password:\n%s", body)
				}
				s.curl("--user", name+":"+password, url).want(t, 200) // it is remembered now
				s.curl("--user", name+":"+password[1:], url).want(t, 401)
				s.curl("--user", name+":", url).want(t, 401)
			})
		}
		// As with nginx, a hash is never a password: not even one that is in clear.
		t.Run("plain", func(t *testing.T) {
			s.curl("--user", "bare:"+password, url).want(t, 401)
			s.curl("--user", "bare:"+password, "http://bare.example.com/").want(t, 503)
			told := 0
			for _, p := range s.State().Problems {
				if strings.Contains(p.Reason, `user "bare"`) && strings.HasSuffix(p.Field, "auth-secret]") {
					told++
				}
				if strings.Contains(p.String(), password) {
					t.Errorf("the problem holds a password: %s", p)
				}
			}
			if told != 2 {
				t.Errorf("%d problems tell about the user that is left out, want one for each Ingress: %v", told, s.State().Problems)
			}
		})
		t.Run("new password", func(t *testing.T) {
			s.changeAndWait("users.yaml", usersSecret("users", run(t, nil, "htpasswd", "-nb", "-B", "bcrypt", "another").stdout))
			s.curl("--user", "bcrypt:"+password, url).want(t, 401)
			s.curl("--user", "bcrypt:another", url).want(t, 200)
			s.curl("--user", "sha1:"+password, url).want(t, 401)
		})
	})
}

// usersSecret is a Secret with the text of an htpasswd file.
func usersSecret(name, text string) string {
	return "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: default}\nstringData:\n  auth: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
}
