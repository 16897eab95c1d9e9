package translate

import "github.com/pierhead/pierhead/internal/model"

// report collects the problems of one translation.
type report struct{ problems []model.Problem }

// add tells the owner of one field what is wrong with it.
func (r *report) add(s model.Severity, origin model.Origin, field, value, reason, remedy string) {
	r.problems = append(r.problems, model.Problem{
		Origin: origin, Field: field, Value: value, Reason: reason, Remedy: remedy, Severity: s,
	})
}
