package train

import (
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/score"
	"polis/handler/internal/scoring"
)

// usualSample is how many relations the book's usual features are found from, at most:
// a median of so many is off by less than one place in a hundred.
const usualSample = 10_000

// usual collects what features customers and policies in force have.
type usual struct {
	customers, policies *score.Survey
	hazard, offer       []model.Field
	policy, lapsing     []model.Field
}

func newUsual(schema feature.PolicySchema) *usual {
	return &usual{score.NewSurvey(), score.NewSurvey(), schema.HazardFields(), feature.OfferFields(), schema.Fields(), feature.PolicyHazardFields()}
}

func (u *usual) found() scoring.Usual {
	return scoring.Usual{Customers: u.customers.Norms(), Policies: u.policies.Norms()}
}

// add counts a row's fields from the one on that others have not counted yet.
func add(s *score.Survey, fields []model.Field, from int, row *model.Row) {
	for i := from; i < len(fields); i++ {
		if fields[i].Kind == model.Numeric {
			s.Number(fields[i].Name, row.Num[i])
		} else {
			s.Name(fields[i].Name, row.Cat[i])
		}
	}
}

// usual counts those who are of the relation, of one relation in keep, and have a policy in
// force. f.now is of all who ever were. Who objects to profiling is not counted in either.
func (f *fitter) usual(u *usual, key string, keep int) {
	if hash(key, 3, 4)%uint64(keep) != 0 {
		return
	}
	f.now.refs = f.now.refs[:0]
	for _, v := range f.now.all {
		if v.Relation() == key {
			f.now.refs = append(f.now.refs, v)
		}
	}
	f.now.group.Reset(f.now.refs)
	shared := len(feature.CustomerFields())
	for _, v := range f.now.refs {
		in := feature.Input{View: v, Group: &f.now.group}
		f.reader.Policies(in)
		inForce := false
		for i := range v.Policies {
			if !v.Policies[i].InForce(f.o.AsOf) || feature.Objects(v) {
				continue
			}
			inForce = true
			f.reader.Policy(f.schema, i, &f.row)
			add(u.policies, u.policy, 0, &f.row)
		}
		f.reader.PolicyHazards(in, &f.row)
		for i := range v.Policies {
			if p := &v.Policies[i]; p.InForce(f.o.AsOf) && !feature.Objects(v) {
				f.reader.PolicyHazard(i, &f.row)
				add(u.customers, u.lapsing[:len(u.lapsing)-1], shared, &f.row) // the calendar is the relation's
				break                                                          // one a customer: a fleet is not half of them
			}
		}
		if inForce {
			f.reader.Hazard(in, &f.row)
			add(u.customers, u.hazard, 0, &f.row)
			f.reader.Offer(in, &f.row)
			add(u.customers, u.offer, shared, &f.row)
		}
	}
}
