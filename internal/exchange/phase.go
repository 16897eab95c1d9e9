package exchange

// Phase says when a step runs. The order is nginx's, since users rely on it; each
// phase names what is true when its steps run.
type Phase uint8

const (
	// PostRead runs first, when the request head has been read and the client's
	// address is known. Nothing is decided yet.
	PostRead Phase = iota
	// Preflight answers CORS preflights: before redirects, limits and access.
	Preflight
	// Redirect answers redirects, and closes routes whose guard could not be built.
	Redirect
	// Available answers for routes whose upstream has no endpoint.
	Available
	// PreAccess counts against limits. The client is not yet let in.
	PreAccess
	// Access lets the client in or not. Nothing was changed or sent yet.
	Access
	// Rewrite changes the request that will be sent. The client was let in.
	Rewrite
	// Respond changes the answer's head: of the upstream and of our own, always,
	// in the reverse order of the chain.
	Respond
	numPhases
)

// String returns the phase's name.
func (p Phase) String() string {
	return [...]string{"post-read", "preflight", "redirect", "available", "pre-access", "access", "rewrite", "respond"}[p]
}
