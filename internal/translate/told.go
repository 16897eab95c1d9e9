package translate

import (
	"slices"

	"github.com/pierhead/pierhead/internal/model"
)

// told is what one result has to tell. Nobody changes it.
type told struct {
	mark
	list []model.Problem
}

// told returns what was reported.
func (r *report) told() *told { return &told{list: r.problems} }

// telling gathers the problems of a translation. Those that were told the last time
// stay in their place.
type telling struct {
	moved []*told
	lines []line // sorted
	out   []model.Problem
}

// line is one problem of a list.
type line struct {
	of *told
	i  int
}

func (l line) problem() *model.Problem { return &l.of.list[l.i] }

func compareLines(a, b line) int { return model.CompareProblems(a.problem(), b.problem()) }

// tell has x told from now on in place of what had is; either may be nil. It returns
// what is told, which is had where that says the same.
func (t *telling) tell(had, x *told) *told {
	if had == x || had != nil && x != nil && slices.Equal(had.list, x.list) {
		return had
	}
	if had != nil && len(had.list) > 0 {
		had.holders--
		t.moved = append(t.moved, had)
	}
	if x != nil && len(x.list) > 0 {
		x.holders++
		t.moved = append(t.moved, x)
	}
	return x
}

// end returns all problems, sorted, each once. Nobody may change the list.
func (t *telling) end() []model.Problem {
	come, gone := settleMarks(t.moved)
	t.moved = nil
	if len(come)+len(gone) == 0 {
		return t.out
	}
	var fresh []line
	for _, x := range come {
		for i := range x.list {
			fresh = append(fresh, line{x, i})
		}
	}
	slices.SortFunc(fresh, compareLines)
	t.lines = merge(t.lines, func(l line) bool { return l.of.listed }, fresh, compareLines)
	t.out = nil
	if len(t.lines) > 0 {
		t.out = make([]model.Problem, 0, len(t.lines))
	}
	for _, l := range t.lines {
		if p := l.problem(); len(t.out) == 0 || t.out[len(t.out)-1] != *p {
			t.out = append(t.out, *p)
		}
	}
	return t.out
}
