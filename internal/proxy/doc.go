// Package proxy is the life of a request: client facts, match, chain, forward with
// its retries, reply, log. One file for each stage; serve.go reads from top to
// bottom what happens to every request.
//
// All of it runs in coroutines of an event loop (package loop). What a request
// needs lives in a trip, which is pooled per loop: the plain path allocates nothing.
package proxy
