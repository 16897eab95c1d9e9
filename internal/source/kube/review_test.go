package kube

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/pierhead/pierhead/internal/translate"
)

// stored tells whether View shows an Ingress of namespace a.
func (b *bed) stored(name string) (there bool) {
	b.View(func(o *translate.Objects) { there = o.Stored("a", name) })
	return there
}

// TestView: what the API server has told is shown at once, before it is served; what
// nobody looks at does not gather.
func TestView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Options{Review: true}, class(), ingress("one"))
		defer b.end()
		b.Load()
		if len(b.late) != 0 {
			t.Errorf("after Load %d changes wait", len(b.late))
		}
		api := b.client.NetworkingV1().Ingresses("a")
		b.must(api.Create(t.Context(), ingress("two"), metav1.CreateOptions{}))
		synctest.Wait()
		if b.told != 0 {
			t.Fatal("the change is told already: this test shows nothing")
		}
		if !b.stored("one") || !b.stored("two") {
			t.Error("an Ingress is not shown")
		}
		b.must(nil, api.Delete(t.Context(), "one", metav1.DeleteOptions{}))
		synctest.Wait()
		if b.stored("one") || !b.stored("two") {
			t.Error("an Ingress that is gone is shown, or the other one is not")
		}
		// While somebody looks, events go on.
		b.View(func(*translate.Objects) {
			b.must(api.Create(t.Context(), ingress("three"), metav1.CreateOptions{}))
			b.settle()
			b.Load()
			if b.told != 1 {
				t.Error("a look holds up changes")
			}
		})
		if !b.stored("three") {
			t.Error("an Ingress that came during a look is not shown")
		}
	})
}

// TestFetch: content that nothing referred to is fetched, that which is known or does
// not exist is not, and that which may not be read is named.
func TestFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bed{t: t, client: fake.NewClientset(class(), ingress("one", withUsers("used")), secret("used", "1", users), secret("unused", "1", other), secret("shut", "1", users),
			&corev1.ConfigMap{ObjectMeta: meta("headers"), Data: map[string]string{"X-A": "b"}})}
		asked := 0
		b.begin(Options{Review: true})
		defer b.end()
		b.client.PrependReactor("list", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
			asked++
			name, _ := a.(clienttesting.ListAction).GetListRestrictions().Fields.RequiresExactMatch("metadata.name")
			return name == "shut", nil, errors.New("no")
		})
		got := b.Fetch(t.Context(), translate.References{
			Secrets: []string{"a/used", "a/unused", "a/unused", "a/none", "elsewhere/unused", "a/shut"}, ConfigMaps: []string{"a/headers", "a/none"},
		})
		var names []string
		for _, obj := range got.Objects {
			switch v := obj.(type) {
			case *corev1.Secret:
				names = append(names, v.Name+string(v.Data["auth"]))
			case *corev1.ConfigMap:
				names = append(names, v.Name+v.Data["X-A"])
			}
		}
		slices.Sort(names)
		if want := []string{"headersb", "unused" + other}; !slices.Equal(names, want) {
			t.Errorf("fetched %q, want %q", names, want)
		}
		if len(got.Refused) != 1 || got.Refused[0].Name != "shut" {
			t.Errorf("refused are %v", got.Refused)
		}
		if asked != 3 {
			t.Errorf("the API server was asked %d times", asked)
		}
		if b.content("unused") != "" {
			t.Error("what was fetched is kept")
		}
	})
}

// TestFetchAtMost: one look does not become thousands of questions.
func TestFetchAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var objects []runtime.Object
		var refs translate.References
		for n := range fetchAtMost + 7 {
			name := fmt.Sprint("s", n)
			objects = append(objects, secret(name, "1", users))
			refs.Secrets = append(refs.Secrets, "a/"+name)
		}
		b := start(t, Options{Review: true}, objects...)
		defer b.end()
		if got := b.Fetch(t.Context(), refs); len(got.Objects) != fetchAtMost || len(got.Refused) != 7 {
			t.Errorf("%d fetched and %d refused", len(got.Objects), len(got.Refused))
		}
	})
}

// TestFollow: who follows a Secret hears of it, and of no other.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		b := start(t, Options{Followed: "a/mine", Follow: func() { told++ }}, secret("mine", "1", users), secret("other", "1", users))
		defer b.end()
		if told != 1 {
			t.Fatalf("told %d times at the start", told)
		}
		api := b.client.CoreV1().Secrets("a")
		b.must(api.Update(t.Context(), secret("other", "2", other), metav1.UpdateOptions{}))
		b.must(api.Update(t.Context(), secret("mine", "2", other), metav1.UpdateOptions{}))
		synctest.Wait()
		b.must(nil, api.Delete(t.Context(), "mine", metav1.DeleteOptions{}))
		synctest.Wait()
		if told != 3 {
			t.Errorf("told %d times", told)
		}
	})
}
