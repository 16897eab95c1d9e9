package policy

import (
	"strings"
	"testing"
)

// TestValuesNotYetServed holds that values of served keys which do not work yet are
// told, and that the others are not.
func TestValuesNotYetServed(t *testing.T) {
	for _, c := range []struct {
		key, value string
		told       bool
	}{
		{"backend-protocol", "HTTP", false},
		{"backend-protocol", "HTTPS", false},
		{"backend-protocol", "AUTO_HTTP", true},
		{"backend-protocol", "GRPC", false},
		{"backend-protocol", "GRPCS", false},
		{"backend-protocol", "FCGI", true},
		{"grpc-backend", "true", false},
		{"auth-type", "digest", true},
		{"server-alias", "~^www", true},
	} {
		if told := strings.Contains(reasons(read(map[string]string{c.key: c.value})), notYetWords); told != c.told {
			t.Errorf("%s: %s: told to be %s: %v", c.key, c.value, notYetWords, told)
		}
	}
}
