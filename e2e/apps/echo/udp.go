package main

import (
	"errors"
	"net"
	"os"
)

// serveUDP answers each datagram with the Pod's name and the datagram.
func serveUDP(address string) error {
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	name, err := os.Hostname()
	if err != nil {
		return errors.Join(err, c.Close())
	}
	go func() {
		for buf := make([]byte, 64<<10); ; {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			// A client that has gone needs no answer.
			_, _ = c.WriteTo(append([]byte(name+" "), buf[:n]...), from)
		}
	}()
	return nil
}
