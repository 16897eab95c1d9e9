package policy

import (
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/model"
)

// TestValuesNotYetServed holds that values of served keys which do not work yet are
// told, on an Ingress and in the ConfigMap, and that the others are not.
func TestValuesNotYetServed(t *testing.T) {
	for _, c := range []struct {
		key, value string
		told       bool
	}{
		{"backend-protocol", "HTTP", false},
		{"backend-protocol", "HTTPS", false},
		{"backend-protocol", "AUTO_HTTP", true},
		{"backend-protocol", "GRPC", true},
		{"backend-protocol", "GRPCS", true},
		{"backend-protocol", "FCGI", true},
		{"grpc-backend", "true", true},
		{"load-balance", "round_robin", false},
		{"load-balance", "ewma", true},
		{"auth-type", "digest", true},
		{"server-alias", "~^www", true},
	} {
		if told := strings.Contains(reasons(read(map[string]string{c.key: c.value})), notYetWords); told != c.told {
			t.Errorf("%s: %s: told to be %s: %v", c.key, c.value, notYetWords, told)
		}
	}
	_, ps := ReadGlobal(map[string]string{"load-balance": "ewma"}, model.Origin{Kind: "ConfigMap", Name: "settings"}, nil)
	if len(ps) != 1 || ps[0].Field != "data[load-balance]" || !strings.Contains(ps[0].Reason, notYetWords) {
		t.Errorf("load-balance of the ConfigMap: %v; want one problem", ps)
	}
}
