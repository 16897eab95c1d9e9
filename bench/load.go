package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const request = "GET / HTTP/1.1\r\nHost: bench.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"

type result struct {
	done, failed int
	took         time.Duration
	p99          time.Duration
}

// load sends requests over n connections, each waiting for its answer, for d.
func load(ctx context.Context, addr string, n int, d time.Duration) (result, error) {
	end := time.Now().Add(d)
	results := make([]result, n)
	times := make([][]time.Duration, n)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return result{}, err
		}
		defer c.Close()
		wg.Go(func() { times[i], results[i] = closedLoop(ctx, c, end) })
	}
	wg.Wait()
	total := result{took: time.Since(start)}
	var all []time.Duration
	for i, r := range results {
		total.done += r.done
		total.failed += r.failed
		all = append(all, times[i]...)
	}
	slices.Sort(all)
	if len(all) > 0 {
		total.p99 = all[len(all)*99/100]
	}
	return total, ctx.Err()
}

// closedLoop sends one request after the other. After the first answer, which is
// read as HTTP, each must have the same length: the loop itself stays cheap.
func closedLoop(ctx context.Context, c net.Conn, end time.Time) (times []time.Duration, r result) {
	length, err := firstAnswer(c)
	if err != nil {
		return nil, result{failed: 1}
	}
	buf := make([]byte, length)
	for time.Now().Before(end) && ctx.Err() == nil {
		start := time.Now()
		if _, err := io.WriteString(c, request); err != nil {
			r.failed++
			return times, r
		}
		if _, err := io.ReadFull(c, buf); err != nil || !bytes.HasPrefix(buf, []byte("HTTP/1.1 200 ")) {
			r.failed++
			return times, r
		}
		r.done++
		times = append(times, time.Since(start))
	}
	return times, r
}

// firstAnswer sends one request and returns the length of its whole answer.
func firstAnswer(c net.Conn) (int, error) {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	defer c.SetDeadline(time.Time{})
	if _, err := io.WriteString(c, request); err != nil {
		return 0, err
	}
	var seen bytes.Buffer
	br := bufio.NewReader(io.TeeReader(c, &seen))
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("answered %s", resp.Status)
	}
	return seen.Len() - br.Buffered(), nil
}

// startOrigin answers every request with 128 bytes, as cheaply as Go can.
func startOrigin() (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n" + string(bytes.Repeat([]byte("x"), 128)))
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 16<<10)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					for range bytes.Count(buf[:n], []byte("\r\n\r\n")) {
						if _, err := c.Write(answer); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return ln, nil
}
