package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/manual"
	"github.com/pierhead/pierhead/internal/translate"
)

// TestFlagsAreTold holds that docs/flags.md lists the controller's flags as they are.
func TestFlagsAreTold(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| flag | default | state | what it does |\n|---|---|---|---|\n")
	for _, row := range translate.FlagRows() {
		def := ""
		if row.Default != "" {
			def = "`" + row.Default + "`"
		}
		fmt.Fprintf(&b, "| `--%s` | %s | %s | %s |\n", row.Name, def, row.State, row.Doc)
	}
	manual.Compare(t, "flags.md", "flags", b.String()+"\n")
}

// TestOwnPortsAreTold holds that docs/install.md lists the ports that streams cannot have.
func TestOwnPortsAreTold(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| flag | default |\n|---|---|\n")
	for _, row := range translate.OwnPorts() {
		if row.Default == "0" {
			row.Default = "none; the chart gives it 8443"
		}
		fmt.Fprintf(&b, "| `--%s` | %s |\n", row.Name, row.Default)
	}
	manual.Compare(t, "install.md", "own-ports", b.String()+"\n")
}

// TestByName: every way in which manifests start ingress-nginx's program, and the names
// of the plugin.
func TestByName(t *testing.T) {
	for line, want := range map[string]string{
		"/usr/bin/pierhead up .": "up .",
		"pierhead":               "",
		"/nginx-ingress-controller --election-id=x":                         "controller --election-id=x",
		"pierhead /nginx-ingress-controller --v=2":                          "controller --v=2",
		"/usr/bin/kubectl-pierhead routes -n a":                             "kubectl routes -n a",
		"kubectl-pierhead.exe info":                                         "kubectl info",
		"kubectl_complete-pierhead ro":                                      "kubectl kubectl_complete-pierhead ro",
		"pierhead explain nginx-ingress-controller":                         "explain nginx-ingress-controller",
		"/nginx-ingress-controller /nginx-ingress-controller --configmap=x": "controller /nginx-ingress-controller --configmap=x",
	} {
		if got := strings.Join(byName(strings.Fields(line)), " "); got != want {
			t.Errorf("%s means %q, want %q", line, got, want)
		}
	}
}

// TestControllerRefuses: what ingress-nginx would not start with ends the process and
// says what to do.
func TestControllerRefuses(t *testing.T) {
	t.Setenv("POD_NAME", "")
	t.Setenv("POD_NAMESPACE", "a")
	for line, want := range map[string]string{
		"":              "POD_NAME",
		"--nonsense":    "--nonsense",
		"--http-port=0": "--http-port=0",
		"--watch-namespace=a --watch-namespace-selector=b=c":       "remove one of them",
		"--publish-service=a/b --publish-status-address=192.0.2.1": "remove one of them",
		"/nginx-ingress-controller --configmap=x":                  "namespace/name",
	} {
		err := runController(context.Background(), strings.Fields(line), &bytes.Buffer{}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error about %s", line, err, want)
		}
	}
}

// TestControllerWarns: flags without effect are told and end nothing.
func TestControllerWarns(t *testing.T) {
	t.Setenv("POD_NAME", "")
	var log bytes.Buffer
	err := runController(context.Background(), []string{"--sort-backends", "--disable-node-list", "--sync-rate-limit=1", "--enable-ssl-passthrough"}, &bytes.Buffer{}, &log)
	if err == nil || !strings.Contains(err.Error(), "POD_NAME") {
		t.Errorf("the error is %v", err)
	}
	for _, flag := range []string{"sort-backends", "disable-node-list"} {
		if !strings.Contains(log.String(), flag) {
			t.Errorf("nothing is said of --%s: %s", flag, log.String())
		}
	}
	for _, flag := range []string{"enable-ssl-passthrough", "sync-rate-limit"} {
		if strings.Contains(log.String(), flag) {
			t.Errorf("a flag that is served, or about nginx itself, is told: %s", log.String())
		}
	}
}

// TestControllerNamespaces: the namespaces of everything that flags name are read.
func TestControllerNamespaces(t *testing.T) {
	f := translate.ReadProcessFlags(strings.Fields("--configmap=a/x --default-backend-service=b/x --default-ssl-certificate=c/x --publish-service=d/x"), nil)
	if got := namespaces("own", f); !slices.Equal(got, []string{"own", "a", "b", "c", "d"}) {
		t.Errorf("namespaces are %q", got)
	}
}
