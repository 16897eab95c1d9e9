//go:build linux

package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
)

func init() { loads["grpcstream"] = grpcStreams }

// grpcStreams sends messages over long calls, 16 on each connection, and waits for each
// message to come back: ADDRESS STREAMS DURATION.
func grpcStreams(args []string) (result, error) {
	addr, streams, d, err := common(args)
	if err != nil {
		return result{}, err
	}
	message := append([]byte{0, 0, 0, 0, 100}, strings.Repeat("x", 100)...)
	var client *http.Client
	opened := 0
	return closedLoop(streams, d, func() (func() error, func(), error) {
		if opened%16 == 0 {
			client = &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{ServerName: hostName, InsecureSkipVerify: true}}}
		}
		opened++
		out, in := io.Pipe()
		req, err := http.NewRequest("POST", "https://"+addr+"/bench.Echo/Stream", out)
		if err != nil {
			return nil, nil, err
		}
		req.Host = hostName
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Te", "trailers")
		go in.Write(message)
		resp, err := client.Do(req)
		if err != nil {
			return nil, nil, err
		}
		if resp.StatusCode != http.StatusOK {
			return nil, nil, fmt.Errorf("answered %s", resp.Status)
		}
		buf := make([]byte, len(message))
		if _, err := io.ReadFull(resp.Body, buf); err != nil {
			return nil, nil, err
		}
		return func() error {
			if _, err := in.Write(message); err != nil {
				return err
			}
			if _, err := io.ReadFull(resp.Body, buf); err != nil {
				return err
			}
			if !bytes.Equal(buf, message) {
				return fmt.Errorf("another message came back")
			}
			return nil
		}, func() { in.Close(); resp.Body.Close() }, nil
	})
}
