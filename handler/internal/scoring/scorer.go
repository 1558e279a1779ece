package scoring

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"polis/handler/internal/care"
	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	"polis/handler/internal/defend"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

// Scorer scores relations with a set of models. It is for one goroutine; the models
// are shared.
type Scorer struct {
	models *Models
	care   *care.Engine
	risk   *risk.Engine
	churn  *churn.Engine
	clv    *clv.Engine // nil until a value is asked for
	nbp    *nbp.Engine
	demand *clv.Demand
	defend *defend.Engine
	reader feature.Reader
	row    model.Row

	views  []portfolio.View
	refs   []*portfolio.View
	then   []int             // the relation of each member as of the date
	among  []*portfolio.View // the members of one of those
	group  feature.Group
	lapse  churn.Result // of the relation, once lapseKnown
	sheets []Sheet
	enc    portfolio.Encoder
	buf    []byte
	spent  [len(engineNames)]time.Duration

	lapseKnown  bool
	offersReady bool
	declined    []nbp.Decline // of the relation
}

// New is a scorer with models.
func New(m *Models) (*Scorer, error) {
	if m == nil {
		return nil, fault.New(fault.Internal, "scoring without models")
	}
	if !m.checked {
		if err := m.check(); err != nil {
			return nil, err
		}
	}
	return assemble(m)
}

// assemble is a scorer with models that were checked, as those of Parse are.
func assemble(m *Models) (*Scorer, error) {
	rules := m.care
	if rules == nil {
		var err error
		if rules, err = care.Compile(&m.Settings.Care); err != nil {
			return nil, err
		}
	}
	careful, err := care.New(rules, care.Book{Sold: m.Nbp.Sold(), ContactsSince: m.ContactsSince})
	if err != nil {
		return nil, err
	}
	offers, err := nbp.New(m.Nbp, &m.Settings.Nbp)
	if err != nil {
		return nil, err
	}
	return &Scorer{
		models: m, care: careful, risk: risk.New(m.Risk, &m.Settings.Risk, careful), churn: churn.New(m.Churn),
		nbp: offers, demand: clv.NewDemand(m.Clv, offers), defend: defend.New(&m.Settings.Defend), reader: feature.Reader{Schema: m.Risk.Schema},
	}, nil
}

// Subject is a customer to score, with its stored form where that is at hand, and the
// offers that it declined as an office recorded them.
type Subject struct {
	Aggregate *portfolio.Aggregate
	Body      []byte
	Declined  []nbp.Decline
}

// Sheet is what the engines say of one customer as of a date. Engines that were not
// asked for may have been computed all the same, for those that need them.
type Sheet struct {
	Customer    string
	AsOf        portfolio.Date
	Fingerprint uint64 // of the relation's data, calendar aside
	Risk        risk.Result
	Churn       churn.Result
	Clv         clv.Result
	Nbp         nbp.Result
	Defend      defend.Result
	// Another is that another member stands for the relation, whom the reasons of offers are
	// of. They are then not for this customer to hear.
	Another bool
	// Parted is that somebody of the relation of then is of another by now. Those who were
	// together are then scored together as far as they are read: a run reads relations as
	// they are now.
	Parted bool
	// What numbers that several models make together are made of.
	Lapse, Value, Offer Shares

	model uint64 // the models' version
}

// Relation scores the members of a relation as of a date: those who were one relation
// then, together. The sheets are good until the next call.
func (s *Scorer) Relation(members []Subject, asOf portfolio.Date, set Set) []Sheet {
	for len(s.views) < len(members) {
		s.views, s.sheets = append(s.views, portfolio.View{}), append(s.sheets, Sheet{})
	}
	s.refs = s.refs[:0]
	h := sha256.New()
	for i := range members {
		s.views[i].Reset(members[i].Aggregate, asOf, s.models.Ends)
		s.refs = append(s.refs, &s.views[i])
		body := members[i].Body
		if body == nil {
			s.buf = s.enc.Append(s.buf[:0], members[i].Aggregate)
			body = s.buf
		}
		h.Write(body)
		// Without declines the fingerprint is that of the data alone.
		for _, d := range members[i].Declined {
			fmt.Fprintf(h, "\x1f%s\x1f%d", d.Group, d.On)
		}
	}
	var sum [sha256.Size]byte
	fingerprint := be64(h.Sum(sum[:0]))
	// Models that are not saved yet have no version: training scores with those.
	model, _ := strconv.ParseUint(s.models.Version, 16, 64)
	started := time.Now()
	relations := 0
	s.then, relations = feature.Relations(s.refs, s.then[:0])
	for r := range relations {
		s.among, s.declined = s.among[:0], s.declined[:0]
		parted := false
		for i, v := range s.refs {
			if s.then[i] == r {
				parted = parted || v.Moved(members[i].Aggregate.Latest())
				s.among, s.declined = append(s.among, v), append(s.declined, members[i].Declined...)
			}
		}
		s.group.Reset(s.among)
		s.lapseKnown, s.offersReady = false, false
		for i, v := range s.refs {
			if s.then[i] != r {
				continue
			}
			sh := &s.sheets[i]
			sh.Customer, sh.AsOf, sh.Fingerprint, sh.model, sh.Parted = members[i].Aggregate.ID(), asOf, fingerprint, model, parted
			started = s.customer(feature.Input{View: v, Group: &s.group}, sh, set, started)
			s.tell(v, sh, set)
		}
		if set.Has(Clv) || set.Has(Defend) {
			s.together(r)
		}
	}
	return s.sheets[:len(members)]
}

// together fills in what the members of the relation are worth in sum: their ends are one
// event, so that it takes them all.
func (s *Scorer) together(relation int) {
	if !s.lapseKnown {
		return
	}
	started, sum := time.Now(), s.clv.Relation()
	for i := range s.then {
		if s.then[i] == relation && s.sheets[i].Clv.Status == score.Scored {
			s.sheets[i].Clv.Relation = sum
		}
	}
	s.spent[Clv] += time.Since(started)
}

func be64(b []byte) (v uint64) {
	for _, c := range b[:8] {
		v = v<<8 | uint64(c)
	}
	return v
}

// customer runs the engines that the set needs. Churn is of the relation, and computed
// once for all of its members. A customer who objects to profiling (GDPR art. 21) is not
// profiled: what is left is the care that is owed.
func (s *Scorer) customer(in feature.Input, sh *Sheet, set Set, at time.Time) time.Time {
	lap := func(e Engine) {
		now := time.Now()
		s.spent[e] += now.Sub(at)
		at = now
	}
	objects := feature.Objects(in.View)
	if objects {
		s.risk.Care(in, &sh.Risk)
		sh.object(s.models.Settings.Churn.Definition.Of(in.Group), s.models.Settings.Clv.View)
	} else {
		s.risk.Score(in, &sh.Risk)
	}
	lap(Risk)
	if !objects && set != NewSet(Risk) {
		if !s.lapseKnown {
			s.churn.Score(in.Group, &s.lapse)
			if set.Has(Clv) || set.Has(Defend) {
				if s.clv == nil {
					s.clv = s.models.plan().Engine()
				}
				s.clv.Begin(in.Group, &s.lapse)
			}
			s.lapseKnown = true
		}
		s.lapse.Member(in, &sh.Churn)
		lap(Churn)
	}
	s.reader.Customer(in, &s.row)
	if !objects && (set.Has(Clv) || set.Has(Nbp) || set.Has(Defend)) && !s.offersReady {
		s.nbp.Relation(in.Group, s.declined)
		s.demand.Begin(in.Group)
		s.offersReady = true
	}
	if !objects && (set.Has(Clv) || set.Has(Defend)) {
		s.clv.Score(in, &sh.Risk, s.reader.Care().Contacts, s.demand.Of(in.Group, in.View), &sh.Clv)
		lap(Clv)
	}
	if !objects && (set.Has(Nbp) || set.Has(Defend)) {
		s.nbp.Score(in.View, &sh.Risk, &sh.Nbp)
		lap(Nbp)
	}
	if set.Has(Defend) {
		s.defend.Score(in.View.AsOf, &sh.Risk, &sh.Churn, &sh.Clv, &sh.Nbp, s.reader.Announced(), &sh.Defend)
		lap(Defend)
	}
	return at
}

// object says of every engine that profiles that it did not.
func (sh *Sheet) object(d churn.Definition, v clv.View) {
	sh.Churn.Clear(score.Objected, d)
	sh.Clv = clv.Result{Status: score.Objected, Band: score.Low, View: v}
	sh.Nbp.Reset(score.Objected)
}

// Seconds is the time that each engine has taken so far.
func (s *Scorer) Seconds() map[Engine]float64 {
	out := map[Engine]float64{}
	for _, e := range Engines {
		out[e] = s.spent[e].Seconds()
	}
	return out
}

// Owed is all that care asks for of a member of the relation that was scored last, by its place,
// and how many complaints and claims of it there have been.
func (s *Scorer) Owed(i int) (owed []defend.Owed, complaints, claims int) {
	complaints, claims = s.care.Troubles(&s.views[i])
	return s.defend.Owed(s.sheets[i].AsOf, &s.sheets[i].Risk.Care), complaints, claims
}

// Status is how far an engine got with the customer.
func (sh *Sheet) Status(e Engine) score.Status {
	switch e {
	case Risk:
		return sh.Risk.Status
	case Churn:
		return sh.Churn.Status
	case Clv:
		return sh.Clv.Status
	case Nbp:
		return sh.Nbp.Status
	default:
		return sh.Defend.Status
	}
}

// Chance is what is predicted of that which an action is to change, for a year: that what it
// is about is bought, or that the relation lapses where it is about nothing; 0 where that is
// not known.
func (sh *Sheet) Chance(about string) float64 {
	if about == "" {
		if sh.Churn.Status != score.Scored {
			return 0
		}
		return sh.Churn.Lapsed[12]
	}
	for i := range sh.Nbp.Offers {
		if o := &sh.Nbp.Offers[i]; o.Group.Code == about || o.Group.Branch == about {
			return o.Probability
		}
	}
	return 0
}
