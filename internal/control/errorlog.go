package control

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/pierhead/pierhead/internal/exchange"
)

// errorLog takes what event loops have to report and writes it on a goroutine of its
// own: a loop never waits for a log. What does not fit is counted and said later.
type errorLog struct {
	lines chan errorLine
	done  chan struct{}
}

type errorLine struct {
	level slog.Level
	text  string
}

// errorBacklog is how many lines wait at most.
const errorBacklog = 1024

func newErrorLog(log *slog.Logger) *errorLog {
	e := &errorLog{lines: make(chan errorLine, errorBacklog), done: make(chan struct{})}
	go func() {
		defer close(e.done)
		for l := range e.lines {
			log.Log(nil, l.level, l.text) //nolint:staticcheck // there is no context
		}
	}()
	return e
}

// report is told of every failure of an exchange. The client's own failures are in
// the access log already.
func (e *errorLog) report(x *exchange.Exchange, err *exchange.Error) {
	level := slog.LevelWarn
	switch {
	case err.Kind == exchange.Panic:
		level = slog.LevelError
	case err.Kind.Source() == exchange.Downstream, err.Kind == exchange.NoRoute, err.Kind == exchange.RouteClosed, err.Kind == exchange.NoEndpoint, err.Kind == exchange.UpstreamFull:
		return
	}
	var inner *exchange.Error
	if errors.As(err.Err, &inner) {
		err = inner // it says what was seen, and where
	}
	text := fmt.Sprintf("%v: client %s", err, x.ClientIP)
	if x.In != nil {
		text += fmt.Sprintf(", request %q, host %q", x.In.Method+" "+x.In.Target, x.In.Host)
	}
	if n := len(x.Upstream.Tries); n > 0 {
		text += fmt.Sprintf(", endpoint %s", x.Upstream.Tries[n-1].Addr)
	}
	e.write(level, text)
}

// write adds a line without waiting.
func (e *errorLog) write(level slog.Level, text string) {
	select {
	case e.lines <- errorLine{level, text}:
	default: // the log cannot keep up; metrics count what it is about
	}
}

// close writes what waits and ends.
func (e *errorLog) close() {
	close(e.lines)
	<-e.done
}
