package main

import (
	"io/fs"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// boundMemory has Go's runtime collect garbage before the container's limit is reached,
// where there is one and GOMEMLIMIT says nothing else. A tenth is left for what the
// runtime does not count.
func boundMemory(log *slog.Logger, cgroup fs.FS) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit := memoryLimit(cgroup); limit > 0 {
		debug.SetMemoryLimit(limit / 10 * 9)
		log.Info("memory is bounded by the container's limit", "limit", limit, "aim", limit/10*9)
	}
}

// cgroup is where a container sees its own limits.
const cgroup = "/sys/fs/cgroup"

// unbounded is what the first version of cgroups says where there is no limit, or more.
const unbounded = 1 << 60

// memoryLimit returns the bytes that the cgroup of this process may have, or 0 for any
// number. Both versions of cgroups are understood.
func memoryLimit(cgroup fs.FS) int64 {
	for _, name := range []string{"memory.max", "memory/memory.limit_in_bytes"} {
		text, err := fs.ReadFile(cgroup, name)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 && n < unbounded {
			return n
		}
	}
	return 0
}
