package file

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// TestParse: each text with the objects it gives and the problems it has.
func TestParse(t *testing.T) {
	tests := map[string]struct {
		text string
		want string // objects and problems, a line each
	}{
		"empty":    {"\n# nothing\n---\n---\n", ""},
		"comments": {"# a\n--- # b\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "3 ConfigMap default/a\n"},
		"list": {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a, namespace: x}\n- kind: Oops\n",
			"4 Secret x/a\n7 error apiVersion: this is no Kubernetes object\n"},
		"typed list": {"apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: a}\n", "4 Service default/a\n"},
		"json":       {"{\n\"apiVersion\":\"v1\",\n\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},\n\"data\":{\"\\ud83d\\ude00\":\"x\",\"n\":1}}", "1 ConfigMap default/a\n4 warning data[n]: a number\n"},
		"two jsons":  {`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}` + "\n" + `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}`, "1 ConfigMap default/a\n2 ConfigMap default/b\n"},
		"flow yaml":  {"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n", "1 ConfigMap default/a\n"},
		"windows":    {"\ufeffapiVersion: v1\r\nkind: ConfigMap\r\nmetadata:\r\n  name: a\r\n---\r\nkind: x\r\n", "1 ConfigMap default/a\n6 error apiVersion: this is no Kubernetes object\n"},
		"unknown kind, once": {"apiVersion: v1\nkind: Pod\n---\napiVersion: v1\nkind: Pod\n---\napiVersion: x.io/v1\nkind: Service\n",
			"1 info kind: objects of kind Pod (v1)\n7 info kind: objects of kind Service (x.io/v1)\n"},
		"wrong version":    {"apiVersion: v1\nkind: Ingress\nmetadata: {name: a}\n", "1 error apiVersion: the object is not read; Kubernetes would answer: no matches for kind \"Ingress\" in version \"v1\"\n"},
		"no name":          {"apiVersion: v1\nkind: Service\nmetadata:\n  labels: {a: b}\n", "3 error metadata.name: the object is not read; Kubernetes would answer: resource name may not be empty\n"},
		"name with slash":  {"apiVersion: v1\nkind: Service\nmetadata:\n  name: a/b\n", "4 error metadata.name: the object is not read; Kubernetes would answer: metadata.name: Invalid value\n"},
		"bad namespace":    {"apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  namespace: A\n", "5 error metadata.namespace: the object is not read\n"},
		"text":             {"hello\n", "1 error : this is no Kubernetes object\n"},
		"no kind":          {"apiVersion: v1\n", "1 error kind: this is no Kubernetes object; Kubernetes would answer: Object 'Kind' is missing\n"},
		"unknown field":    {"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  Ports: []\n", "1 Service default/a\n5 warning spec.Ports: the field is not known and ignored; Kubernetes would answer: strict decoding error: unknown field \"spec.Ports\"; write \"ports\"\n"},
		"key twice":        {"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  type: ClusterIP\n  type: LoadBalancer\n", "1 Service default/a\n6 error spec.type: the key is written twice and the first one, in line 5, is ignored\n"},
		"number for text":  {"apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  annotations:\n    x: 1800\n    y: on\n  labels: {z: 1.5}\n", "1 Service default/a\n6 warning metadata.annotations[x]: a number where a text is asked for, read as its text; Kubernetes would answer: json: cannot unmarshal number into Go struct field ObjectMeta.metadata.annotations of type string\n7 warning metadata.annotations[y]: a bool\n8 warning metadata.labels[z]: a number\n"},
		"text for number":  {"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: \"80\"\n", "6 error spec.ports[0].port: the object is not read; Kubernetes would answer: json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32\n"},
		"map for list":     {"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports: {}\n", "5 error spec.ports: the object is not read; Kubernetes would answer: json: cannot unmarshal object into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort\n"},
		"number too large": {"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports: [{port: 3000000000}]\n", "5 error spec.ports[0].port: the object is not read; Kubernetes would answer: json: cannot unmarshal number 3000000000 into Go struct field ServicePort.spec.ports.port of type int32\n"},
		"port or name":     {"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports: [{port: 1, targetPort: 1.5}]\n", "5 error spec.ports[0].targetPort: the object is not read\n"},
		"base64":           {"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  x: |\n    aGVs\n    bG8=\n  y: '!'\n", "8 error data[y]: the object is not read; Kubernetes would answer: illegal base64 data at input byte 0\n"},
		"secret not shown": {"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: 1234}\n", "1 Secret default/a\n4 warning stringData[password]: a number\n"},
		"merge":            {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  <<: &x {a: b}\nimmutable: false\n", "1 ConfigMap default/a\n"},
		"cut":              {"apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  ports:\n  - name: \"ht", "7 error : the document cannot be parsed: found unexpected end of stream\n"},
		"bad indent":       {"apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n labels: {}\n", "5 error : the document cannot be parsed: did not find expected key\n"},
		"second is broken": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\na: {\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n", "1 ConfigMap default/a\n7 ConfigMap default/b\n5 error : the document cannot be parsed: did not find expected node content\n"},
		"alias bomb":       {bomb(), "error"},
		"alias of itself":  {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, managedFields: [{fieldsV1: &m {a: *m}}]}\n", "error"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := parse("f.yaml", []byte(tt.text))
			if strings.HasPrefix(tt.want, "error") {
				if len(p.items) > 0 || len(p.problems) == 0 || p.problems[0].Severity != model.Error {
					t.Errorf("it is not refused: %v", p.problems)
				}
				return
			}
			var lines []string
			for _, it := range p.items {
				lines = append(lines, fmt.Sprintf("%d %s", it.origin.Line, it.origin))
			}
			for _, pr := range p.problems {
				lines = append(lines, fmt.Sprintf("%d %s %s: %s; %s", pr.Origin.Line, pr.Severity, pr.Field, pr.Reason, pr.Remedy))
				if pr.Origin.Kind == "Secret" && pr.Value != "" {
					t.Errorf("a secret is shown: %s", pr)
				}
			}
			want := strings.Split(strings.TrimSuffix(tt.want, "\n"), "\n")
			if tt.want == "" {
				want = nil
			}
			if len(lines) != len(want) {
				t.Fatalf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), tt.want)
			}
			for i := range want {
				if !strings.HasPrefix(lines[i], want[i]) {
					t.Errorf("line %d is\n%s\nwant\n%s", i, lines[i], want[i])
				}
			}
		})
	}
}

// bomb is the billion laughs in an annotation.
func bomb() string {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  managedFields:\n  - fieldsV1:\n      a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "      a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	return b.String()
}

// TestValues: values arrive as Kubernetes would read them.
func TestValues(t *testing.T) {
	p := parse("f", []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  x: |\n    aGVs\n    bG8=\nstringData: {n: 0x1F, o: off}\n---\n"+
		"apiVersion: v1\nkind: Service\nmetadata: {name: a, annotations: {e: '', n: ~}}\nspec:\n  ports: [{port: 0x50, targetPort: web}, {port: 1_000, targetPort: 8080}]\n  publishNotReadyAddresses: yes\n"))
	if len(p.items) != 2 {
		t.Fatal(p.problems)
	}
	secret, svc := p.items[0].object.(*corev1.Secret), p.items[1].object.(*corev1.Service)
	got := fmt.Sprintf("%s %v %d %s %d %d %v %v", secret.Data["x"], secret.StringData, svc.Spec.Ports[0].Port, svc.Spec.Ports[0].TargetPort.String(),
		svc.Spec.Ports[1].Port, svc.Spec.Ports[1].TargetPort.IntVal, svc.Spec.PublishNotReadyAddresses, svc.Annotations)
	if want := "hello map[n:0x1F o:off] 80 web 1000 8080 true map[e: n:]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestLines: every field knows its line.
func TestLines(t *testing.T) {
	p := parse("f", []byte("# head\n---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: a\n  annotations:\n    nginx.ingress.kubernetes.io/auth-type: basic\nspec:\n  rules:\n  - host: x\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend: {service: {name: s,\n          port: {number: 80}}}\n"))
	lines := p.items[0].place.Lines
	for field, want := range map[string]int{
		"metadata.name": 6, "metadata.annotations[nginx.ingress.kubernetes.io/auth-type]": 8, "metadata.annotations[other.io/x]": 7,
		"spec.rules[0].host": 11, "spec.rules[0].http.paths[0]": 14, "spec.rules[0].http.paths[0].backend.service.port.number": 17,
		"spec.rules[0].http.paths[0].backend.service.port.name": 17, "spec.tls[0].secretName": 9, "nothing": 0,
	} {
		if got := lines.At(field); got != want {
			t.Errorf("%s is in line %d, want %d", field, got, want)
		}
	}
}

// FuzzParse: no text makes the reader panic, loop or lie about lines.
func FuzzParse(f *testing.F) {
	f.Add([]byte(bomb()))
	for _, s := range []string{"a: *a", "{\"a\":[1,2]}", "--- \n...\n---\n- x", "kind: List\napiVersion: v1\nitems: [{kind: List, apiVersion: v1, items: []}]",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {<<: {x: aGk=}}", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: .inf}]}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p := parse("f", text)
		last := strings.Count(string(text), "\n") + strings.Count(string(text), "\r") + strings.Count(string(text), "\u0085") + strings.Count(string(text), "\u2028") + strings.Count(string(text), "\u2029") + 1
		for _, pr := range p.problems {
			if pr.Origin.Line < 1 || pr.Origin.Line > last+1 {
				t.Errorf("line %d of %d: %s", pr.Origin.Line, last, pr)
			}
		}
		for _, it := range p.items {
			if it.origin.Name == "" || it.object == nil {
				t.Errorf("an object without name: %v", it.origin)
			}
		}
	})
}
