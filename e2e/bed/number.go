package bed

import (
	"os"
	"strconv"
	"testing"
)

// Number returns a number of the environment, by which somebody makes a test longer, or
// the one that CI takes.
func Number(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%q: must be a number", name, text)
	}
	return n
}
