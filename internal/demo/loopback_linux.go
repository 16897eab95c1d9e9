package demo

// ownAddresses: every address of 127.0.0.0/8 can be bound without set-up.
const ownAddresses = true
