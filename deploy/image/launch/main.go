//go:build linux

// Command launch is the first program of Pierhead's image. It keeps the right to listen on
// ports below 1024, when the container has it, and becomes Pierhead.
//
// A process that is not root loses its capabilities when it starts a program, unless the
// program's file says otherwise. A file that asks for a capability outright does not start
// at all in a container without it. So the file of this program may have NET_BIND_SERVICE
// but does not insist; what it has it hands on.
//
// Called wait-shutdown it does nothing, with success: ingress-nginx's manifests run a
// program of this name before they end a container. Pierhead drains its connections when
// it gets SIGTERM, which comes next.
package main

import (
	"os"
	"path"
	"runtime"
	"syscall"
	"unsafe"
)

// pierhead is the program to become.
var pierhead = "/usr/libexec/pierhead"

func main() {
	if path.Base(os.Args[0]) == "wait-shutdown" {
		return
	}
	runtime.LockOSThread() // capabilities are of a thread
	keep(netBindService)
	err := syscall.Exec(pierhead, os.Args, os.Environ())
	os.Stderr.WriteString(pierhead + ": " + err.Error() + "\n")
	os.Exit(127)
}

// From linux/capability.h and linux/prctl.h.
const (
	netBindService = 10
	capVersion3    = 0x20080522
	prCapAmbient   = 47
	ambientRaise   = 2
)

type capHeader struct {
	version uint32
	pid     int32
}

type capData struct{ effective, permitted, inheritable uint32 }

// keep makes a capability stay when the next program is started. Where that is not
// allowed the program goes without, and says itself what it cannot do.
func keep(capability uint) {
	header := capHeader{version: capVersion3}
	var sets [2]capData
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets)), 0); errno != 0 {
		return
	}
	bit := uint32(1) << capability
	if sets[0].permitted&bit == 0 {
		return
	}
	sets[0].inheritable |= bit
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets)), 0); errno != 0 {
		return
	}
	syscall.RawSyscall6(syscall.SYS_PRCTL, prCapAmbient, ambientRaise, uintptr(capability), 0, 0, 0)
}
