//go:build !race

package admission

// slow is how much longer things take under the race detector.
const slow = 1
