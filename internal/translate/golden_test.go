package translate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
	"github.com/pierhead/pierhead/internal/source/file"
	"github.com/pierhead/pierhead/internal/translate"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata")

// options are those of pierhead up without flags.
func options() translate.Options {
	return translate.Options{Standalone: true, Default: &translate.Default{Flags: translate.DefaultFlags()}}
}

// load writes the manifests of an archive to a folder of their own and reads them
// from there.
func load(t *testing.T, files []txtar.File) (*translate.Objects, []model.Problem) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		if !isManifest(f.Name) {
			continue
		}
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, withKeys(t, f.Data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return file.New(".").Load()
}

func isManifest(name string) bool {
	return filepath.Ext(name) == ".yaml" || (filepath.Ext(name) == ".json" && name != "model.json")
}

// TestManifests holds each archive of testdata/manifests against the model, the
// problems and the endpoints it names.
func TestManifests(t *testing.T) {
	archives, err := filepath.Glob("../../testdata/manifests/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, path := range archives {
		path, _ := filepath.Abs(path)
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			objects, problems := load(t, archive.Files)
			cfg, more := translate.Translate(objects, options())
			got := map[string]string{
				"model.json":    view(t, cfg),
				"problems.txt":  problemText(append(problems, more...)),
				"endpoints.txt": endpointText(translate.Endpoints(objects, cfg)),
			}
			for i, f := range archive.Files {
				text, ok := got[f.Name]
				if !ok {
					continue
				}
				if *update {
					archive.Files[i].Data = []byte(text)
				} else if diff := cmp.Diff(string(f.Data), text); diff != "" {
					t.Errorf("%s differs (-want +got):\n%s", f.Name, diff)
				}
			}
			if *update {
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestWorkflow2017 reads the YAML of the 2017 workflow as it stands: what is an error
// there is one for Kubernetes too, each in its line.
func TestWorkflow2017(t *testing.T) {
	t.Chdir("../../testdata/workflow2017")
	objects, problems := file.New(".").Load()
	_, more := translate.Translate(objects, options())
	all := model.SortProblems(append(problems, more...))
	for _, p := range all {
		if p.Severity == model.Error && p.Origin.Line == 0 {
			t.Errorf("the problem has no line: %s", p)
		}
		if p.Severity == model.Error && !strings.Contains(p.Reason, "Kubernetes would answer") && !strings.Contains(p.Reason, "cannot be parsed") {
			t.Errorf("Kubernetes would not refuse this: %s", p)
		}
	}
	got := problemText(all)
	if *update {
		if err := os.WriteFile("problems.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("problems.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("problems differ (-want +got):\n%s", diff)
	}
}

func problemText(ps []model.Problem) string {
	var b strings.Builder
	for _, p := range model.SortProblems(ps) {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

func endpointText(sets []model.EndpointSet) string {
	var b strings.Builder
	for _, s := range sets {
		b.WriteString(s.Upstream)
		for _, a := range s.Endpoints {
			b.WriteString(" " + a.String())
		}
		b.WriteString("\n")
	}
	return b.String()
}

// view prints a Config for people: policies by name, without those that every route
// has; origins by place; settings and empty values left out.
func view(t *testing.T, cfg *model.Config) string {
	t.Helper()
	usual := map[string]bool{}
	for _, p := range policy.Route(policy.Input{}).Policies {
		usual[p.PolicyName()] = true
	}
	policies := map[string][]any{}
	for _, c := range cfg.Controllers {
		for _, h := range c.Hosts {
			for _, r := range h.Routes {
				for _, p := range r.Policies {
					if !usual[p.PolicyName()] {
						policies[r.ID] = append(policies[r.ID], p.PolicyName())
					}
				}
			}
		}
	}
	raw, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	v, _ = tidy(v, policies)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// tidy returns a value without its empty parts, and whether anything is left.
func tidy(v any, policies map[string][]any) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		if file, ok := v["file"].(string); ok {
			line, _ := json.Marshal(v["line"])
			return file + ":" + string(line), true
		}
		if settings, ok := v["Settings"].(map[string]any); ok {
			v["Settings"] = map[string]any{"DefaultCertificate": settings["DefaultCertificate"]}
		}
		if id, ok := v["ID"].(string); ok {
			v["Policies"] = policies[id]
		}
		if _, ok := v["Digest"]; ok {
			delete(v, "Digest") // keys are made anew for each run
		}
		for k := range v {
			kept, ok := tidy(v[k], policies)
			if v[k] = kept; !ok {
				delete(v, k)
			}
		}
		return v, len(v) > 0
	case []any:
		for i := range v {
			v[i], _ = tidy(v[i], policies)
		}
		return v, len(v) > 0
	}
	return v, v != nil && v != "" && v != false && v != 0.0
}

var keyMark = regexp.MustCompile(`@(cert|key|text):([^@]*)@`)

// withKeys replaces @cert:names@ and @key:names@ by base64 of a key pair for these
// names, and @text:…@ by base64 of the text.
func withKeys(t *testing.T, text []byte) []byte {
	return keyMark.ReplaceAllFunc(text, func(mark []byte) []byte {
		m := keyMark.FindSubmatch(mark)
		data := m[2]
		switch pair := keyPair(t, string(m[2])); string(m[1]) {
		case "cert":
			data = pair[0]
		case "key":
			data = pair[1]
		}
		return []byte(base64.StdEncoding.EncodeToString(data))
	})
}

var keyPairs = map[string][2][]byte{}

// keyPair returns a certificate and its key for names with commas between them.
func keyPair(t *testing.T, names string) [2][]byte {
	t.Helper()
	if p, ok := keyPairs[names]; ok {
		return p
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Split(names, ",")
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: list[0]}, DNSNames: list,
		NotBefore: time.Unix(1500000000, 0), NotAfter: time.Unix(4000000000, 0),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p := [2][]byte{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
	keyPairs[names] = p
	return p
}
