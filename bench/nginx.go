//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// nginx starts Debian's nginx with what ingress-nginx would have it send upstream.
func (b *bench) nginx(name string, s setup) (*target, error) {
	dir, err := os.MkdirTemp(b.dir, "nginx-")
	if err != nil {
		return nil, err
	}
	t := &target{plain: freeAddr(), tls: freeAddr()}
	log := "access_log off;"
	if s.log {
		log = `log_format upstreaminfo '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_host] [] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $request_id';
  access_log ` + dir + `/access.log upstreaminfo;`
	}
	tickets := "off"
	if s.tickets {
		tickets = "on"
	}
	pass := "proxy_pass http://origin; " + nginxFields
	upstream := b.origin.plain
	if s.grpc {
		pass, upstream = "grpc_pass grpc://origin;", b.origin.grpc
	}
	var others strings.Builder
	for i := range s.routes {
		fmt.Fprintf(&others, "  server { listen %s; listen %s ssl http2; server_name host-%d.example.net; location / { %s } }\n", t.plain, t.tls, i, pass)
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxConf, dir, log, upstream, t.plain, t.tls, b.cert.chainFile, b.cert.keyFile, tickets, pass, others.String(), hostName)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	t.process, err = b.start(name, proxyCore, t.tls, "nginx", "-p", dir, "-c", conf)
	return t, err
}

const nginxFields = `proxy_http_version 1.1; proxy_set_header Connection $upgrade_or_not; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Host $http_host; proxy_set_header X-Request-ID $request_id; proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Scheme $scheme; proxy_set_header X-Scheme $scheme;`

// nginxConf is tuned for the benchmark: ingress-nginx's own settings, which do not buffer
// answers (proxy_buffer_size 4k, ssl_buffer_size 4k), cost nginx several times as much
// for large bodies.
const nginxConf = `daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr error; worker_rlimit_nofile 65536;
events { worker_connections 16384; multi_accept on; use epoll; }
http {
  %[2]s
  server_tokens off; keepalive_timeout 75s; keepalive_requests 1000000000; tcp_nodelay on; sendfile on; tcp_nopush on;
  client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  client_max_body_size 1m; client_body_buffer_size 16k; server_names_hash_max_size 65536; server_names_hash_bucket_size 128;
  proxy_buffer_size 16k; proxy_buffers 16 32k; proxy_busy_buffers_size 64k; proxy_max_temp_file_size 0; http2_max_concurrent_streams 128;
  map $http_upgrade $upgrade_or_not { default upgrade; '' ''; }
  upstream origin { server %[3]s; keepalive 320; keepalive_requests 1000000000; }
  ssl_certificate %[6]s; ssl_certificate_key %[7]s; ssl_protocols TLSv1.2 TLSv1.3; ssl_ecdh_curve X25519:P-256;
  ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384; ssl_session_cache shared:SSL:10m; ssl_session_tickets %[8]s;
  server {
    listen %[4]s backlog=4096 default_server reuseport;
    listen %[5]s ssl http2 backlog=4096 default_server reuseport;
    server_name %[11]s;
    location / {
      %[9]s
    }
  }
%[10]s}
`
