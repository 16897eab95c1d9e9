package control

// OwnAddresses tells whether every address of 127.0.0.0/8 can be bound without
// set-up: load balancers then have addresses of their own.
const OwnAddresses = true
