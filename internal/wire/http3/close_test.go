package http3

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/quic-go/quic-go"
)

// TestCancel has the client give a request up: the handler is told, wherever it waits.
func TestCancel(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		began, told := make(chan struct{}, 1), make(chan error, 1)
		s := start(t, kind, ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
			l := w.(*stream).c.l
			switch r.Method {
			case "GET": // waits for something else
				task, gone := l.Task(), false
				w.(http2.Goner).OnGone(func(any) { gone = true; task.Wake() }, nil)
				began <- struct{}{}
				for !gone && l.Park() == nil {
				}
				told <- w.Flush()
			case "POST": // reads
				began <- struct{}{}
				_, err := io.ReadAll(r.Body)
				told <- err
			case "PUT": // writes
				w.WriteHead(&message.Response{Status: 200, Length: message.Unknown})
				began <- struct{}{}
				var err error
				for p := make([]byte, 100000); err == nil; {
					_, err = w.Write(p)
				}
				told <- err
			}
		})})
		for _, method := range []string{"GET", "POST", "PUT"} {
			c := s.dial(t)
			str := c.stream(request(method))
			wait(t, began)
			str.CancelRead(codeRequestCancelled)
			str.CancelWrite(codeRequestCancelled)
			if err := wait(t, told); !errors.Is(err, http2.ErrReset) {
				t.Errorf("%s: the handler is told %v", method, err)
			}
			// The connection is gone.
			c.stream(request(method))
			wait(t, began)
			c.qc.CloseWithError(codeNo, "")
			if err := wait(t, told); err == nil {
				t.Errorf("%s: the handler is told nothing of the end of the connection", method)
			}
			wait(t, s.closed)
		}
	})
}

// wait receives from a channel.
func wait[T any](t testing.TB, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatal("nothing happened")
	}
	return v
}

// TestSlowReader has a client that reads nothing: the handler must wait, and time runs
// out for the client.
func TestSlowReader(t *testing.T) {
	wrote, told := make(chan int, 1000), make(chan error, 1)
	s := start(t, loop.DefaultKind(), ServerConfig{
		Limits: limits(func(l *http2.Limits) { l.SendTimeout = 300 * time.Millisecond }),
		Handler: handlerFunc(func(_ *message.Request, w message.Writer) {
			w.WriteHead(&message.Response{Status: 200, Length: message.Unknown})
			p := make([]byte, 10000)
			for {
				n, err := w.Write(p)
				if err != nil {
					told <- err
					return
				}
				wrote <- n
			}
		}),
	})
	c := s.dial(t)
	c.send(request("GET"))
	if err := wait(t, told); !errors.Is(err, loop.ErrTimeout) {
		t.Errorf("the handler is told %v", err)
	}
	sum := 0
	for len(wrote) > 0 {
		sum += <-wrote
	}
	// The client's window is 512 KiB at first.
	if sum > 512<<10+2*maxQueue {
		t.Errorf("%d bytes were taken for a client that reads nothing", sum)
	}
}

// TestDrain has the server end a connection while a request is on its way.
func TestDrain(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	s := start(t, loop.DefaultKind(), ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
		if r.Method == "PUT" {
			began <- struct{}{}
			w.(*stream).c.l.Await(func() { <-goOn })
		}
		answer(r, w)
	})})
	c := s.dial(t)
	control, err := c.qc.AcceptUniStream(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	in := &reader{src: control}
	if kind, err := in.number(); kind != typeControl || err != nil {
		t.Fatalf("the server's first stream is of type %d, %v", kind, err)
	}
	slow := c.send(request("PUT"))
	wait(t, began)
	conn := wait(t, s.conns)
	conn.l.Post(conn.Drain)
	var ids []uint64
	for len(ids) < 2 {
		kind, n, err := in.header()
		if err != nil {
			t.Fatal(err)
		}
		p, err := in.payload(int(n))
		if err != nil {
			t.Fatal(err)
		}
		if kind == frameGoAway {
			id, err := (&reader{buf: p, eof: true}).number()
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
			if len(ids) == 1 { // the client may still send one
				c.want(c.send(request("GET")), "200", "*")
			}
		}
	}
	if ids[0] != uint64(noStream-4) || ids[1] != 8 {
		t.Errorf("GOAWAYs tell %v", ids)
	}
	c.wantReset(c.send(request("GET")), codeRequestRejected)
	close(goOn)
	c.want(slow, "200", "*")
	c.wantClosed(codeNo)
	wait(t, s.closed)
}

// TestIdle has connections end that are not used.
func TestIdle(t *testing.T) {
	s := start(t, loop.DefaultKind(), ServerConfig{
		Limits:  limits(func(l *http2.Limits) { l.KeepAlive = 50 * time.Millisecond }),
		Handler: handlerFunc(answer),
	})
	c := s.dial(t)
	c.want(c.send(request("GET")), "200", "*")
	c.wantClosed(codeNo)
}

// TestRequestsLimit has a connection end after so many requests, all of them answered.
func TestRequestsLimit(t *testing.T) {
	for _, lim := range []func(*http2.Limits){
		func(l *http2.Limits) { l.Requests = 2 },
		func(l *http2.Limits) { l.KeepAlive = 0 },
	} {
		s := start(t, loop.DefaultKind(), ServerConfig{Limits: limits(lim), Handler: handlerFunc(answer)})
		c := s.dial(t)
		c.want(c.send(request("GET")), "200", "*")
		if str, err := c.qc.OpenStream(); err == nil { // it may be over already
			str.Write(request("GET"))
			str.Close()
			c.read(str)
		}
		c.wantClosed(codeNo)
	}
}

// TestTimeouts has clients that do not send what they began.
func TestTimeouts(t *testing.T) {
	s := start(t, loop.DefaultKind(), ServerConfig{
		Limits:  limits(func(l *http2.Limits) { l.HeaderTimeout = 3 * time.Second }),
		Handler: handlerFunc(answer),
	})
	c := s.dial(t)
	c.wantReset(c.stream(request("GET")[:5]), codeRequestIncomplete)
	told := make(chan error, 1)
	s = start(t, loop.DefaultKind(), ServerConfig{
		Limits: limits(func(l *http2.Limits) { l.BodyTimeout = 50 * time.Millisecond }),
		Handler: handlerFunc(func(r *message.Request, w message.Writer) {
			_, err := io.ReadAll(r.Body)
			told <- err
		}),
	})
	c = s.dial(t)
	c.want(c.stream(request("POST"), data("x")), "500", "")
	if err := wait(t, told); !errors.Is(err, loop.ErrTimeout) {
		t.Errorf("the handler is told %v", err)
	}
}

// TestManyStreams opens more requests than there may be at one time.
func TestManyStreams(t *testing.T) {
	let := make(chan struct{})
	s := start(t, loop.DefaultKind(), ServerConfig{
		Limits: limits(func(l *http2.Limits) { l.MaxStreams = 3 }),
		Handler: handlerFunc(func(r *message.Request, w message.Writer) {
			w.(*stream).c.l.Await(func() { <-let })
			answer(r, w)
		}),
	})
	c := s.dial(t)
	var strs []*quic.Stream
	for range 3 {
		strs = append(strs, c.send(request("GET")))
	}
	if _, err := c.qc.OpenStream(); err == nil {
		t.Error("a fourth request could be opened")
	}
	// One that is given up counts until its handler is over.
	strs[0].CancelRead(codeRequestCancelled)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.qc.OpenStreamSync(ctx); err == nil {
		t.Error("a fourth request could be opened since the client had given one up")
	}
	close(let)
	for range 10 {
		c.want(c.send(request("GET")), "200", "*")
	}
	for _, str := range strs[1:] {
		c.want(str, "200", "*")
	}
}

// TestRapidReset gives requests up as fast as it can.
func TestRapidReset(t *testing.T) {
	s := start(t, loop.DefaultKind(), ServerConfig{Handler: handlerFunc(func(_ *message.Request, w message.Writer) {
		l := w.(*stream).c.l
		task, gone := l.Task(), false
		w.(http2.Goner).OnGone(func(any) { gone = true; task.Wake() }, nil)
		for !gone && l.Park() == nil {
		}
	})})
	c := s.dial(t)
	for c.qc.Context().Err() == nil {
		ctx, cancel := context.WithTimeout(c.qc.Context(), patience)
		str, err := c.qc.OpenStreamSync(ctx)
		cancel()
		if err != nil {
			break
		}
		str.Write(request("GET"))
		str.CancelRead(codeRequestCancelled)
		str.CancelWrite(codeRequestCancelled)
	}
	c.wantClosed(codeExcessiveLoad)
}

// TestFloods sends frames that bring nothing.
func TestFloods(t *testing.T) {
	for name, flood := range map[string]func(c *client){
		"empty DATA": func(c *client) {
			str := c.stream(request("POST"))
			for range 3000 {
				str.Write(data(""))
			}
		},
		"unknown frames": func(c *client) {
			str := c.stream(request("POST"))
			for range 3000 {
				str.Write(appendFrame(0x21, nil))
			}
		},
		"long unknown frame": func(c *client) { c.stream(appendFrame(0x21, make([]byte, 20<<10))) },
		"control": func(c *client) {
			str := c.uni(0x21, nil)
			str.Close()
			for range 3000 {
				c.control.Write(appendFrame(frameMaxPushID, []byte{1}))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, loop.DefaultKind(), ServerConfig{Handler: handlerFunc(answer)})
			c := s.dial(t)
			flood(c)
			c.wantClosed(codeExcessiveLoad)
		})
	}
}
