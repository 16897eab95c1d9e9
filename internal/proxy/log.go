package proxy

import (
	"slices"

	"github.com/pierhead/pierhead/internal/exchange"
)

// logFormat is the compiled access log format of a loop, made again when the
// settings ask for another one.
type logFormat struct {
	text, escape string
	line         *exchange.LogFormat
}

// of returns the format that a table asks for. A text that cannot be read was told
// as a problem when the table was made; the default line is written then, since no
// log at all would be worse.
func (f *logFormat) of(text, escape string) *exchange.LogFormat {
	if f.line != nil && f.text == text && f.escape == escape {
		return f.line
	}
	f.text, f.escape = text, escape
	if text != "" {
		if line, err := exchange.ParseLogFormat(text, escape); err == nil {
			f.line = line
			return line
		}
	}
	f.line, _ = exchange.ParseLogFormat(exchange.DefaultLogFormat, "")
	return f.line
}

// logSteps runs the steps that always run last. Each runs even when another one
// panics: some give back what they hold.
func (t *trip) logSteps() {
	if t.route == nil {
		return
	}
	for _, step := range t.route.Chain.Log {
		t.step = step
		t.attempt((*trip).logStep)
	}
}

func (t *trip) logStep() { t.step.Log(&t.x) }

// accessLog writes the line of this exchange, unless a rule says not to.
func (t *trip) accessLog() {
	log, s := t.slot.server.Log, &t.table.Settings
	if log == nil || !s.AccessLog || t.x.Route != nil && t.x.Route.NoLog {
		return
	}
	if len(s.SkipLogURIs) > 0 && slices.Contains(s.SkipLogURIs, t.x.In.Target) {
		return
	}
	log.add(t.slot.loop, t, appendLine)
}

func appendLine(b []byte, t *trip) []byte {
	s := &t.table.Settings
	b = t.slot.format.of(s.AccessLogFormat, s.AccessLogEscape).Append(b, &t.x)
	return append(b, '\n')
}
