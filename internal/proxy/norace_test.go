//go:build !race

package proxy_test

// perTen is how many allocations ten requests may make: what turns of the loop and
// the test itself need now and then.
const perTen = 1
