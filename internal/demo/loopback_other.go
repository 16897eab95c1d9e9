//go:build !linux

package demo

// ownAddresses: only 127.0.0.1 can be bound.
const ownAddresses = false
