package translate

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// Flags are the flags of an ingress controller that say what it serves.
type Flags struct {
	ConfigMap              string // namespace/name
	DefaultBackendService  string // namespace/name
	DefaultSSLCertificate  string // namespace/name
	PublishService         string // namespace/name
	PublishStatusAddress   []string
	WatchNamespace         string // "" is all
	WatchNamespaceSelector string
	IngressClass           string
	IngressClassByName     bool
	ControllerClass        string
	WatchWithoutClass      bool
	AnnotationsPrefix      string
	HTTPPort               uint16
	HTTPSPort              uint16
	DisableCatchAll        bool
	DisableExternalName    bool
	TCPServices            string // namespace/name of a ConfigMap
	UDPServices            string // likewise
	SSLPassthrough         bool
	HealthzPort            uint16
	StatusPort             uint16
	Profiling              bool
	ProfilerPort           uint16
	WebhookPort            uint16 // 0: there is no webhook
}

// DefaultFlags returns the flags of a controller that is given none.
func DefaultFlags() Flags {
	return Flags{
		IngressClass:      "nginx",
		ControllerClass:   "k8s.io/ingress-nginx",
		AnnotationsPrefix: "nginx.ingress.kubernetes.io",
		HTTPPort:          80,
		HTTPSPort:         443,
		HealthzPort:       10254,
		StatusPort:        10246,
		Profiling:         true,
		ProfilerPort:      10245,
	}
}

// arg is one word of a command line and the field it was written in.
type arg struct {
	text  string
	field string
}

// flagValue is a flag as it was written.
type flagValue struct {
	name, value string
	field       string
}

// flagReader reads the flags of one controller.
type flagReader struct {
	Flags
	given map[string]flagValue // those that were written and say what is served
	own   map[string]string    // those of the process, where this is it; else nil
	tell  func(s model.Severity, field, value, reason, remedy string)
}

// newFlagReader returns a reader that has read nothing.
func newFlagReader(tell func(s model.Severity, field, value, reason, remedy string)) *flagReader {
	return &flagReader{Flags: DefaultFlags(), given: map[string]flagValue{}, tell: tell}
}

// read reads a controller's words. A flag that cannot be read keeps its default and its
// owner is told.
func (r *flagReader) read(args []arg) {
	for i := 0; i < len(args); i++ {
		word := args[i]
		if word.text == "--" {
			break
		}
		name, value, given := strings.Cut(strings.TrimLeft(word.text, "-"), "=")
		if !strings.HasPrefix(word.text, "-") || name == "" {
			r.tell(model.Warning, word.field, word.text, "this is no flag and is ignored", "write it as --name=value")
			continue
		}
		if rest, ok := strings.CutPrefix(name, "v"); ok && !given && rest != "" && strings.Trim(rest, "0123456789") == "" {
			name, value, given = "v", rest, true // -v2
		}
		f, known := knownFlags[name]
		switch {
		case given:
		case f.kind == boolFlag || !known:
			value = "true"
		case i+1 < len(args):
			i++
			value = args[i].text
		default:
			r.tell(model.Error, word.field, word.text, "the flag needs a value; ingress-nginx would not start", "write "+word.text+"=VALUE")
			continue
		}
		r.take(f, known, flagValue{name: name, value: value, field: word.field})
	}
}

// take reads one flag.
func (r *flagReader) take(f flagInfo, known bool, v flagValue) {
	word := "--" + v.name + "=" + v.value
	switch {
	case !known:
		r.tell(model.Error, v.field, word, "the flag is not known and is ignored; ingress-nginx would not start", "remove it"+nearFlag(v.name))
		return
	case f.effect == removedFlag:
		r.tell(model.Warning, v.field, word, "the flag exists no longer and is ignored; ingress-nginx of today would not start", "remove it")
		return
	}
	if err := f.check(v.value); err != nil {
		r.tell(model.Error, v.field, word, fmt.Sprintf("the value is ignored: %v; ingress-nginx would not start", err), "correct the value")
		return
	}
	if f.effect == processFlag && f.set != nil {
		f.set(&r.Flags, v.value)
	}
	switch {
	case f.effect == processFlag && r.own != nil && !f.missing:
		if had := r.own[v.name]; f.kind == listFlag && had != "" && v.value != "" {
			v.value = had + "," + v.value
		}
		r.own[v.name] = v.value
	case f.missing && r.own != nil:
		if v.value != f.off && v.value != "" {
			r.tell(model.Warning, v.field, word, "the flag is not supported yet and is ignored", "")
		}
	case f.effect == processFlag:
		r.tell(model.Info, v.field, word, "the flag has no effect here", "")
	default:
		r.given[v.name] = v
		f.set(&r.Flags, v.value)
	}
}

// nearFlag suggests the known flag that differs by its dashes only.
func nearFlag(name string) string {
	bare := strings.NewReplacer("-", "", "_", "")
	for _, known := range slices.Sorted(maps.Keys(knownFlags)) {
		if strings.EqualFold(bare.Replace(known), bare.Replace(name)) {
			return " or write --" + known
		}
	}
	return ""
}

// flagKind is the type of a flag's value.
type flagKind uint8

const (
	textFlag flagKind = iota
	boolFlag
	intFlag
	portFlag
	floatFlag
	durationFlag
	objectFlag // namespace/name
	listFlag   // words with commas between them; given again, more of them
	floatsFlag // ascending numbers with commas between them
	countFlag  // a whole number from 0
)

// flagEffect is what a flag does here.
type flagEffect uint8

const (
	processFlag flagEffect = iota // it is about the process around the controller
	served                        // it says what is served
	removedFlag                   // ingress-nginx has it no longer
)

// flagInfo is one flag that ingress-nginx has or had.
type flagInfo struct {
	kind     flagKind
	effect   flagEffect
	honoured bool   // a flag of the process that a process in a cluster reads
	missing  bool   // a flag of the process that it does not read yet
	ours     bool   // ingress-nginx does not have it
	off      string // the default, which asks for nothing
	set      func(*Flags, string)
	doc      string
}

// check tells why a value cannot be read.
func (f flagInfo) check(v string) error {
	var err error
	switch f.kind {
	case boolFlag:
		if _, e := strconv.ParseBool(v); e != nil {
			err = fmt.Errorf("%q is neither true nor false", v)
		}
	case intFlag:
		if _, e := strconv.Atoi(v); e != nil {
			err = fmt.Errorf("%q is no whole number", v)
		}
	case portFlag:
		if n, e := strconv.Atoi(v); e != nil || n < 1 || n > 65535 {
			err = fmt.Errorf("%q is no port (1 to 65535)", v)
		}
	case floatFlag:
		if _, e := strconv.ParseFloat(v, 64); e != nil {
			err = fmt.Errorf("%q is no number", v)
		}
	case durationFlag:
		if _, e := parseDuration(v); e != nil {
			err = fmt.Errorf("%q is no duration such as 30s", v)
		}
	case floatsFlag:
		err = checkFloats(v)
	case countFlag:
		if _, e := strconv.ParseUint(v, 10, 31); e != nil {
			err = fmt.Errorf("%q is no whole number from 0", v)
		}
	case objectFlag:
		if _, e := parseID(v); v != "" && e != nil {
			err = e
		}
	}
	return err
}

// mostBuckets bounds the buckets of a histogram.
const mostBuckets = 100

// checkFloats tells why a list of numbers cannot be the bounds of buckets.
func checkFloats(v string) error {
	words := strings.Split(v, ",")
	if len(words) > mostBuckets {
		return fmt.Errorf("%q holds more than %d numbers", v, mostBuckets)
	}
	last := math.Inf(-1)
	for _, w := range words {
		f, err := strconv.ParseFloat(strings.TrimSpace(w), 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%q is no number", w)
		}
		if f <= last {
			return fmt.Errorf("%q is not more than the number before it", w)
		}
		last = f
	}
	return nil
}

// parseID reads namespace/name.
func parseID(s string) (id, error) {
	ns, name, ok := strings.Cut(s, "/")
	if !ok || ns == "" || name == "" || strings.Contains(name, "/") {
		return id{}, fmt.Errorf("%q is not of the form namespace/name", s)
	}
	return id{ns, name}, nil
}
