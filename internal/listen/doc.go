// Package listen takes connections: it opens the sockets that a configuration asks
// for, reads the PROXY header, does the TLS handshake, chooses the protocol and
// hands the connection to a codec with the handler of its listener.
//
// A change of configuration never closes a connection. Sockets are opened and
// closed by difference; everything else about a listener (certificates, limits,
// PROXY protocol) is read when a connection is accepted or a request begins.
package listen
