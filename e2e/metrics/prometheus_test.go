package metrics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/e2e/bed"
)

// prometheus is a Prometheus in the cluster's network.
type prometheus struct {
	client *http.Client
	log    *bytes.Buffer
}

// at is where it answers, in the cluster's network.
const at = "127.0.0.1:19090"

// startPrometheus has one scrape the Pods until the end of the test.
func startPrometheus(t *testing.T, pods []*bed.Pod) *prometheus {
	t.Helper()
	dir := t.TempDir()
	var targets []string
	for _, p := range pods {
		targets = append(targets, strconv.Quote(p.IP+":10254"))
	}
	config := fmt.Sprintf("global: {scrape_interval: 500ms, scrape_timeout: 500ms}\nscrape_configs: [{job_name: pierhead, static_configs: [{targets: [%s]}]}]\n", strings.Join(targets, ", "))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := kube.Command(t.Context(), "prometheus", "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+at)
	p := &prometheus{client: &http.Client{Transport: kube.Transport()}, log: new(bytes.Buffer)}
	cmd.Stderr = p.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run .ci/tools", err)
	}
	t.Cleanup(func() {
		p.client.CloseIdleConnections()
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(p.log)
		}
	})
	return p
}

// sample is a series and its last value.
type sample struct {
	labels map[string]string
	value  float64
}

// ask returns what an expression comes to. A value that is no number is an error.
func (p *prometheus) ask(expr string) ([]sample, error) {
	resp, err := p.client.Get("http://" + at + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Error != "" {
		return nil, fmt.Errorf("%s: %v %s", expr, err, answer.Error)
	}
	var all []sample
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%s has the value %q for %v", expr, text, r.Metric)
		}
		labels := maps.Clone(r.Metric)
		delete(labels, "job")
		delete(labels, "instance")
		all = append(all, sample{labels, v})
	}
	return all, nil
}

// values returns what an expression comes to, by the values of some labels.
func (p *prometheus) values(expr string, by ...string) (map[string]float64, error) {
	all, err := p.ask(expr)
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for _, s := range all {
		var words []string
		for _, l := range by {
			words = append(words, s.labels[l])
		}
		key := strings.Join(words, " ")
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("%s has %q twice", expr, key)
		}
		out[key] = s.value
	}
	return out, nil
}
