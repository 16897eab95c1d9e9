package main

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// lastPort is the one that freePort gave last. Processes begin at places of their own.
var lastPort atomic.Uint32

func init() { lastPort.Store(uint32(os.Getpid()) * 127) }

// freePort returns a port that nobody has, over TCP and UDP, and no other call gets. It is
// none of those that the system gives to connections, which come and go.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(20000 + int(lastPort.Add(1)%12000))
		ln, err := net.Listen("tcp", ":"+port)
		if err != nil {
			continue
		}
		packets, err := net.ListenPacket("udp", ":"+port)
		ln.Close()
		if err == nil {
			packets.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}
