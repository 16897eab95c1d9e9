//go:build !unix

package control

// diskBytes returns what this process has read from and written to disks: not known.
func diskBytes() (read, written float64, ok bool) { return 0, 0, false }
