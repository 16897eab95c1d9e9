package admin

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Request is a request that an explanation is about.
type Request struct {
	Method string // "" is GET
	URL    *url.URL
	Fields [][2]string // name and value; Host goes before the URL's
	From   netip.Addr  // the client; zero is 127.0.0.1
}

// ReadRequest reads what somebody wrote of a request: fields as "Name: value", from as
// an address or nothing.
func ReadRequest(text, method string, fields []string, from string) (*Request, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q: want a URL such as https://shop.example.com/cart", text)
	}
	req := &Request{URL: u, Method: method}
	if strings.ContainsAny(method, " \t\r\n/:") {
		return nil, fmt.Errorf("method %q: want a method such as POST", method)
	}
	for _, f := range fields {
		name, value, ok := strings.Cut(f, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t\r\n") || strings.ContainsAny(value, "\r\n") {
			return nil, fmt.Errorf("field %q: want a field such as %q", f, "Accept: text/html")
		}
		req.Fields = append(req.Fields, [2]string{name, strings.TrimSpace(value)})
	}
	if from != "" {
		if req.From, err = netip.ParseAddr(from); err != nil {
			return nil, fmt.Errorf("%q: want an address such as 192.0.2.7", from)
		}
	}
	return req, nil
}
