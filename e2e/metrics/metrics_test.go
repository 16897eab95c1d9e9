package metrics

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
)

const prefix = "nginx_ingress_controller_"

// TestMetrics does one of everything to an installed controller and asks Prometheus for it.
func TestMetrics(t *testing.T) {
	s := setScene(t)
	p := startPrometheus(t, s.pods)
	for _, part := range []struct {
		name string
		run  func(*scene, *testing.T, *prometheus)
	}{
		{"requests", (*scene).requests}, {"hosts nobody names", (*scene).undefined}, {"connections", (*scene).connections}, {"webhook", (*scene).webhook},
		{"settings", (*scene).settings}, {"leader", (*scene).leader}, {"certificates", (*scene).certificates}, {"orphans", (*scene).orphans},
		{"process", (*scene).process}, {"every name and label", (*scene).names},
	} {
		t.Run(part.name, func(t *testing.T) {
			part.run(&scene{&bed.Space{TB: t, Bed: kube, Name: s.Name}, s.pods, s.leaf, s.roots}, t, p)
		})
	}
}

// becomes waits until an expression has these values by some labels.
func (s *scene) becomes(p *prometheus, want map[string]float64, expr string, by ...string) {
	s.Helper()
	s.Eventually(30*time.Second, func() error {
		got, err := p.values(expr, by...)
		if err == nil && !maps.Equal(got, want) {
			err = fmt.Errorf("%s is\n%v, want\n%v", expr, got, want)
		}
		return err
	})
}

// both gives both Pods a value.
func (s *scene) both(v float64) map[string]float64 {
	return map[string]float64{s.pods[0].Name: v, s.pods[1].Name: v}
}

// requests: each is counted once, under its status, method, path, host and Ingress, at the
// Pod that answered.
func (s *scene) requests(t *testing.T, p *prometheus) {
	for _, r := range []struct {
		times, pod  int
		method, url string
		status      int
	}{
		{3, 0, "GET", "http://shop/shop/a?b", 200}, {2, 1, "GET", "http://shop/shop", 200}, {1, 0, "POST", "http://shop/shop", 200},
		{1, 0, "GET", "http://shop/shop?status=404", 404}, {2, 0, "GET", "http://shop/nowhere", 404},
		{1, 0, "GET", "http://empty/", 503}, {1, 0, "GET", "http://lost/", 503}, {1, 0, "GET", "http://secure/", 308}, {2, 0, "GET", "https://secure/", 200},
		{1, 0, "GET", "http://shut/", 401}, {1, 0, "GET", "http://joe:secret@shut/", 200}, {2, 0, "GET", "http://limited/", 200}, {1, 0, "GET", "http://limited/", 503},
	} {
		for range r.times {
			body := ""
			if r.method == "POST" {
				body = strings.Repeat("x", 5000)
			}
			s.must(s.send(r.pod, r.method, r.url, body, r.status))
		}
	}
	s.talk(0).Close()
	own := func(ingress, service string) string { return s.Name + " " + ingress + " " + service }
	want := map[string]float64{}
	add := func(n float64, pod int, who, host, path, method, status string) {
		want[strings.Join([]string{s.pods[pod].Name, who, s.Host(host), path, method, status}, " ")] = n
	}
	add(3, 0, own("shop", "echo"), "shop", "/shop", "GET", "200")
	add(2, 1, own("shop", "echo"), "shop", "/shop", "GET", "200")
	add(1, 0, own("shop", "echo"), "shop", "/shop", "POST", "200")
	add(1, 0, own("shop", "echo"), "shop", "/shop", "GET", "404")
	add(2, 0, own("shop", ""), "shop", "/", "GET", "404")
	add(1, 0, own("empty", "nobody"), "empty", "/", "GET", "503")
	add(1, 0, own("lost", "nothing"), "lost", "/", "GET", "503")
	add(1, 0, own("secure", "echo"), "secure", "/", "GET", "308")
	add(2, 0, own("secure", "echo"), "secure", "/", "GET", "200")
	add(1, 0, own("shut", "echo"), "shut", "/", "GET", "401")
	add(1, 0, own("shut", "echo"), "shut", "/", "GET", "200")
	add(2, 0, own("limited", "echo"), "limited", "/", "GET", "200")
	add(1, 0, own("limited", "echo"), "limited", "/", "GET", "503")
	add(1, 0, own("socket", "echo"), "socket", "/ws", "GET", "101")
	by := []string{"controller_pod", "namespace", "ingress", "service", "host", "path", "method", "status"}
	ours := fmt.Sprintf(`{controller_namespace="ingress-nginx",controller_class="k8s.io/ingress-nginx",host=~".*%s.example.com",method!="HEAD"}`, s.Name)
	for _, name := range []string{"requests", "request_duration_seconds_count", "request_size_count", "response_size_count", "bytes_sent_count"} {
		s.becomes(p, want, prefix+name+ours, by...)
	}
	maps.DeleteFunc(want, func(key string, _ float64) bool { // what no endpoint answered
		return strings.Contains(key, "  ") || strings.HasSuffix(key, " 503") || strings.HasSuffix(key, " 308") || strings.HasSuffix(key, " 401")
	})
	for _, name := range []string{"connect_duration_seconds_count", "header_duration_seconds_count", "response_duration_seconds_count"} {
		s.becomes(p, want, prefix+name+ours, by...)
	}
	s.dashboard(p)
}

// dashboard asks what dashboards ask, of the requests so far.
func (s *scene) dashboard(p *prometheus) {
	s.Helper()
	shop := fmt.Sprintf(`{host=%q,method!="HEAD"`, s.Host("shop"))
	s.becomes(p, map[string]float64{"": 6. / 9}, `sum(`+prefix+`requests`+shop+`,status!~"[4-5].*"}) / sum(`+prefix+`requests`+shop+`})`)
	s.becomes(p, map[string]float64{"shop": 9}, `sum(`+prefix+`requests`+shop+`}) by (ingress)`, "ingress")
	for expr, within := range map[string][2]float64{
		`histogram_quantile(0.99, sum(` + prefix + `request_duration_seconds_bucket` + shop + `}) by (le))`: {0, 10},
		`sum(` + prefix + `request_size_sum` + shop + `,method="POST"})`:                                    {5000, 6000},
		`sum(` + prefix + `response_size_sum` + shop + `,status="200"})`:                                    {6 * 200, 6 * 2000},
	} {
		got, err := p.values(expr)
		if v, there := got[""]; err != nil || !there || v <= within[0] || v > within[1] {
			s.Errorf("%s is %v (%v), want between %v", expr, got, err, within)
		}
	}
}

// undefined: a request for a host that nobody names is one of the process alone.
func (s *scene) undefined(t *testing.T, p *prometheus) {
	had, err := s.pods[0].Metrics(t.Context())
	s.must(err)
	const host = "nobody.elsewhere.test"
	s.must(s.send(0, "GET", "http://"+host+"/", "", 404))
	total := prefix + "nginx_process_requests_total"
	s.becomes(p, map[string]float64{"": had[total] + 1}, fmt.Sprintf(`%s{controller_pod=%q}`, total, s.pods[0].Name))
	if got, err := p.ask(fmt.Sprintf(`{__name__=~"%s.*",host=%q}`, prefix, host)); err != nil || len(got) > 0 {
		t.Errorf("metrics of a host that nobody names: %v, %v", got, err)
	}
}

// connections: nginx's states, of one half request, one WebSocket and nothing else.
func (s *scene) connections(t *testing.T, p *prometheus) {
	states := func(active, reading, writing, waiting float64) map[string]float64 {
		return map[string]float64{"active": active, "reading": reading, "writing": writing, "waiting": waiting}
	}
	expr := fmt.Sprintf(`%snginx_process_connections{controller_pod=%q}`, prefix, s.pods[0].Name)
	s.becomes(p, states(0, 0, 0, 0), expr, "state")
	half, socket := s.half(0), s.talk(0)
	s.becomes(p, states(2, 1, 1, 0), expr, "state")
	text, err := s.pods[0].Get(t.Context(), "http://127.0.0.1:10246/nginx_status")
	if err != nil || !strings.HasPrefix(string(text), "Active connections: 2 \n") || !strings.HasSuffix(string(text), "\nReading: 1 Writing: 1 Waiting: 0 \n") {
		t.Errorf("/nginx_status is %q, %v", text, err)
	}
	half.Close()
	socket.Close()
	s.becomes(p, states(0, 0, 0, 0), expr, "state")
	s.becomes(p, map[string]float64{"": 0}, fmt.Sprintf(`%[1]s{controller_pod=%[2]q,state="accepted"} - ignoring(state) %[1]s{controller_pod=%[2]q,state="handled"}`,
		prefix+"nginx_process_connections_total", s.pods[0].Name))
}

// webhook: what was let in and what was refused, at whichever Pod was asked.
func (s *scene) webhook(t *testing.T, p *prometheus) {
	twice := s.ingress("twice", "/shop", "echo", "")
	twice = strings.ReplaceAll(twice, "host: "+s.Host("twice"), "host: "+s.Host("shop"))
	if _, err := kube.RunKubectl(t.Context(), twice, "-n", s.Name, "apply", "-f", "-"); err == nil || !strings.Contains(err.Error(), "is already defined in ingress") {
		t.Fatalf("a path that another Ingress has: %v", err)
	}
	here := fmt.Sprintf(`{namespace=%q})`, s.Name)
	s.becomes(p, map[string]float64{"twice": 1}, `sum by (ingress) (`+prefix+`check_errors`+here, "ingress")
	want := map[string]float64{}
	for _, name := range []string{"limited", "shut", "shop", "socket", "empty", "lost", "secure"} {
		want[name] = 1
	}
	s.becomes(p, want, `sum by (ingress) (`+prefix+`check_success`+here, "ingress")
	for name, least := range map[string]float64{"admission_tested_ingresses": 1, "admission_tested_duration": 1e-9, "admission_roundtrip_duration": 1e-9} {
		if got, err := p.values(`max(` + prefix + name + `)`); err != nil || got[""] < least || got[""] > 1000 {
			t.Errorf("%s is %v, %v", name, got, err)
		}
	}
	s.becomes(p, s.both(0), prefix+`admission_render_ingresses + `+prefix+`admission_render_duration + `+prefix+`admission_config_size`, "controller_pod")
}

// settings: a change of the ConfigMap is one more success in both Pods, which agree.
func (s *scene) settings(t *testing.T, p *prometheus) {
	hash := func() float64 {
		got, err := p.values(prefix+"config_hash", "controller_pod")
		s.must(err)
		if len(got) != 2 || got[s.pods[0].Name] != got[s.pods[1].Name] || got[s.pods[0].Name] == 0 {
			t.Fatalf("the hashes are %v", got)
		}
		return got[s.pods[0].Name]
	}
	had := hash()
	want := map[string]float64{}
	for _, pod := range s.pods {
		now, err := pod.Metrics(t.Context())
		s.must(err)
		want[pod.Name] = now[prefix+"success"] + 1
	}
	s.KubectlIn(kube.Installed.Namespace, "", "patch", "configmap", "ingress-nginx-controller", "--type=merge", "--patch", `{"data":{"server-tokens":"true"}}`)
	s.becomes(p, want, prefix+"success", "controller_pod")
	if now := hash(); now == had {
		t.Errorf("the hash is still %v", now)
	}
	s.becomes(p, s.both(0), prefix+"errors", "controller_pod")
	s.becomes(p, map[string]float64{"": 2}, `count(`+prefix+`config_last_reload_successful == 1)`)
	s.becomes(p, map[string]float64{"": 2}, `count(time() - `+prefix+`config_last_reload_successful_timestamp_seconds < 60)`)
}

// certificates: those of hosts with what is in them, told by one Pod.
func (s *scene) certificates(t *testing.T, p *prometheus) {
	const by = "namespace class host secret_name identifier"
	serial := s.leaf.SerialNumber.String()
	who := strings.Join([]string{s.Name, "k8s.io/ingress-nginx", s.Host("secure"), "pair", "-" + serial}, " ")
	expr := fmt.Sprintf(`%%s{host=%q}`, s.Host("secure"))
	s.becomes(p, map[string]float64{who: float64(s.leaf.NotAfter.Unix())}, fmt.Sprintf(expr, prefix+"ssl_expire_time_seconds"), strings.Fields(by)...)
	s.becomes(p, map[string]float64{who + " Tests " + s.Host("secure") + " " + serial + " ECDSA": 1}, fmt.Sprintf(expr, prefix+"ssl_certificate_info"),
		strings.Fields(by+" issuer_organization issuer_common_name serial_number public_key_algorithm")...)
	s.becomes(p, map[string]float64{"ingress-nginx webhook": 1}, prefix+`ssl_certificate_info{host="_"}`, "namespace", "secret_name")
}

// leader: one of two Pods leads, by one Lease, and that is who the Lease names.
func (s *scene) leader(_ *testing.T, p *prometheus) {
	want := s.both(0)
	s.Eventually(60*time.Second, func() error {
		holder := s.KubectlIn(kube.Installed.Namespace, "", "get", "lease", kube.Installed.Lease, "-o", "jsonpath={.spec.holderIdentity}")
		if _, ours := want[holder]; !ours {
			return fmt.Errorf("%q leads", holder)
		}
		want[holder] = 1
		return nil
	})
	s.becomes(p, want, fmt.Sprintf(`%sleader_election_status{name=%q}`, prefix, kube.Installed.Lease), "controller_pod")
	s.becomes(p, map[string]float64{"": 1}, `sum(`+prefix+`leader_election_status)`)
}

// orphans: Ingresses whose backends lead nowhere, and why.
func (s *scene) orphans(_ *testing.T, p *prometheus) {
	s.becomes(p, map[string]float64{"empty no-endpoint": 2, "lost no-service": 2}, fmt.Sprintf(`sum by (ingress, type) (%sorphan_ingress{namespace=%q})`, prefix, s.Name), "ingress", "type")
}

// process: what the system knows of both processes.
func (s *scene) process(t *testing.T, p *prometheus) {
	for _, tt := range []struct {
		name        string
		least, most float64
	}{
		{"num_procs", 1, 1}, {"cpu_seconds_total", 0.01, 600}, {"read_bytes_total", 0, 1e10}, {"write_bytes_total", 0, 1e10},
		{"resident_memory_bytes", 10e6, 1e9}, {"virtual_memory_bytes", 100e6, 1e13},
	} {
		got, err := p.values(prefix+"nginx_process_"+tt.name, "controller_pod")
		if err != nil || len(got) != 2 {
			t.Fatalf("%s is %v, %v", tt.name, got, err)
		}
		for pod, v := range got {
			if v < tt.least || v > tt.most {
				t.Errorf("%s of %s is %v, want from %v to %v", tt.name, pod, v, tt.least, tt.most)
			}
		}
	}
	s.becomes(p, map[string]float64{"": 2}, `count((time() - `+prefix+`nginx_process_oldest_start_time_seconds) < 900)`)
	s.becomes(p, map[string]float64{"": 2}, `count(`+prefix+`build_info{repository=~"https://.+",release!=""} == 1)`)
}

// names: everything that the manual lists is there with just the labels that it lists.
// Prometheus does not store labels that are empty.
func (s *scene) names(t *testing.T, p *prometheus) {
	text, err := os.ReadFile(filepath.Join(bed.Repository, "docs", "metrics.md"))
	s.must(err)
	rows := regexp.MustCompile("(?m)^\\| `("+prefix+"\\w+)` \\| (\\w+) \\| ([^|]*) \\|").FindAllStringSubmatch(string(text), -1)
	if len(rows) != 36 {
		t.Fatalf("the manual has %d metrics", len(rows))
	}
	empty := map[string]bool{"canary": true, "build": true} // canaries are not served yet; the program may be of no commit
	for _, row := range rows {
		name, want := row[1], strings.Split(strings.TrimSpace(row[3]), ", ")
		forms := []string{""}
		if row[2] == "histogram" {
			forms = []string{"_bucket", "_count", "_sum"}
		}
		for _, form := range forms {
			all, err := p.ask(name + form)
			if err == nil && len(all) == 0 {
				err = errors.New("there is none")
			}
			if err != nil {
				t.Errorf("%s: %v", name+form, err)
				continue
			}
			seen := map[string]bool{}
			for _, one := range all {
				for label := range one.labels {
					seen[label] = true
				}
			}
			maps.DeleteFunc(seen, func(label string, _ bool) bool { return label == "__name__" || label == "le" || label == "build" })
			got := slices.Sorted(maps.Keys(seen))
			list := slices.DeleteFunc(slices.Sorted(slices.Values(want)), func(label string) bool { return empty[label] })
			if !slices.Equal(got, list) {
				t.Errorf("%s has the labels %q, want %q", name+form, got, list)
			}
		}
	}
}

// TestEnd: a Pod that is told to end is not ready at once, and serves meanwhile.
func TestEnd(t *testing.T) {
	pods, err := kube.Pods(t.Context())
	if err != nil || len(pods) != 2 {
		t.Fatalf("%d Pods, %v", len(pods), err)
	}
	s := &scene{Space: kube.Space(t), pods: pods}
	s.Kubectl(s.ingress("app", "/", "echo", ""), "apply", "-f", "-")
	s.Eventually(30*time.Second, func() error { return s.send(0, "GET", "http://app/", "", 200) })
	s.KubectlIn(kube.Installed.Namespace, "", "delete", "pod", pods[0].Name, "--wait=false")
	s.Eventually(4*time.Second, func() error {
		text, err := pods[0].Get(t.Context(), "http://127.0.0.1:10254/healthz")
		if err == nil {
			return fmt.Errorf("/healthz still says %s", text)
		}
		if !strings.Contains(err.Error(), "500") || !strings.Contains(err.Error(), "the ingress controller is shutting down") {
			t.Fatal(err)
		}
		return nil
	})
	s.must(s.send(0, "GET", "http://app/", "", 200))
	s.KubectlIn(kube.Installed.Namespace, "", "rollout", "status", "deployment/"+kube.Installed.Deployment, "--timeout=60s")
}
