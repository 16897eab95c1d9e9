package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// proxy is one process under test.
type proxy struct {
	name, addr string
	cmd        *exec.Cmd
	log        bytes.Buffer
}

// startProxies starts ours, Go's ReverseProxy and nginx, if there is one.
func startProxies(ctx context.Context, dir, origin string) (ps []*proxy, err error) {
	ours, err := startPierhead(ctx, dir, origin)
	if err != nil {
		return nil, err
	}
	ps = append(ps, ours)
	self, err := os.Executable()
	if err != nil {
		return ps, err
	}
	addr := freeAddr()
	rp, err := start(ctx, "reverseproxy", addr, self, "reverseproxy", addr, origin)
	if err != nil {
		return ps, err
	}
	ps = append(ps, rp)
	if bin, err := exec.LookPath("nginx"); err == nil {
		ng, err := startNginx(ctx, bin, dir, origin)
		if err != nil {
			return ps, err
		}
		ps = append(ps, ng)
	}
	return ps, nil
}

func start(ctx context.Context, name, addr, bin string, args ...string) (*proxy, error) {
	p := &proxy{name: name, addr: addr, cmd: exec.CommandContext(ctx, bin, args...)}
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for end := time.Now().Add(15 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return p, nil
		}
		if time.Now().After(end) {
			p.stop()
			return nil, fmt.Errorf("%s does not listen on %s: %s", name, addr, p.log.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *proxy) stop() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	p.cmd.Wait()
}

// cpu returns the CPU time the process and its children have used.
func (p *proxy) cpu() (total time.Duration, err error) {
	pids := []string{strconv.Itoa(p.cmd.Process.Pid)}
	out, _ := os.ReadFile(fmt.Sprintf("/proc/%s/task/%s/children", pids[0], pids[0]))
	pids = append(pids, strings.Fields(string(out))...)
	for _, pid := range pids {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return 0, err
		}
		f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, i := range []int{11, 12} { // utime and stime, in ticks of 10 ms
			n, err := strconv.Atoi(f[i])
			if err != nil {
				return 0, err
			}
			total += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return total, nil
}

func startPierhead(ctx context.Context, dir, origin string) (*proxy, error) {
	bin := filepath.Join(dir, "pierhead")
	build := exec.CommandContext(ctx, "go", "build", "-o", bin, "github.com/pierhead/pierhead/cmd/pierhead")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	host, port, _ := net.SplitHostPort(origin)
	manifests := filepath.Join(dir, "manifests.yml")
	if err := os.WriteFile(manifests, []byte(fmt.Sprintf(manifest, host, port)), 0o644); err != nil {
		return nil, err
	}
	addr := freeAddr()
	_, httpPort, _ := net.SplitHostPort(addr)
	_, httpsPort, _ := net.SplitHostPort(freeAddr())
	return start(ctx, "pierhead", addr, bin, "up", "--listen-address", "127.0.0.1", "--http-port", httpPort, "--https-port", httpsPort,
		"--configmap", "ingress-nginx/ingress-nginx-controller", "--admin-listen", freeAddr(), "--dns-listen", "off", manifests)
}

const manifest = `apiVersion: v1
kind: Service
metadata: {name: origin, namespace: default}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: origin-1, namespace: default, labels: {kubernetes.io/service-name: origin}}
addressType: IPv4
endpoints: [{addresses: ["%s"]}]
ports: [{port: %s}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
data: {disable-access-log: "true"}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: bench, namespace: default, annotations: {kubernetes.io/ingress.class: nginx}}
spec:
  rules:
  - host: bench.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: origin, port: {number: 80}}}}]}
`

func startNginx(ctx context.Context, bin, dir, origin string) (*proxy, error) {
	addr := freeAddr()
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  upstream origin { server %[2]s; keepalive 320; keepalive_requests 1000000000; }
  server {
    listen %[3]s;
    server_name bench.example.com;
    location / {
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
      proxy_set_header Host $http_host; proxy_set_header X-Request-ID $request_id; proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Port 80;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Scheme $scheme; proxy_set_header X-Scheme $scheme;
    }
  }
}
`, dir, origin, addr)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return start(ctx, "nginx", addr, bin, "-p", dir, "-c", conf)
}

// reverseProxy is Go's ReverseProxy with the header fields that the others set.
func reverseProxy(listen, origin string) {
	to := &url.URL{Scheme: "http", Host: origin}
	rp := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, DisableCompression: true},
	}
	if err := http.ListenAndServe(listen, rp); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func freeAddr() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
