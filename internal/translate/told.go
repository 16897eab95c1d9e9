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
	turn  uint64
	fresh []line
	n     int
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

func (t *telling) begin(turn uint64) { t.turn, t.fresh, t.n = turn, nil, 0 }

// tell adds what a result has to tell, once.
func (t *telling) tell(x *told) {
	if x.called == t.turn || len(x.list) == 0 {
		return
	}
	if x.called != t.turn-1 {
		for i := range x.list {
			t.fresh = append(t.fresh, line{x, i})
		}
	}
	x.called = t.turn
	t.n += len(x.list)
}

// end returns all problems, sorted, each once. Nobody may change the list.
func (t *telling) end() []model.Problem {
	if len(t.fresh) == 0 && t.n == len(t.lines) {
		return t.out
	}
	slices.SortFunc(t.fresh, compareLines)
	t.lines = merge(t.lines, func(l line) bool { return l.of.called == t.turn }, t.fresh, compareLines)
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
