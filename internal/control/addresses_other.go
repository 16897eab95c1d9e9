//go:build !linux

package control

// OwnAddresses tells whether every address of 127.0.0.0/8 can be bound without
// set-up. Here only 127.0.0.1 can: load balancers have ports of it.
const OwnAddresses = false
