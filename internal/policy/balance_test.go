package policy

import (
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/model"
)

func TestLoadBalance(t *testing.T) {
	settings := func(value string) *Global {
		g, _ := ReadGlobal(map[string]string{"load-balance": value}, model.Origin{Kind: "ConfigMap", Name: "c"}, nil)
		return g
	}
	for _, c := range []struct {
		global string // load-balance of the ConfigMap
		notes  map[string]string
		want   model.Balancing
		told   string // part of the only problem; "": none
	}{
		{"", nil, model.Balancing{Balance: "round_robin"}, ""},
		{"ewma", nil, model.Balancing{Balance: "ewma"}, ""},
		{"ewma", map[string]string{"load-balance": "least_requests"}, model.Balancing{Balance: "least_requests"}, ""},
		{"", map[string]string{"load-balance": "EWMA"}, model.Balancing{Balance: "ewma"}, ""},
		{"", map[string]string{"load-balance": "chash"}, model.Balancing{Balance: "round_robin"}, "needs upstream-hash-by"},
		{"", map[string]string{"load-balance": "sticky_balanced"}, model.Balancing{Balance: "round_robin"}, "needs affinity"},
		{"", map[string]string{"load-balance": "sticky_balanced", "affinity": "cookie"}, model.Balancing{Balance: "round_robin"}, ""},
		{"", map[string]string{"load-balance": "least_conn"}, model.Balancing{}, "is not served"},
		{"ewma", map[string]string{"upstream-hash-by": "$request_uri"}, model.Balancing{Balance: "hash", HashBy: "$request_uri"}, ""},
		{"", map[string]string{"upstream-hash-by": "$host", "upstream-hash-by-subset": "true"}, model.Balancing{Balance: "hash", HashBy: "$host", Subset: 3}, ""},
		{"", map[string]string{"upstream-hash-by": "$host", "upstream-hash-by-subset": "true", "upstream-hash-by-subset-size": "0"}, model.Balancing{Balance: "hash", HashBy: "$host", Subset: 3}, ""},
		{"", map[string]string{"upstream-hash-by": "$host", "upstream-hash-by-subset-size": "5"}, model.Balancing{Balance: "hash", HashBy: "$host"}, ""},
		{"", map[string]string{"upstream-hash-by": "$nonsense"}, model.Balancing{}, "unknown variable"},
		{"", map[string]string{"upstream-hash-by-subset-size": "many"}, model.Balancing{}, "is not served"},
	} {
		in := Input{Origin: app, Namespace: "default", Annotations: map[string]string{}, Settings: settings(c.global)}
		for k, v := range c.notes {
			in.Annotations[DefaultPrefix+"/"+k] = v
		}
		r := Route(in)
		if refused := strings.Contains(reasons(r), "is not served"); refused != r.Reject {
			t.Errorf("%q %v: rejected %v, told so %v", c.global, c.notes, r.Reject, refused)
		}
		if !r.Reject && r.Upstream.Balancing != c.want {
			t.Errorf("%q %v: %+v, want %+v", c.global, c.notes, r.Upstream.Balancing, c.want)
		}
		if told := reasons(r); len(r.Problems) > 1 || (told == "") != (c.told == "") || !strings.Contains(told, c.told) {
			t.Errorf("%q %v: told %q, want %q", c.global, c.notes, told, c.told)
		}
	}
	_, ps := ReadGlobal(map[string]string{"load-balance": "chash"}, model.Origin{Kind: "ConfigMap", Name: "c"}, nil)
	if len(ps) != 1 || ps[0].Field != "data[load-balance]" || !strings.Contains(ps[0].Reason, "round_robin is used") {
		t.Errorf("load-balance: chash of the ConfigMap: %v; want one problem", ps)
	}
}
