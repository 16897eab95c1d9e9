package exchange

// URL is a server that steps ask, in the parts that connecting needs. Path may hold
// a query.
type URL struct {
	Scheme string // "http" or "https"
	Host   string // name or address, without port
	Port   uint16
	Path   string
}
