//go:build race

package proxy_test

// perTen is how many allocations ten requests may make. The race detector has
// sync.Pool forget things on purpose.
const perTen = 30
