package translate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/model"
)

// TestExpand: variables are replaced as Kubernetes does.
func TestExpand(t *testing.T) {
	env := map[string]string{"NS": "web", "EMPTY": "", "LOOP": "$(NS)"}
	for in, want := range map[string]string{
		"":                          "",
		"--configmap=$(NS)/nginx":   "--configmap=web/nginx",
		"$(NS)$(NS)":                "webweb",
		"$(EMPTY)x":                 "x",
		"$(LOOP)":                   "$(NS)", // what was put in is not looked at again
		"$$(NS)":                    "$(NS)",
		"$$$(NS)":                   "$web",
		"$NS $ $":                   "$NS $ $",
		"$(NS":                      "$(NS",
		"$(GONE)/$(NS) ! GONE":      "$(GONE)/web ! GONE",
		"$()":                       "$()",
		"100%$(NS)$(GONE)$(A) ! GA": "100%web$(GONE)$(A) ! GA",
	} {
		if got, _ := expand(in, env); got != want {
			t.Errorf("expand(%q) = %q, want %q", in, got, want)
		}
	}
	if _, missing := expand("$(A)$(NS)$(B)", env); strings.Join(missing, " ") != "A B" {
		t.Errorf("missing are %v", missing)
	}
}

// TestFlags: every form in which a flag may be written.
func TestFlags(t *testing.T) {
	for line, want := range map[string]func(Flags) bool{
		"--http-port=8080":                          func(f Flags) bool { return f.HTTPPort == 8080 },
		"--http-port 8080":                          func(f Flags) bool { return f.HTTPPort == 8080 },
		"-http-port=8080":                           func(f Flags) bool { return f.HTTPPort == 8080 },
		"--watch-ingress-without-class":             func(f Flags) bool { return f.WatchWithoutClass },
		"--watch-ingress-without-class=false":       func(f Flags) bool { return !f.WatchWithoutClass },
		"--watch-ingress-without-class=T":           func(f Flags) bool { return f.WatchWithoutClass },
		"--ingress-class=a --ingress-class=b":       func(f Flags) bool { return f.IngressClass == "b" },
		"-- --http-port=1":                          func(f Flags) bool { return f.HTTPPort == 80 },
		"-v 5 --http-port=1":                        func(f Flags) bool { return f.HTTPPort == 1 },
		"--annotations-prefix=a.b":                  func(f Flags) bool { return f.AnnotationsPrefix == "a.b" },
		"--configmap=":                              func(f Flags) bool { return f.ConfigMap == "" },
		"--kubeconfig --http-port=1 --https-port=2": func(f Flags) bool { return f.HTTPPort == 80 && f.HTTPSPort == 2 },
	} {
		r := newFlagReader(func(s model.Severity, field, value, reason, remedy string) {
			if s > model.Info {
				t.Errorf("%s: %s %s", line, value, reason)
			}
		})
		r.read(words(line))
		if !want(r.Flags) {
			t.Errorf("%s gives %+v", line, r.Flags)
		}
	}
}

// TestFlagsOf: the list of flags is the one of the reference, 72 of ingress-nginx.
func TestFlagsOf(t *testing.T) {
	n := 0
	for name, f := range knownFlags {
		if f.effect == served && f.set == nil {
			t.Errorf("--%s is served and sets nothing", name)
		}
		if f.effect != removedFlag && !f.ours && !strings.Contains(" v vmodule log-dir log-file log-backtrace-at logtostderr alsologtostderr stderrthreshold log-file-max-size add-dir-header skip-headers skip-log-headers one-output ",
			" "+strings.ReplaceAll(name, "_", "-")+" ") {
			n++
		}
	}
	if n != 72 {
		t.Errorf("there are %d flags, want 72", n)
	}
}

// TestProcessFlags: a controller of a cluster gets its own flags with their defaults,
// and is told of those that have no effect and those that do not exist.
func TestProcessFlags(t *testing.T) {
	var told []string
	p := ReadProcessFlags(strings.Fields("--election-id=a --election-ttl 10s --profiling=false --shutdown-grace-period=5 --http-port=81"+
		" --sort-backends --nonsense --sync-rate-limit=1 --report-node-internal-ip-address=true --healthz-port=x"),
		func(s model.Severity, flag, reason, _ string) { told = append(told, s.String()+" "+flag) })
	if p.Text("election-id") != "a" || p.Duration("election-ttl") != 10*time.Second || p.Bool("profiling") || !p.Bool("report-node-internal-ip-address") || p.Int("shutdown-grace-period") != 5 || p.HTTPPort != 81 {
		t.Errorf("flags are %+v", p)
	}
	if p.Int("post-shutdown-grace-period") != 10 || p.Text("health-check-path") != "/healthz" || !p.Bool("update-status") || p.Int("healthz-port") != 10254 {
		t.Errorf("defaults are not those of the table")
	}
	want := []string{"warning --sort-backends=true", "error --nonsense=true", "error --healthz-port=x"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func words(line string) []arg {
	var as []arg
	for _, w := range strings.Fields(line) {
		as = append(as, arg{text: w, field: "f"})
	}
	return as
}

// FuzzWords: no text makes the readers of flags, variables and names panic; a name
// that is read is one.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"--http-port=99999 -v2 --x", "$($(A)$$", " .A.x.io. ", "*.a.b", "-=-", "--v", "---"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		newFlagReader(func(model.Severity, string, string, string, string) {}).read(words(s))
		if out, missing := expand(s, nil); len(missing) == 0 && len(out) > len(s) {
			t.Errorf("expand(%q) = %q", s, out)
		}
		name, err := readName(s)
		if err == nil && (name != strings.ToLower(name) || strings.ContainsAny(name, " ,/:\x00") || len(name) > 253 || !strings.Contains(name, ".")) {
			t.Errorf("readName(%q) = %q", s, name)
		}
		if again, err2 := readName(name); err == nil && (err2 != nil || again != name) {
			t.Errorf("readName(%q) = %q, %v", name, again, err2)
		}
	})
}

// TestListFlags: lists of numbers must be bounds of buckets; lists of words grow.
func TestListFlags(t *testing.T) {
	var told []string
	p := ReadProcessFlags(strings.Fields("--time-buckets=0.1,1,5 --size-buckets=5,4 --length-buckets=1,x --max-buckets=-1 --bucket-factor=1.1"+
		" --exclude-socket-metrics=a,b --exclude-socket-metrics c"),
		func(s model.Severity, flag, reason, _ string) { told = append(told, s.String()+" "+flag) })
	if want := []string{"error --size-buckets=5,4", "error --length-buckets=1,x", "error --max-buckets=-1"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if got := p.Floats("time-buckets"); !slices.Equal(got, []float64{0.1, 1, 5}) {
		t.Errorf("time-buckets are %v", got)
	}
	if got := p.Floats("size-buckets"); len(got) != 7 || got[6] != 1e7 {
		t.Errorf("size-buckets are %v, want the default", got)
	}
	if p.Float("bucket-factor") != 1.1 || p.Int("max-buckets") != 100 {
		t.Error("bucket-factor or max-buckets is wrong")
	}
	if got := p.List("exclude-socket-metrics"); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("exclude-socket-metrics are %q", got)
	}
}
