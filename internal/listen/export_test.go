package listen

// For tests: the signatures under way, and how many there may be.
var (
	Signing     = &signing
	MostSigning = mostSigning
)
