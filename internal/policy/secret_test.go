package policy

import (
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/model"
)

// TestPasswordsOfURLsAreNotTold: a URL with a password is a problem that does not
// repeat it.
func TestPasswordsOfURLsAreNotTold(t *testing.T) {
	for _, url := range []string{"https://user:s3cret@auth.example.com/", "https://user:s3cret@auth..example.com/", "https://s3cret@auth.example.com/ x"} {
		r := read(map[string]string{"auth-url": url})
		g, ps := ReadGlobal(map[string]string{"global-auth-url": url}, model.Origin{}, nil)
		text := reasons(r) + r.Closed + Route(Input{Settings: g}).Closed
		for _, p := range ps {
			text += p.String()
		}
		if strings.Count(text, "://…@") < 2 || strings.Contains(text, "s3cret") {
			t.Errorf("%s: told %s", url, text)
		}
	}
}
