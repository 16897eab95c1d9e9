package control

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/pierhead/pierhead/internal/proxy"
)

// ingress-nginx's metrics of nginx's processes: here of this one.
var (
	mNginxConnsN   = newProcess("connections_total", "counter", " state", "Client connections, by state: accepted; handled, which is the same here.")
	mNginxRequests = newProcess("requests_total", "counter", "", "Requests, also those that no route took.")
	mNginxConns    = newProcess("connections", "gauge", " state", "Client connections, by state: active are all, writing are requests being served, waiting are connections without one; reading is 0, since a head that is being read belongs to waiting here.")
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
func (k *collector) collectProcess(send sender, stands *standing, served map[string]*proxy.Metrics) {
	opt := &k.c.opt.Metrics
	if opt.Pod == "" || stands.plan == nil || len(stands.plan.Config.Controllers) != 1 {
		return
	}
	who := opt.identity(&stands.plan.Config.Controllers[0])
	n := k.c.runs.listeners.Counts()
	requests, inFlight := uint64(0), int64(0)
	for _, m := range served {
		requests += m.Requests
		inFlight += m.InFlight
	}
	send(mNginxConnsN, float64(n.Accepted), who.labels("accepted")...)
	send(mNginxConnsN, float64(n.Accepted), who.labels("handled")...)
	send(mNginxRequests, float64(requests), who.labels()...)
	send(mNginxConns, float64(n.Active), who.labels("active")...)
	send(mNginxConns, 0, who.labels("reading")...)
	send(mNginxConns, float64(inFlight), who.labels("writing")...)
	send(mNginxConns, float64(max(n.Active-inFlight, 0)), who.labels("waiting")...)
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
