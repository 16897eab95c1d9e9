package kubectl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/internal/admin"
)

// largestAnswer bounds what is read of one answer.
const largestAnswer = 64 << 20

// question is what the Pods are asked.
type question struct {
	path   string // below /api/v1/
	query  url.Values
	fields []string // of the request that is explained
}

// answered is what one Pod answered.
type answered[T any] struct {
	pod        controllerPod
	value      T
	generation uint64
	err        error
}

// ask asks one Pod through the API server.
func (c *cluster) ask(ctx context.Context, pod controllerPod, q question, into any) (generation uint64, err error) {
	if c.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.limit)
		defer cancel()
	}
	to := c.client.CoreV1().RESTClient().Get().Namespace(pod.Namespace).Resource("pods").
		Name(pod.Name + ":" + strconv.Itoa(pod.port)).SubResource("proxy").Suffix("api/v1/" + q.path).URL()
	to.RawQuery = q.query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "application/json")
	for _, f := range q.fields {
		req.Header.Add(admin.FieldHeader, f)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer))
	if err != nil {
		return 0, err
	}
	by := resp.Header.Get(admin.GenerationHeader)
	if by == "" {
		return 0, unanswered(resp, body)
	}
	generation, _ = strconv.ParseUint(by, 10, 64)
	if resp.StatusCode != http.StatusOK {
		var no admin.Refusal
		if json.Unmarshal(body, &no) != nil || no.Error == "" {
			no.Error = "it answers " + resp.Status
		}
		return generation, errors.New(no.Error)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return generation, fmt.Errorf("its answer cannot be read: %w", err)
	}
	return generation, nil
}

// unanswered says why the question did not get to a controller: the API server says so
// itself, or something else answered.
func unanswered(resp *http.Response, body []byte) error {
	var status metav1.Status
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" {
		return &apierrors.StatusError{ErrStatus: status}
	}
	text := strings.TrimSpace(string(body))
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	if resp.StatusCode == http.StatusNotFound {
		return errors.New("it does not know the question: it is no Pierhead, or an older one")
	}
	return fmt.Errorf("%s: %s", resp.Status, text)
}

// askAll asks all Pods the same, at the same time.
func askAll[T any](ctx context.Context, c *cluster, pods []controllerPod, get func(context.Context, controllerPod) (T, uint64, error)) []answered[T] {
	all := make([]answered[T], len(pods))
	var asked sync.WaitGroup
	turns := make(chan struct{}, 8)
	for i, pod := range pods {
		asked.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			all[i].pod = pod
			all[i].value, all[i].generation, all[i].err = get(ctx, pod)
		})
	}
	asked.Wait()
	return all
}

// agreed asks all Pods the same and returns the answer of most of them. Where they
// differ they are asked once more, since a change may be on its way, and then it is told
// who differs. essence leaves out of a copy what may differ between Pods.
func agreed[T any](ctx context.Context, k *call, get func(context.Context, controllerPod) (T, uint64, error), essence func(T) any) (T, error) {
	pods, err := k.controllerPods(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return agree(ctx, k, pods, get, essence)
}

// agree is agreed for Pods that are known.
func agree[T any](ctx context.Context, k *call, pods []controllerPod, get func(context.Context, controllerPod) (T, uint64, error), essence func(T) any) (T, error) {
	var none T
	all := askAll(ctx, k.cluster, pods, get)
	groups := group(all, essence)
	if len(groups) > 1 {
		select {
		case <-time.After(k.again):
		case <-ctx.Done():
			return none, ctx.Err()
		}
		all = askAll(ctx, k.cluster, pods, get)
		groups = group(all, essence)
	}
	failed := tellFailures(k, all, len(groups) > 0)
	if len(groups) == 0 {
		return none, failed
	}
	best := groups[0]
	for _, g := range groups[1:] {
		if len(g) > len(best) {
			best = g
		}
	}
	if len(groups) > 1 {
		tellDifference(k, groups, best)
	}
	return best[0].value, nil
}

// tellFailures returns why the first Pod did not answer; where others did, it is told of
// each.
func tellFailures[T any](k *call, all []answered[T], others bool) (first error) {
	for _, a := range all {
		if a.err == nil {
			continue
		}
		if first == nil {
			first = fmt.Errorf("pod %s: %w", a.pod.Name, a.err)
		}
		if others {
			k.note("pod %s does not answer: %s%s", a.pod.Name, firstLine(told(a.err)), unready(a.pod.Pod))
		}
	}
	return first
}

// unready says that a Pod is not ready, where that explains something.
func unready(p *corev1.Pod) string {
	if ready(p) {
		return ""
	}
	return " (it is not ready)"
}

func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// group puts Pods together that answer the same. Those that do not answer are left out.
func group[T any](all []answered[T], essence func(T) any) (groups [][]answered[T]) {
	at := map[string]int{}
	for _, a := range all {
		if a.err != nil {
			continue
		}
		text, err := json.Marshal(essence(a.value))
		if err != nil {
			panic(err) // it was JSON a moment ago
		}
		n, seen := at[string(text)]
		if !seen {
			n = len(groups)
			at[string(text)], groups = n, append(groups, nil)
		}
		groups[n] = append(groups[n], a)
	}
	return groups
}

// tellDifference says which Pods do not answer what is shown.
func tellDifference[T any](k *call, groups [][]answered[T], shown []answered[T]) {
	var others []string
	for _, g := range groups {
		for _, a := range g {
			if g[0].pod.Name != shown[0].pod.Name {
				others = append(others, fmt.Sprintf("%s (generation %d)", a.pod.Name, a.generation))
			}
		}
	}
	k.note("the Pods answer differently: shown is %s (generation %d); another answer comes from %s. One may be behind: ask again, or one of them with --pod",
		shown[0].pod.Name, shown[0].generation, strings.Join(others, ", "))
}

// pages asks a Pod for all pages of a list.
func pages[T any](ctx context.Context, c *cluster, pod controllerPod, q question) (items []T, generation uint64, err error) {
	items = []T{}
	query := url.Values{"limit": {"2000"}}
	for name, values := range q.query {
		query[name] = values
	}
	for {
		var p admin.Page[T]
		q.query = query
		if generation, err = c.ask(ctx, pod, q, &p); err != nil {
			return nil, generation, err
		}
		items = append(items, p.Items...)
		if p.Continue == "" {
			return items, p.Generation, nil
		}
		query.Set("continue", p.Continue)
	}
}

// listOf asks the controllers for a list.
func listOf[T any](ctx context.Context, k *call, q question, essence func([]T) any) ([]T, error) {
	if essence == nil {
		essence = func(items []T) any { return items }
	}
	return agreed(ctx, k, func(ctx context.Context, pod controllerPod) ([]T, uint64, error) {
		return pages[T](ctx, k.cluster, pod, q)
	}, essence)
}
