package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Started returns when the process with that id began, in the kernel's ticks. An id with
// this number names one process for ever, however often ids are used again.
func Started(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the name in parentheses, which may contain anything.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat: %d fields after the name: must be 20 or more", pid, len(fields))
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

// Alive says whether the process with that id that began at started still runs.
func Alive(pid int, started uint64) bool {
	now, err := Started(pid)
	return err == nil && now == started
}
