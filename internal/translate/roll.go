package translate

import "slices"

// mark says how something stands on a roll.
type mark struct {
	holders int  // how many hold it there
	listed  bool // it was there at the last end
}

func (m *mark) marked() *mark { return m }

// rolled is what can stand on a roll.
type rolled interface {
	comparable
	marked() *mark
}

// roll is a sorted list of what somebody holds. Only what came and went is looked at.
type roll[T rolled] struct {
	compare func(a, b T) int // of two that are there, never 0
	list    []T              // as of the last end
	moved   []T              // came or went since
	calls   []T              // held until the next begin
}

func newRoll[T rolled](compare func(a, b T) int) roll[T] { return roll[T]{compare: compare} }

// hold has x stand on the list until it has been released as often.
func (r *roll[T]) hold(x T) {
	m := x.marked()
	if m.holders++; m.holders == 1 {
		r.moved = append(r.moved, x)
	}
}

// release ends one hold.
func (r *roll[T]) release(x T) {
	m := x.marked()
	if m.holders--; m.holders == 0 {
		r.moved = append(r.moved, x)
	}
}

// call holds x for this turn alone.
func (r *roll[T]) call(x T) {
	r.hold(x)
	r.calls = append(r.calls, x)
}

// begin starts a turn.
func (r *roll[T]) begin() {
	for _, x := range r.calls {
		r.release(x)
	}
	r.calls = r.calls[:0]
}

// end returns what is held, in order, and whether it is not what was held at the last
// end. Nobody may change the list or keep it.
func (r *roll[T]) end() (list []T, changed bool) {
	come, gone := settleMarks(r.moved)
	clear(r.moved)
	r.moved = r.moved[:0]
	if len(come)+len(gone) > few {
		r.list = append(slices.DeleteFunc(r.list, func(x T) bool { return !x.marked().listed }), come...)
		slices.SortFunc(r.list, r.compare)
		return r.list, true
	}
	for _, x := range gone {
		if n, ok := slices.BinarySearchFunc(r.list, x, r.compare); ok {
			r.list = slices.Delete(r.list, n, n+1)
		}
	}
	for _, x := range come {
		n, _ := slices.BinarySearchFunc(r.list, x, r.compare)
		r.list = slices.Insert(r.list, n, x)
	}
	return r.list, len(come)+len(gone) > 0
}

// settleMarks returns which of those that moved have come to a list and which have gone
// from it.
func settleMarks[T rolled](moved []T) (come, gone []T) {
	for _, x := range moved {
		m := x.marked()
		switch is := m.holders > 0; {
		case is == m.listed:
			continue
		case is:
			come = append(come, x)
		default:
			gone = append(gone, x)
		}
		m.listed = !m.listed
	}
	return come, gone
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
