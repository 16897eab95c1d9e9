package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/net/websocket"
)

// socket holds one WebSocket open: a message every Pace, each of which must come back
// before the next. When the server ends the connection while nothing is on its way there
// is a new one; a message that is lost has failed.
func (l *Load) socket(n int) {
	for l.ctx.Err() == nil {
		s, err := l.open()
		if err != nil {
			l.record.add(Socket, time.Now(), err)
			if !l.wait(l.opt.Pace) {
				return
			}
			continue
		}
		l.talk(s, n)
		s.conn.Close()
	}
}

func (l *Load) wait(d time.Duration) bool {
	select {
	case <-l.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// link is an open WebSocket with what it receives.
type link struct {
	conn     *websocket.Conn
	received chan string
	ended    chan error
}

func (l *Load) open() (*link, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	raw, err := l.opt.Dial(ctx, "tcp", l.opt.HTTP)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	config, err := websocket.NewConfig("ws://"+l.opt.Host+"/ws", "http://"+l.opt.Host)
	if err != nil {
		raw.Close()
		return nil, err
	}
	config.Header = http.Header{}
	raw.SetDeadline(time.Now().Add(patience))
	c, err := websocket.NewClient(config, raw)
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	raw.SetDeadline(time.Time{})
	s := &link{conn: c, received: make(chan string, 1), ended: make(chan error, 1)}
	go func() {
		for {
			var text string
			if err := websocket.Message.Receive(c, &text); err != nil {
				s.ended <- err
				return
			}
			s.received <- text
		}
	}()
	return s, nil
}

// talk sends messages until either side ends the connection.
func (l *Load) talk(s *link, n int) {
	opened := time.Now()
	for k := 0; ; k++ {
		text := fmt.Sprintf("message %d of socket %d", k, n)
		begin := time.Now()
		err := websocket.Message.Send(s.conn, text)
		if err == nil {
			err = s.answered(text)
		}
		l.record.add(Socket, begin, err)
		if err != nil {
			return
		}
		select {
		case <-l.ctx.Done():
			return
		case err := <-s.ended: // nothing is on its way
			if l.record.again(); !errors.Is(err, io.EOF) {
				l.record.add(Socket, time.Now(), fmt.Errorf("connection was broken: %w", err))
			}
			return
		case <-time.After(l.opt.Pace):
		}
		if l.opt.Age > 0 && time.Since(opened) > l.opt.Age {
			return
		}
	}
}

// answered waits until a message comes back.
func (s *link) answered(text string) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case got := <-s.received:
		if got != text {
			return fmt.Errorf("sent %q, received %q", text, got)
		}
		return nil
	case err := <-s.ended:
		select {
		case got := <-s.received: // before the end
			s.ended <- err
			if got == text {
				return nil
			}
		default:
		}
		return fmt.Errorf("message was lost: %w", err)
	case <-late.C:
		return fmt.Errorf("message did not come back within %s", patience)
	}
}
