package risk

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"polis/handler/internal/exact"
	"polis/handler/internal/fault"
	"polis/handler/internal/score"
)

// Basis is what the level of a branch rests on.
type Basis string

// The bases.
const (
	Own     Basis = "own"     // on the book's claims alone
	Blended Basis = "blended" // on both, by credibility
	Market  Basis = "market"  // on the prior alone: the book has no claim of it
)

// Branch is the level of a branch, and what it was found from. The models of single
// policies say how policies differ; what a branch costs in all is said here and nowhere
// else, so that a branch's name is not counted twice:
//
//	frequency = model × Frequency × Reporting
//	severity  = model × Severity × Excess × Development/Reporting × Inflation
//
// Over the years that were learnt from these add up to the developed incurred of the
// branch, in the money of the year ahead, as far as the branch is credible.
type Branch struct {
	Basis       Basis   `json:"basis"`
	Credibility float64 `json:"credibility"` // weight of the book's own claims, 0 to 1: the smaller of frequency's and severity's

	Exposure float64 `json:"exposure"`     // policy-years
	Claims   float64 `json:"claims"`       // with something incurred, covers apart aside
	Nil      float64 `json:"nil_claims"`   // with nothing incurred, not rejected
	Incurred float64 `json:"incurred"`     // EUR, as known: undeveloped
	Ultimate float64 `json:"developed"`    // EUR, what that is expected to come to
	Error    float64 `json:"developed_se"` // EUR, Mack's standard error of Ultimate
	Cap      float64 `json:"cap"`          // EUR; 0: none

	Frequency   float64 `json:"frequency_factor"`   // brings the model's frequency to the branch's level
	Severity    float64 `json:"severity_factor"`    // likewise
	Excess      float64 `json:"excess_load"`        // amounts over capped amounts
	Reporting   float64 `json:"reporting_factor"`   // claims that happened over those reported
	Development float64 `json:"development_factor"` // what amounts will come to over what is known
	Inflation   float64 `json:"inflation_factor"`   // from when losses happened to the middle of the year ahead

	Covers []Cover `json:"covers,omitempty"`
	// Apart are the covers whose claims are expected by policy-year and not by policy.
	Apart []Cover `json:"apart_covers,omitempty"`
}

// Cover is a cover's part in a branch: shares of claims and of loss; of a cover apart,
// claims and EUR a policy-year.
type Cover struct {
	Name   string  `json:"cover"`
	Claims float64 `json:"claims"`
	Loss   float64 `json:"loss"`
}

// neutral is a branch of which nothing was said: the models stand as they are.
var neutral = Branch{Basis: Own, Credibility: 1, Frequency: 1, Severity: 1, Excess: 1, Reporting: 1, Development: 1, Inflation: 1}

// level is a branch as the engine uses it.
type level struct {
	*Branch
	frequency, severity float64 // the products above
	apart               float64 // EUR a policy-year
	nilClaims           float64 // a policy-year
	loads               [4]load
}

// load is a factor on a policy's loss, for the reasons.
type load struct {
	code        string
	factor, log float64
}

// Codes of the reasons that are loads. The last is of the covers apart, and differs by
// policy.
const (
	BranchLevel     = "branch_level"
	LargeClaims     = "large_claims"
	DevelopmentLoad = "development"
	InflationLoad   = "claims_inflation"
	ApartLoad       = "glass_and_assistance"
)

func newLevel(b *Branch) *level {
	l := &level{
		Branch:    b,
		frequency: b.Frequency * b.Reporting,
		severity:  b.Severity * b.Excess * (b.Development / b.Reporting) * b.Inflation,
	}
	for _, c := range b.Apart {
		l.apart += c.Loss
	}
	if b.Exposure > 0 {
		l.nilClaims = b.Nil / b.Exposure
	}
	for i, v := range [...]load{
		{BranchLevel, b.Frequency * b.Severity, 0},
		{LargeClaims, b.Excess, 0},
		{DevelopmentLoad, b.Development, 0},
		{InflationLoad, b.Inflation, 0},
	} {
		v.log = exact.Log(v.factor)
		l.loads[i] = v
	}
	return l
}

// explain adds the loads to the reasons of a policy's link. Each is named, however small
// beside the features that are: who contests a score must see all that it was raised by.
func (l *level) explain(p *Policy, r *score.Reasons) {
	for i := range l.loads {
		add(r, l.loads[i])
	}
	if l.apart > 0 {
		factor := p.Loss / p.proper
		add(r, load{ApartLoad, factor, exact.Log(factor)})
	}
	slices.SortStableFunc(r.Top, func(a, b score.Reason) int {
		return cmp.Compare(math.Abs(b.Contribution), math.Abs(a.Contribution))
	})
}

func add(r *score.Reasons, v load) {
	if v.log != 0 {
		r.Top = append(r.Top, score.Reason{Code: v.code, Numeric: true, Number: v.factor, Contribution: v.log})
		r.Link += v.log
	}
}

// CheckBranches makes sure that branches can be scored with; fault.Malformed.
func CheckBranches(branches map[string]Branch) error {
	for _, name := range slices.Sorted(maps.Keys(branches)) {
		b := branches[name]
		if b.Basis != Own && b.Basis != Blended && b.Basis != Market {
			return fault.New(fault.Malformed, "branch %s: basis is one of own, blended, market", name)
		}
		if !(b.Credibility >= 0 && b.Credibility <= 1) {
			return fault.New(fault.Malformed, "branch %s: credibility is from 0 to 1", name)
		}
		for _, f := range [...]struct {
			name  string
			value float64
		}{
			{"frequency_factor", b.Frequency},
			{"severity_factor", b.Severity},
			{"excess_load", b.Excess},
			{"reporting_factor", b.Reporting},
			{"development_factor", b.Development},
			{"inflation_factor", b.Inflation},
		} {
			if !(f.value > 0 && f.value < 1e12) {
				return fault.New(fault.Malformed, "branch %s: %s is not above 0", name, f.name)
			}
		}
		for _, c := range slices.Concat(b.Covers, b.Apart) {
			if !(c.Claims >= 0 && c.Loss >= 0 && c.Claims < 1e12 && c.Loss < 1e12) {
				return fault.New(fault.Malformed, "branch %s: a cover's claims or loss is negative", name)
			}
		}
	}
	return nil
}

// CoverLoss is what a policy is expected to do in a year under one cover.
type CoverLoss struct {
	Cover     string
	Apart     bool
	Frequency float64 // claims a year
	Loss      float64 // EUR a year
}

// Covers is the number of covers that the policy's loss is split over.
func (p *Policy) Covers() int { return len(p.level.Covers) + len(p.level.Apart) }

// Cover is the part of a cover. All of them add up to the policy's loss where its branch
// has claims; the frequencies of those that are not apart to its frequency.
func (p *Policy) Cover(i int) CoverLoss {
	if n := len(p.level.Covers); i >= n {
		c := &p.level.Apart[i-n]
		return CoverLoss{c.Name, true, c.Claims, c.Loss}
	}
	c := &p.level.Covers[i]
	return CoverLoss{c.Name, false, c.Claims * p.Frequency, c.Loss * p.proper}
}
