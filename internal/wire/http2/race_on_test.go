//go:build race

package http2

// raceDetector is on: sync.Pool then throws away part of what it is given, to find
// mistakes, so that allocations cannot be counted.
const raceDetector = true
