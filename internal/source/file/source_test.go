package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const serviceA = `apiVersion: v1
kind: Service
metadata:
  name: a
spec:
  type: LoadBalancer
  ports:
  - port: 80
`

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// balancers lists the LoadBalancer Services that the source holds, with their ports:
// what tells versions of an object apart here.
func balancers(s *Source) (string, []model.Problem) {
	objects, problems := s.Load()
	cfg, _ := translate.Translate(objects, translate.Options{})
	var texts []string
	for _, lb := range cfg.LoadBalancers {
		text := lb.Namespace + "/" + lb.Name
		for _, p := range lb.Ports {
			text += fmt.Sprintf(":%d", p.Port)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " "), problems
}

func expect(t *testing.T, s *Source, want string, problems ...string) {
	t.Helper()
	got, ps := balancers(s)
	if got != want {
		t.Errorf("objects are %q, want %q", got, want)
	}
	var texts []string
	for _, p := range ps {
		if p.Severity > model.Info {
			texts = append(texts, p.String())
		}
	}
	if len(texts) != len(problems) {
		t.Fatalf("problems are\n%s\nwant %d", strings.Join(texts, "\n"), len(problems))
	}
	for i, part := range problems {
		if !strings.Contains(texts[i], part) {
			t.Errorf("problem %d is %q, want it to hold %q", i, texts[i], part)
		}
	}
}

func service(name string, port int) string {
	return strings.NewReplacer("name: a", "name: "+name, "port: 80", fmt.Sprintf("port: %d", port)).Replace(serviceA)
}

// TestFolders: files of all levels are read; hidden ones, others and what a second
// way leads to are not.
func TestFolders(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, "m/b.yaml", service("b", 1))
	write(t, "m/sub/c.yml", service("c", 2))
	write(t, "m/sub/d.json", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"d"},"spec":{"type":"LoadBalancer","ports":[{"port":3}]}}`)
	write(t, "m/.hidden.yaml", service("e", 4))
	write(t, "m/.git/f.yaml", service("f", 5))
	write(t, "m/readme.txt", "no manifest")
	write(t, "outside/g.yaml", service("g", 6))
	for link, to := range map[string]string{"m/z": "../outside", "m/loop": "..", "m/copy.yaml": "b.yaml"} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, New("./m"), "default/b:1 default/c:2 default/d:3 default/g:6")
}

// TestConfigMapVolume: the folder that Kubernetes mounts a ConfigMap as, whose files
// are links through ..data.
func TestConfigMapVolume(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "m/..2026_01/a.yaml", service("a", 1))
	write(t, "m/..2026_02/a.yaml", service("a", 2))
	must(t, os.Symlink("..2026_01", "m/..data"), os.Symlink("..data/a.yaml", "m/a.yaml"))
	s := New("m")
	expect(t, s, "default/a:1")
	must(t, os.Symlink("..2026_02", "m/..new"), os.Rename("m/..new", "m/..data"))
	expect(t, s, "default/a:2")
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestLastGood: what a file held stays in use while it cannot be read, object by
// object where it can be parsed; what is removed is gone.
func TestLastGood(t *testing.T) {
	t.Chdir(t.TempDir())
	s := New("m")
	write(t, "m/a.yaml", service("a", 1)+"---\n"+service("b", 2))
	write(t, "m/c.yaml", service("c", 3))
	expect(t, s, "default/a:1 default/b:2 default/c:3")

	write(t, "m/a.yaml", service("a", 10)+"---\n"+service("b", 20)[:30]+"\n  {[\n")
	write(t, "m/c.yaml", service("c", 30))
	expect(t, s, "default/a:1 default/b:2 default/c:30", "m/a.yaml:12: error: File m/a.yaml: the document cannot be parsed")
	if _, ps := balancers(s); !strings.Contains(ps[0].Reason, "stays in use") {
		t.Errorf("the problem does not say what stays: %s", ps[0])
	}

	write(t, "m/a.yaml", service("a", 11)+"---\n"+strings.Replace(service("b", 21), "port: 21", "port: {}", 1))
	expect(t, s, "default/a:11 default/b:2 default/c:30", "m/a.yaml:17: error: Service default/b: spec.ports[0].port: the object is not read")

	write(t, "m/a.yaml", service("b", 22))
	expect(t, s, "default/b:22 default/c:30")
	must(t, os.Remove("m/a.yaml"))
	expect(t, s, "default/c:30")
}

// TestBrokenFromTheStart: the good documents of a file that never was whole are read.
func TestBrokenFromTheStart(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "a.yaml", service("a", 1)+"---\nkind: Service\nmeta")
	expect(t, New("."), "default/a:1", "a.yaml:11: error: File a.yaml: the document cannot be parsed")
}

// TestUnreadable: paths that lead nowhere are told and take nothing else with them.
func TestUnreadable(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "m/a.yaml", service("a", 1))
	must(t, os.Symlink("nowhere", "m/link.yaml"))
	expect(t, New("m", "gone"), "default/a:1", "gone: error: File gone: it cannot be read: no such file", "m/link.yaml: error: File m/link.yaml: it cannot be read")
}

// TestTooLarge: a file above the limit keeps its last state.
func TestTooLarge(t *testing.T) {
	t.Chdir(t.TempDir())
	s := New("m")
	write(t, "m/a.yaml", service("a", 1))
	expect(t, s, "default/a:1")
	write(t, "m/a.yaml", service("a", 2)+strings.Repeat("#\n", maxSize/2))
	expect(t, s, "default/a:1", "larger than 16 MiB; what was read from it before stays in use")
}

// TestRepeated: of an object in two files the first by path is taken.
func TestRepeated(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "b.yaml", service("a", 2))
	write(t, "a.yaml", service("a", 1))
	write(t, "c.yaml", service("a", 3)+"---\n"+service("a", 4))
	for _, paths := range [][]string{{"."}, {"c.yaml", "b.yaml", "a.yaml"}} {
		objects, _ := New(paths...).Load()
		cfg, problems := translate.Translate(objects, translate.Options{})
		if len(cfg.LoadBalancers) != 1 || cfg.LoadBalancers[0].Ports[0].Port != 1 {
			t.Errorf("%v: load balancers are %+v", paths, cfg.LoadBalancers)
		}
		if len(problems) != 3 || !strings.Contains(problems[0].Reason, "a.yaml:1") || problems[2].Origin.Line != 10 {
			t.Errorf("%v: problems are %v", paths, problems)
		}
	}
}

// TestNoManifest: a folder without any manifest is told, an empty file is not.
func TestNoManifest(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "m/notes.txt", "apiVersion: v1")
	s := New("m")
	expect(t, s, "", "no manifest is here")
	write(t, "m/a.yaml", "# nothing yet\n")
	expect(t, s, "")
}
