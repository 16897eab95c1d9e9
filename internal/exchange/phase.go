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

var phases = [numPhases]struct{ name, doc string }{
	PostRead:  {"post-read", "The request head has been read and the connection is known; nothing is decided yet. Steps settle who asks."},
	Preflight: {"preflight", "The host itself answers, and CORS preflights are answered: before redirects, limits and access."},
	Redirect:  {"redirect", "Redirects are answered, and routes closed whose guard could not be built. They are not counted against limits."},
	Available: {"available", "Routes whose upstream has no endpoint are answered."},
	PreAccess: {"pre-access", "Requests are counted against limits. The client is not yet let in."},
	Access:    {"access", "The client is let in or not. Nothing was changed or sent yet."},
	Rewrite:   {"rewrite", "The client was let in. The request that will be sent is changed."},
	Respond:   {"respond", "The answer's head is changed: the upstream's and our own, always, in the reverse order of the chain."},
}

// String returns the phase's name.
func (p Phase) String() string { return phases[p].name }

// Doc returns what docs/phases.md says of it.
func (p Phase) Doc() string { return phases[p].doc }

// Phases lists all phases in their order.
func Phases() []Phase {
	var ps []Phase
	for p := PostRead; p < numPhases; p++ {
		ps = append(ps, p)
	}
	return ps
}
