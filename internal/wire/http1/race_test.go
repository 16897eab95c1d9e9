//go:build race

package http1

// raceEnabled tells that sync.Pool forgets on purpose and allocations are counted
// wrong.
const raceEnabled = true
