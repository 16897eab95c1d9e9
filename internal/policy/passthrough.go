package policy

var sslPassthrough = Bool("ssl-passthrough", false, "Hand TLS connections for the host on to the Service of its path / without opening them.", bad(Reject))

var _ = Register(Unit{
	Name: "ssl-passthrough",
	Doc: "TLS connections whose ClientHello asks for the host, exactly, go to the endpoints of its path / as they are; what no server name tells is opened here. " +
		"It needs the controller's flag --enable-ssl-passthrough, and counts on the Ingress that has the path. " +
		"No request of such a connection is seen here, so other annotations have no effect on https; on http all is as ever.",
	Follows: "ingress-nginx; RFC 6066",
	Keys:    []Key{sslPassthrough},
	Apply:   func(d *Draft) { d.res.Host.Passthrough = sslPassthrough.Get(d) },
})
