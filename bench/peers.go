//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
)

// haproxy starts Debian's HAProxy.
func (b *bench) haproxy(name string, s setup) (*target, error) {
	dir, err := os.MkdirTemp(b.dir, "haproxy-")
	if err != nil {
		return nil, err
	}
	t := &target{plain: freeAddr(), tls: freeAddr()}
	log, upstream, protocol := "", b.origin.plain, ""
	if s.log {
		log = "log stdout format raw local0\n  option httplog"
	}
	if s.grpc {
		upstream, protocol = b.origin.grpc, " proto h2"
	}
	conf := filepath.Join(dir, "haproxy.cfg")
	text := fmt.Sprintf(haproxyConf, log, t.plain, t.tls, b.cert.bothFile, upstream, protocol)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if s.log {
		f, err := os.Create(filepath.Join(dir, "access.log"))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		b.output = f
		defer func() { b.output = nil }()
	}
	t.process, err = b.start(name, proxyCore, t.tls, "haproxy", "-db", "-f", conf)
	return t, err
}

const haproxyConf = `global
  nbthread 1
  maxconn 10500
  no strict-limits
  ssl-default-bind-options ssl-min-ver TLSv1.2
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384
  ssl-default-bind-curves X25519:P-256
  tune.ssl.cachesize 20000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
  timeout http-keep-alive 75s
  http-reuse always
  option splice-auto
  %[1]s
frontend f
  bind %[2]s backlog 4096
  bind %[3]s ssl crt %[4]s alpn h2,http/1.1 backlog 4096
  unique-id-format %%{+X}o%%ci:%%cp_%%fi:%%fp_%%Ts_%%rt:%%pid
  unique-id-header X-Request-ID
  option forwardfor
  http-request set-header X-Real-IP %%[src]
  http-request set-header X-Forwarded-Host %%[req.hdr(host)]
  http-request set-header X-Forwarded-Port %%[dst_port]
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  http-request set-header X-Forwarded-Proto http unless { ssl_fc }
  default_backend origin
backend origin
  server s %[5]s%[6]s pool-max-conn 1024 pool-purge-delay 60s
`

// caddy starts Caddy, built from its module in a folder of its own.
func (b *bench) caddy(name string, s setup) (*target, error) {
	if b.caddyBinary == "" {
		bin := filepath.Join(b.cache, "caddy")
		build := exec.CommandContext(b.ctx, "go", "build", "-o", bin, ".")
		build.Dir = "bench/caddy"
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building caddy: %w\n%s", err, out)
		}
		b.caddyBinary = bin
	}
	dir, err := os.MkdirTemp(b.dir, "caddy-")
	if err != nil {
		return nil, err
	}
	t := &target{plain: freeAddr(), tls: freeAddr()}
	log, upstream := "", b.origin.plain
	if s.log {
		log = "log {\n\t\toutput file " + dir + "/access.log\n\t}"
	}
	if s.grpc {
		upstream = "h2c://" + b.origin.grpc
	}
	conf := filepath.Join(dir, "Caddyfile")
	text := fmt.Sprintf(caddyConf, portOf(t.plain), portOf(t.tls), b.cert.chainFile, b.cert.keyFile, upstream, log)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	t.process, err = b.start(name, proxyCore, t.tls, b.caddyBinary, "run", "--config", conf, "--adapter", "caddyfile")
	return t, err
}

const caddyConf = `{
	admin off
	auto_https off
	persist_config off
	default_sni ` + hostName + `
	log {
		level ERROR
	}
	servers {
		protocols h1 h2 h3
	}
}
(up) {
	%[6]s
	reverse_proxy %[5]s {
		transport http {
			keepalive_idle_conns_per_host 1024
			keepalive_idle_conns 2048
			compression off
		}
	}
}
http://:%[1]s {
	bind 127.0.0.1
	import up
}
https://:%[2]s {
	bind 127.0.0.1
	tls %[3]s %[4]s
	import up
}
`

// reverseProxy starts Go's ReverseProxy, which is this program.
func (b *bench) reverseProxy(name string, s setup) (t *target, err error) {
	t = &target{plain: freeAddr(), tls: freeAddr()}
	args := []string{"reverseproxy", t.plain, t.tls, "http://" + b.origin.plain, b.cert.chainFile, b.cert.keyFile}
	if s.grpc {
		args[3] = "http://" + b.origin.grpc
		args = append(args, "h2c")
	}
	t.process, err = b.start(name, proxyCore, t.tls, b.self, args...)
	return t, err
}

// serveReverseProxy is Go's ReverseProxy with the header fields that the others set.
func serveReverseProxy(args []string) error {
	to, err := url.Parse(args[2])
	if err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, DisableCompression: true}
	if len(args) > 5 {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	rp := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: transport,
	}
	go http.ListenAndServe(args[0], rp)
	return http.ListenAndServeTLS(args[1], args[3], args[4], rp)
}
