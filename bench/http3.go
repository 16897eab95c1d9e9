//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

func init() { loads["http3"] = http3Requests }

// openIdleH3 opens a connection, has one answer and keeps it.
func openIdleH3(addr string) (io.Closer, error) {
	tr := &http3.Transport{
		TLSClientConfig: &tls.Config{ServerName: hostName, InsecureSkipVerify: true},
		QUICConfig:      &quic.Config{KeepAlivePeriod: 10 * time.Second},
		Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, addr, tc, qc)
		},
	}
	return tr, get128(&http.Client{Transport: tr})
}

// get128 asks for 128 bytes.
func get128(c *http.Client) error {
	resp, err := c.Get("https://" + hostName + "/b/128")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// http3Requests sends requests over HTTP/3, ten at once on each connection: ADDRESS
// CONNECTIONS DURATION.
func http3Requests(args []string) (result, error) {
	addr, conns, d, err := common(args)
	if err != nil {
		return result{}, err
	}
	opened := 0
	var client *http.Client
	return closedLoop(10*conns, d, func() (func() error, func(), error) {
		if opened%10 == 0 {
			tr := &http3.Transport{
				TLSClientConfig: &tls.Config{ServerName: hostName, InsecureSkipVerify: true},
				Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
					return quic.DialAddrEarly(ctx, addr, tc, qc)
				},
			}
			client = &http.Client{Transport: tr}
		}
		opened++
		mine := client
		return func() error { return get128(mine) }, func() {}, nil
	})
}
