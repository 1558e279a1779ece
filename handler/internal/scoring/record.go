package scoring

import (
	"encoding/json"
	"math"
	"slices"

	"polis/handler/internal/churn"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

// Record is all that an engine's score was made of: enough to explain it, to contest it,
// and to make it again.
type Record struct {
	// Inputs are the features as the models read them, of all policies that were scored or
	// of the customer.
	Inputs []Inputs `json:"inputs"`
	// Models are the models that were asked, each with all its contributions.
	Models []Answered `json:"models"`
	// Levels are risk's, of the branches of the policies: with them the models' means make
	// the expected losses.
	Levels map[string]risk.Branch `json:"levels,omitempty"`
	// Months are churn's, one after the other, and Mean what they are by where the book's mean
	// stands for the relation.
	Months   []Month  `json:"months,omitempty"`
	Mean     *Hazards `json:"mean,omitempty"`
	Settings Settings `json:"settings"`
	// RestsOn are the decisions that the engine started from.
	RestsOn []string `json:"rests_on,omitempty"`
}

// Inputs are features by name: a number, a name, or null where it is not known.
type Inputs struct {
	// Of is a policy's id, customer, an offered group, or primary: the relation's member that
	// stands for it. It is another_member for that one, or its policy, where it is not the
	// customer; of an offer Whose says so.
	Of     string         `json:"of"`
	Whose  string         `json:"whose,omitempty"`
	Values map[string]any `json:"values"`
}

// Answered is a model's answer: on the link scale Intercept and all contributions, added
// in this order, are Link to the last bit, and Mean is what that stands for.
type Answered struct {
	Model         string         `json:"model"` // as in the models' file
	Of            string         `json:"of"`
	Intercept     float64        `json:"intercept"`
	Contributions []Contribution `json:"contributions"`
	Link          float64        `json:"link"`
	Mean          float64        `json:"mean"`
}

// Contribution is what a feature, or a pair of them, adds.
type Contribution struct {
	Code  string  `json:"code"`
	Value float64 `json:"contribution"`
}

// Month is one of the months after the as-of date, as the churn engine sees it. There are no
// links where no model was asked.
type Month struct {
	Month  int      `json:"month"`
	Lapse  *float64 `json:"lapse_link,omitempty"`
	Other  *float64 `json:"other_end_link,omitempty"`
	Lapsed float64  `json:"lapsed"`
	Alive  float64  `json:"alive"`
}

// Hazards are the probabilities that a relation which goes on ends in a month.
type Hazards struct {
	Lapse float64 `json:"lapse"`
	Other float64 `json:"other_end"`
}

// Record tells of the last relation that was scored what an engine's score of its i-th
// member is made of. Ids are under the tenant's name.
func (s *Scorer) Record(i int, e Engine, tenant string) *Record {
	sh := &s.sheets[i]
	r := &Record{Inputs: []Inputs{}, Models: []Answered{}, Settings: s.models.Settings}
	r.Settings.Audit = nil // no score is made with it
	for _, before := range restsOn[e] {
		r.RestsOn = append(r.RestsOn, sh.Decision(before, tenant))
	}
	if sh.Status(e) != score.Scored {
		return r
	}
	s.among = s.among[:0]
	for k, v := range s.refs {
		if s.then[k] == s.then[i] {
			s.among = append(s.among, v)
		}
	}
	s.group.Reset(s.among)
	in := feature.Input{View: s.refs[i], Group: &s.group}
	switch e {
	case Risk:
		s.recordRisk(in, sh, r)
	case Churn:
		s.recordChurn(in, sh, r)
	case Clv:
		s.reader.Customer(in, &s.row)
		r.add("customer", feature.CustomerFields(), &s.row)
	case Nbp:
		s.recordOffers(in, sh, r)
	}
	return r
}

// restsOn are the engines whose scores an engine starts from.
var restsOn = [len(engineNames)][]Engine{Clv: {Risk, Churn}, Nbp: {Risk}, Defend: {Risk, Churn, Clv, Nbp}}

func (s *Scorer) recordRisk(in feature.Input, sh *Sheet, r *Record) {
	m := s.models.Risk
	r.Levels = map[string]risk.Branch{}
	s.reader.Policies(in)
	for i := range in.View.Policies {
		id, branch := in.View.Policies[i].ID, in.View.Policies[i].Branch
		if !slices.ContainsFunc(sh.Risk.Policies, func(p risk.Policy) bool { return p.ID == id }) {
			continue
		}
		s.reader.Policy(m.Schema, i, &s.row)
		r.add(id, m.Schema.Fields(), &s.row)
		r.ask("frequency", id, m.Frequency, &s.row)
		r.ask("severity", id, m.Severity, &s.row)
		level, ok := m.Branches[branch]
		if !ok {
			level, ok = m.Branches[""]
		}
		if ok {
			r.Levels[branch] = level
		}
	}
}

// recordChurn adds what the relation's ends are foretold from: the policy that stands for it,
// or the one member who does; of nobody where an end is recorded, or the book's mean stands
// for what may not be read.
func (s *Scorer) recordChurn(in feature.Input, sh *Sheet, r *Record) {
	c := &sh.Churn
	for k := 1; k <= churn.Horizon; k++ {
		r.Months = append(r.Months, Month{Month: k, Lapsed: c.Lapsed[k], Alive: c.Alive[k]})
	}
	if c.Whose == churn.Nobody {
		if c.EndsOn == 0 {
			r.Mean = &Hazards{c.Fade.Lapse, c.Fade.Other}
		}
		return
	}
	m := s.models.Churn
	of, fields, names := "primary", m.Schema.HazardFields(), [2]string{"lapse", "other_end"}
	models, set := [2]score.Model{m.Lapse, m.Other}, s.reader.SetMonth
	in.View = in.Group.Views[c.Whose]
	if c.Of != "" {
		at := slices.IndexFunc(in.View.Policies, func(p portfolio.PolicyView) bool { return p.ID == c.Of })
		of, fields, names = c.Of, m.Schema.PolicyHazardFields(), [2]string{"policy_lapse", "policy_other_end"}
		models, set = [2]score.Model{m.PolicyLapse, m.PolicyOther}, s.reader.SetPolicyMonth
		s.reader.PolicyHazards(in, &s.row)
		s.reader.PolicyHazard(at, &s.row)
	} else {
		s.reader.Hazard(in, &s.row)
	}
	if c.Another {
		of = anotherMember
	}
	r.add(of, fields, &s.row)
	for i, name := range names {
		r.ask(name, of, models[i], &s.row)
	}
	for i := range r.Months {
		set(&s.row, r.Months[i].Month)
		lapse, other := models[0].Score(s.row, nil), models[1].Score(s.row, nil)
		r.Months[i].Lapse, r.Months[i].Other = &lapse, &other
	}
}

// recordOffers adds what the models read of each offer, and of the customer for the rules.
func (s *Scorer) recordOffers(in feature.Input, sh *Sheet, r *Record) {
	m := s.models.Nbp
	s.reader.Customer(in, &s.row)
	r.add("customer", feature.CustomerFields(), &s.row)
	s.nbp.Relation(in.Group, nil)
	for i := range sh.Nbp.Offers {
		o := &sh.Nbp.Offers[i]
		group, row := o.Group.Code, s.nbp.Row(o)
		r.add(group, s.nbp.Fields(), row)
		r.Inputs[len(r.Inputs)-1].Whose = sh.whose()
		if !m.Alone(group) {
			r.ask("buy", group, m.Common, row)
		}
		r.ask(buys+group, group, m.Groups[group], row)
	}
}

// add adds a row's features.
func (r *Record) add(of string, fields []model.Field, row *model.Row) {
	values := make(map[string]any, len(fields))
	for i, f := range fields {
		values[f.Name] = nil
		switch {
		case f.Kind == model.Category && row.Cat[i] != "":
			values[f.Name] = row.Cat[i]
		case f.Kind == model.Numeric && row.Num[i]-row.Num[i] == 0:
			values[f.Name] = row.Num[i]
		}
	}
	r.Inputs = append(r.Inputs, Inputs{Of: of, Values: values})
}

// ask adds what a model says of a row.
func (r *Record) ask(name, of string, m score.Model, row *model.Row) {
	terms := m.Terms()
	contrib := make([]float64, len(terms))
	a := Answered{Model: name, Of: of, Intercept: m.Intercept(), Contributions: make([]Contribution, len(terms))}
	a.Link = m.Score(*row, contrib)
	a.Mean = m.Mean(a.Link)
	for i, t := range terms {
		a.Contributions[i] = Contribution{t.Name, contrib[i]}
	}
	r.Models = append(r.Models, a)
}

// Again asks a model once more, of the features as the record has them: the answer is the
// record's to the bit, wherever it is asked.
func (r *Record) Again(a *Answered, m score.Model) (link float64, err error) {
	at := slices.IndexFunc(r.Inputs, func(in Inputs) bool { return in.Of == a.Of })
	if at < 0 {
		return 0, fault.New(fault.Invalid, "the record has no inputs of %s", a.Of)
	}
	fields := m.Fields()
	row := model.Row{Num: make([]float64, len(fields)), Cat: make([]string, len(fields))}
	for i, f := range fields {
		v, ok := r.Inputs[at].Values[f.Name]
		if !ok {
			return 0, fault.New(fault.Invalid, "the record has no %s", f.Name)
		}
		switch v := v.(type) {
		case float64:
			row.Num[i] = v
		case string:
			row.Cat[i] = v
		default:
			row.Num[i] = math.NaN()
		}
	}
	return m.Score(row, nil), nil
}

// JSON is the record as it is kept and shown.
func (r *Record) JSON() ([]byte, error) {
	b, err := json.Marshal(r)
	return b, fault.Wrap(fault.Internal, err, "encoding a decision's record")
}
