package admission

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pierhead/pierhead/internal/translate"
)

// many is how many Ingresses there are.
const many = 10_000

// crowd returns a server over many Ingresses in 2,000 namespaces, each made by f.
func crowd(t testing.TB, f func(n int) *networkingv1.Ingress) *Server {
	t.Helper()
	o := objects(t)
	for n := range many {
		in := f(n)
		in.Namespace = fmt.Sprintf("n%d", n%2000)
		in.CreationTimestamp = metav1.NewTime(time.Unix(int64(n), 0))
		svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: in.Namespace, Name: "app"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
		for _, obj := range []runtime.Object{in, svc} {
			if err := o.Add(obj, translate.Place{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return serverOf(o)
}

// usual are annotations that many Ingresses have.
func usual(in *networkingv1.Ingress) {
	for key, value := range map[string]string{
		"proxy-body-size": "8m", "proxy-read-timeout": "60", "ssl-redirect": "true", "enable-cors": "true", "limit-rps": "20",
	} {
		in.Annotations[notes+key] = value
	}
}

func secured(in *networkingv1.Ingress) {
	in.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{in.Spec.Rules[0].Host}, SecretName: "pair"}}
}

func last(in *networkingv1.Ingress) { in.CreationTimestamp = metav1.NewTime(time.Unix(1<<30, 0)) }

// crowds are clusters and what is asked of them.
var crowds = []struct {
	what string
	all  func(n int) *networkingv1.Ingress
	in   func(t int) *networkingv1.Ingress
}{
	{"each has a host of its own",
		func(n int) *networkingv1.Ingress {
			return made(fmt.Sprint("i", n), fmt.Sprintf("h%d.example.com", n), "/", usual, secured)
		},
		func(n int) *networkingv1.Ingress {
			return made(fmt.Sprint("new", n), fmt.Sprintf("new%d.example.com", n), "/", usual, secured, last)
		}},
	{"all share one host",
		func(n int) *networkingv1.Ingress {
			return made(fmt.Sprint("i", n), "app.example.com", fmt.Sprintf("/%d", n), usual, secured)
		},
		func(n int) *networkingv1.Ingress {
			return made(fmt.Sprint("new", n), "app.example.com", fmt.Sprintf("/new/%d", n), usual, secured, note("server-alias", "alias.example.com"), last)
		}},
	{"all share one host, none has TLS or an alias",
		func(n int) *networkingv1.Ingress {
			return made(fmt.Sprint("i", n), "app.example.com", fmt.Sprintf("/%d", n), usual)
		},
		func(n int) *networkingv1.Ingress {
			return made(fmt.Sprint("new", n), "app.example.com", fmt.Sprintf("/new/%d", n), usual, secured, note("server-alias", "alias.example.com"), last)
		}},
	{"the new one has 1,000 rules",
		func(n int) *networkingv1.Ingress {
			return made(fmt.Sprint("i", n), fmt.Sprintf("h%d.example.com", n), "/", usual, secured)
		},
		func(n int) *networkingv1.Ingress {
			return made(fmt.Sprint("new", n), "new.example.com", "/", usual, last, func(in *networkingv1.Ingress) {
				for i := range 999 {
					in.Spec.Rules = append(in.Spec.Rules, rule(fmt.Sprintf("h%d.example.com", i), "/new"))
				}
			})
		}},
}

// cpu returns the CPU time that the process has used: what else runs on the machine
// makes no difference to it.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestSpeed: an answer takes much less than 50 ms of CPU at 10,000 Ingresses, whatever
// they have in common.
func TestSpeed(t *testing.T) {
	for _, c := range crowds {
		s := crowd(t, c.all)
		var took, used []time.Duration
		for n := range 21 {
			body := question(t, c.in(n))
			begun, had := time.Now(), cpu(t)
			w := post(s, body)
			took, used = append(took, time.Since(begun)), append(used, cpu(t)-had)
			if a := answerOf(t, w); !a.Allowed {
				t.Fatalf("%s: %+v", c.what, a.Result)
			}
		}
		slices.Sort(took)
		slices.Sort(used)
		half := len(took) / 2
		t.Logf("%s: median %.2f ms, worst %.2f ms; CPU: median %.2f ms", c.what, ms(took[half]), ms(took[len(took)-1]), ms(used[half]))
		if limit := 50 * time.Millisecond * slow; used[half] > limit {
			t.Errorf("%s: half of the answers take more than %s of CPU, want %s", c.what, used[half], limit)
		}
	}
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// BenchmarkAnswer is one question at 10,000 Ingresses.
func BenchmarkAnswer(b *testing.B) {
	for _, c := range crowds {
		b.Run(c.what, func(b *testing.B) {
			s := crowd(b, c.all)
			body := question(b, c.in(1))
			b.ReportAllocs()
			for b.Loop() {
				post(s, body)
			}
		})
	}
}
