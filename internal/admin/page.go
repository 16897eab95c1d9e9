package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// How many items an answer has unless another number is asked for, and at most.
const (
	usualLimit   = 500
	largestLimit = 5000
)

// limitOf reads how many items an answer may have.
func limitOf(q url.Values) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return usualLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > largestLimit {
		return 0, fmt.Errorf("limit %q: want a number from 1 to %d", text, largestLimit)
	}
	return n, nil
}

// page answers with the part of a list that is asked for: the items that fit, after the
// one that continue stands for.
func page[T any](w http.ResponseWriter, r *http.Request, generation uint64, items []T, key func(*T) string, fits func(*T) bool) {
	q := r.URL.Query()
	limit, err := limitOf(q)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	begin := 0
	if after := q.Get("continue"); after != "" {
		for begin < len(items) && tokenOf(key(&items[begin])) != after {
			begin++
		}
		if begin++; begin > len(items) {
			refuse(w, http.StatusGone, fmt.Errorf("the list has changed since continue %q was given: ask from its beginning", after))
			return
		}
	}
	p := Page[T]{Generation: generation, Items: []T{}}
	for i := begin; i < len(items); i++ {
		if !fits(&items[i]) {
			continue
		}
		if len(p.Items) == limit {
			p.Continue = tokenOf(key(&p.Items[limit-1]))
			break
		}
		p.Items = append(p.Items, items[i])
	}
	answer(w, r, p)
}

// tokenOf returns what stands for an item in continue: its place in the list may
// change, its key does not.
func tokenOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:12])
}
