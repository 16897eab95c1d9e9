package control

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// ingress-nginx's metrics of nginx's processes: here of this one.
var (
	mNginxConnsN   = newProcess("connections_total", "counter", " state", "Client connections, by state: accepted; handled, which is the same here.")
	mNginxRequests = newProcess("requests_total", "counter", "", "Requests, also those that no route took.")
	mNginxConns    = newProcess("connections", "gauge", " state", "Client connections, by state: active are all; reading have sent a part of an HTTP/1 request head; writing are requests being served; waiting are the others, also those in a TLS handshake and those of HTTP/2 without a request.")
	mNginxProcs    = newProcess("num_procs", "gauge", "", "1: this one.")
	mNginxCPU      = newProcess("cpu_seconds_total", "counter", "", "CPU time used.")
	mNginxRead     = newProcess("read_bytes_total", "counter", "", "Bytes read from disks.")
	mNginxWritten  = newProcess("write_bytes_total", "counter", "", "Bytes written to disks.")
	mNginxResident = newProcess("resident_memory_bytes", "gauge", "", "Memory in use.")
	mNginxVirtual  = newProcess("virtual_memory_bytes", "gauge", "", "Address space, most of which is never used by a program in Go.")
	mNginxStart    = newProcess("oldest_start_time_seconds", "gauge", "", "When the process started.")
)

func newProcess(name, kind, label, doc string) *metric {
	return newNginx("nginx_process_"+name, kind, controllerLabels+label, doc)
}

// processReader reads what the operating system knows of this process.
type processReader struct{ from *prometheus.Registry }

func newProcessReader() *processReader {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &processReader{reg}
}

// read returns values by the names of client_golang; those that cannot be read are left
// out.
func (p *processReader) read() map[string]float64 {
	families, _ := p.from.Gather() // what could be read is there beside the error
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			values[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return values
}

// collectProcess collects of this process what ingress-nginx tells of nginx.
func (k *collector) collectProcess(send sender, stands *standing) {
	opt := &k.c.opt.Metrics
	if opt.Pod == "" || stands.plan == nil || len(stands.plan.Config.Controllers) != 1 {
		return
	}
	who := opt.identity(&stands.plan.Config.Controllers[0])
	n := k.c.Traffic()
	send(mNginxConnsN, float64(n.Accepted), who.labels("accepted")...)
	send(mNginxConnsN, float64(n.Accepted), who.labels("handled")...)
	send(mNginxRequests, float64(n.Requests), who.labels()...)
	send(mNginxConns, float64(n.Active), who.labels("active")...)
	send(mNginxConns, float64(n.Reading), who.labels("reading")...)
	send(mNginxConns, float64(n.Writing), who.labels("writing")...)
	send(mNginxConns, float64(n.Waiting), who.labels("waiting")...)
	send(mNginxProcs, 1, who.labels()...)
	values := k.process.read()
	for _, v := range []struct {
		m    *metric
		name string
	}{
		{mNginxCPU, "process_cpu_seconds_total"}, {mNginxResident, "process_resident_memory_bytes"},
		{mNginxVirtual, "process_virtual_memory_bytes"}, {mNginxStart, "process_start_time_seconds"},
	} {
		if value, ok := values[v.name]; ok {
			send(v.m, value, who.labels()...)
		}
	}
	if read, written, ok := diskBytes(); ok {
		send(mNginxRead, read, who.labels()...)
		send(mNginxWritten, written, who.labels()...)
	}
}
