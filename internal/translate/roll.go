package translate

import "slices"

// mark is the last translation that called something to a roll.
type mark struct{ called uint64 }

func (m *mark) marked() *mark { return m }

// roll is a sorted list that is called anew in every translation. What was on it the
// last time stays in its place, so that only what is new is sorted.
type roll[T interface{ marked() *mark }] struct {
	compare func(a, b T) int
	turn    uint64
	list    []T // of the last end
	fresh   []T // called in this turn and not in the last one
	n       int // called in this turn
}

func newRoll[T interface{ marked() *mark }](compare func(a, b T) int) roll[T] {
	return roll[T]{compare: compare}
}

// begin starts the next turn.
func (r *roll[T]) begin(turn uint64) { r.turn, r.fresh, r.n = turn, nil, 0 }

// call puts x on the list; it tells whether that is the first time in this turn.
func (r *roll[T]) call(x T) bool {
	m := x.marked()
	if m.called == r.turn {
		return false
	}
	if m.called != r.turn-1 {
		r.fresh = append(r.fresh, x)
	}
	m.called = r.turn
	r.n++
	return true
}

// end returns what was called, in order, and whether others were called the last time.
// Nobody may change the list.
func (r *roll[T]) end() (list []T, changed bool) {
	if len(r.fresh) == 0 && r.n == len(r.list) {
		return r.list, false
	}
	slices.SortFunc(r.fresh, r.compare)
	r.list = merge(r.list, func(x T) bool { return x.marked().called == r.turn }, r.fresh, r.compare)
	return r.list, true
}

// merge returns a sorted list without those that do not stay and with those that come,
// which are sorted too.
func merge[T any](list []T, stays func(T) bool, come []T, compare func(a, b T) int) []T {
	rest := make([]T, 0, len(list))
	for _, x := range list {
		if stays(x) {
			rest = append(rest, x)
		}
	}
	if len(come) == 0 {
		return rest
	}
	out := make([]T, 0, len(rest)+len(come))
	for _, x := range come {
		n, _ := slices.BinarySearchFunc(rest, x, compare)
		out = append(append(out, rest[:n]...), x)
		rest = rest[n:]
	}
	return append(out, rest...)
}
