package control

import (
	"time"

	"github.com/pierhead/pierhead/internal/listen"
	"github.com/pierhead/pierhead/internal/model"
)

// expiry tells about certificates that clients refuse by now, which no translation can
// know: it has no clock.
type expiry struct {
	pairs    *listen.KeyPairs // that were last looked at
	next     time.Time        // when the next one of them expires
	problems []model.Problem
}

// told returns what is to be told of these certificates, which are looked at when they
// are others than the last time or one of them has expired since.
func (e *expiry) told(certificates []model.Certificate, pairs *listen.KeyPairs, now time.Time) []model.Problem {
	if pairs == e.pairs && now.Before(e.next) {
		return e.problems
	}
	*e = expiry{pairs: pairs, next: now.Add(1000 * time.Hour)}
	for i := range certificates {
		c := &certificates[i]
		pair := pairs.Get(c.Name)
		switch {
		case pair == nil || pair.Leaf == nil:
		case now.Before(pair.Leaf.NotAfter):
			if pair.Leaf.NotAfter.Before(e.next) {
				e.next = pair.Leaf.NotAfter
			}
		default:
			e.problems = append(e.problems, model.Problem{
				Origin: c.Origin, Field: "data[tls.crt]", Severity: model.Warning,
				Reason: "the certificate expired on " + pair.Leaf.NotAfter.UTC().Format(time.RFC3339) + ": it is served, and clients refuse it", Remedy: "renew it",
			})
		}
	}
	return e.problems
}
