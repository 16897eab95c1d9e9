package control

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain holds that a Control that was stopped leaves no goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
