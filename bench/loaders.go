//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// loads are those of our own, by name: each runs as "bench NAME ARGUMENTS" and prints a
// result.
var loads = map[string]func(args []string) (result, error){
	"handshake": handshakes,
	"websocket": webSockets,
	"rate":      atRate,
}

func runLoad(f func([]string) (result, error), args []string) error {
	r, err := f(args)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// closedLoop runs n workers for d, each doing one thing after the other. A worker's
// first failure ends it.
func closedLoop(n int, d time.Duration, open func() (do func() error, close func(), err error)) (result, error) {
	var mu sync.Mutex
	var all []time.Duration
	total := result{}
	var wg sync.WaitGroup
	start := time.Now()
	end := start.Add(d)
	for range n {
		do, shut, err := open()
		if err != nil {
			return total, err
		}
		wg.Go(func() {
			defer shut()
			var times []time.Duration
			failed := 0
			for time.Now().Before(end) {
				begin := time.Now()
				if err := do(); err != nil {
					fmt.Fprintln(os.Stderr, err)
					failed++
					break
				}
				times = append(times, time.Since(begin))
			}
			mu.Lock()
			defer mu.Unlock()
			all, total.Failed = append(all, times...), total.Failed+failed
		})
	}
	wg.Wait()
	total.Done, total.Took = len(all), time.Since(start)
	total.P50, total.P99, total.P999 = percentiles(all)
	return total, nil
}

// handshakes opens a TLS connection for every request: ADDRESS CONNECTIONS DURATION
// full|resumed.
func handshakes(args []string) (result, error) {
	addr, conns, d, err := common(args)
	if err != nil {
		return result{}, err
	}
	resumed := args[3] == "resumed"
	return closedLoop(conns, d, func() (func() error, func(), error) {
		cfg := &tls.Config{ServerName: hostName, InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}}
		if resumed {
			cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}
		first := true
		return func() error {
			c, err := tls.Dial("tcp", addr, cfg)
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := io.WriteString(c, "GET /b/128 HTTP/1.1\r\nHost: "+hostName+"\r\nConnection: close\r\n\r\n"); err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, c); err != nil {
				return err
			}
			if s := c.ConnectionState(); resumed && !first && !s.DidResume {
				return errors.New("the session was not resumed")
			}
			first = false
			return nil
		}, func() {}, nil
	})
}

// webSockets sends messages of 128 bytes and waits for each to come back: ADDRESS
// CONNECTIONS DURATION.
func webSockets(args []string) (result, error) {
	addr, conns, d, err := common(args)
	if err != nil {
		return result{}, err
	}
	message := append([]byte{0x82, 0xfe, 0, 128, 0, 0, 0, 0}, bytes.Repeat([]byte("x"), 128)...) // masked with zeros
	return closedLoop(conns, d, func() (func() error, func(), error) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, nil, err
		}
		if _, err := io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: "+hostName+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
			return nil, nil, err
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return nil, nil, err
		}
		if resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, nil, fmt.Errorf("answered %s", resp.Status)
		}
		buf := make([]byte, len(message))
		return func() error {
			if _, err := c.Write(message); err != nil {
				return err
			}
			_, err := io.ReadFull(c, buf)
			return err
		}, func() { c.Close() }, nil
	})
}

// common reads the arguments that all loads have.
func common(args []string) (addr string, conns int, d time.Duration, err error) {
	if len(args) < 3 {
		return "", 0, 0, errors.New("ADDRESS CONNECTIONS DURATION are wanted")
	}
	if conns, err = strconv.Atoi(args[1]); err == nil {
		d, err = time.ParseDuration(args[2])
	}
	return args[0], conns, d, err
}
