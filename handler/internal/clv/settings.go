package clv

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/score"
)

// View is whose margin is counted.
type View string

// The views.
const (
	Insurer      View = "insurer"      // earned premium − expected loss − expenses − contacts
	Intermediary View = "intermediary" // commission and fees − servicing, contacts and acquisition
	Agency       View = "agency"       // the same with agency commission and a share of the profit
)

// Settings are what a value rests on beside the models. All can be set per tenant, and
// are frozen with the models that were trained under them. The defaults are a Dutch
// intermediary's, as orders of magnitude and our choice where no source is named.
type Settings struct {
	View          View    `json:"view"`
	HorizonMonths int     `json:"horizon_months"` // 1 to 600; ten years are about the life of a relation
	DiscountRate  float64 `json:"discount_rate"`  // a year; a risk-free rate of 2 to 3% with a margin, our choice
	Coverage      float64 `json:"coverage"`       // of the prediction interval and of that of its expectation: 0.9

	CommissionRate float64 `json:"commission_rate"` // of premium, where a policy gives none; private non-life: a fifth or less
	// Fees are what an office asks of its customers itself, beside commission or in its place:
	// disability, life and funeral insurance carry no commission in the Netherlands since 2013
	// (Besluit Gedragstoezicht financiële ondernemingen Wft, article 86c). By default none.
	PolicyFees       map[string]float64 `json:"policy_fees"`       // EUR a policy-year, by branch; in a branch that is named CommissionRate is not taken
	CustomerFee      float64            `json:"customer_fee"`      // EUR a year in which a customer has a policy
	ExpenseRatio     float64            `json:"expense_ratio"`     // of premium, insurer: commission and own cost; an order of magnitude, our assumption
	AgencyCommission float64            `json:"agency_commission"` // of premium, on top, agency
	ProfitShare      float64            `json:"profit_share"`      // of premium − loss, agency: negative too, since the pool is shared and not the policy
	ServicingCost    float64            `json:"servicing_cost"`    // EUR per policy a year: about an hour of office work in three years
	ContactCost      float64            `json:"contact_cost"`      // EUR per contact: ten minutes of it
	AcquisitionCost  float64            `json:"acquisition_cost"`  // EUR per new policy, once: two hours of it
	UnseenError      float64            `json:"unseen_error"`      // of income, ten years ahead: what the three that were looked back on could not show

	Market   Market   `json:"market"`
	Segments Segments `json:"segments"`
}

// Market is what a book that is too small to tell is taken for, as if Weight events of it
// had been seen. Orders of magnitude, our choice.
type Market struct {
	SingleEnds float64 `json:"single_ends"` // of policies, a year, while their relation goes on
	Purchases  float64 `json:"purchases"`   // of policies, per customer a year
	Growth     float64 `json:"growth"`      // of the premium of a policy that stays, a year
	GrowthSD   float64 `json:"growth_sd"`   // of its logarithm
	Spread     float64 `json:"spread"`      // squared coefficient of variation of claim amounts of a branch
	Frailty    float64 `json:"frailty"`     // variance of what multiplies a customer's claims beyond what the model sees
	WantsFade  float64 `json:"wants_fade"`  // of what is known of a customer's purchases, a year: its logarithm
	CarryOn    float64 `json:"carry_on"`    // share of other policies that outlive the end of the relation as churn defines it
	Weight     float64 `json:"weight"`      // events: limited fluctuation, own experience counts n/(n+weight)
}

// Segment is a named part of the plane of value and lapse. A customer belongs to the first
// whose bounds hold it. Bounds are quantiles of the book, frozen when the models were
// published; Losing takes those whose expected value is below zero. A segment orders an
// adviser's attention: nothing that a customer is offered or owed depends on it.
type Segment struct {
	Code      string  `json:"code"`
	NL        string  `json:"nl"`
	EN        string  `json:"en"`
	Losing    bool    `json:"losing,omitempty"`
	ValueFrom float64 `json:"value_from,omitempty"` // quantile of value, 0 to 1
	LapseFrom float64 `json:"lapse_from,omitempty"` // quantile of the probability of a lapse within 12 months
	LapseTo   float64 `json:"lapse_to,omitempty"`   // 0: no upper bound
}

// Segments are all of them, in the order in which they are looked at.
type Segments []Segment

// UnmarshalJSON takes segments in place of those that were there, and not into them.
func (s *Segments) UnmarshalJSON(b []byte) error {
	var fresh []Segment
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&fresh); err != nil {
		return err
	}
	*s = fresh
	return nil
}

// Defaults are the settings that Polis comes with: see Settings.
var Defaults = Settings{
	View: Intermediary, HorizonMonths: 120, DiscountRate: 0.04, Coverage: 0.90,
	CommissionRate: 0.17, ExpenseRatio: 0.28, AgencyCommission: 0.06, ProfitShare: 0.10,
	PolicyFees: map[string]float64{}, ServicingCost: 12, ContactCost: 9, AcquisitionCost: 60, UnseenError: 0.15,
	Market: Market{
		SingleEnds: 0.08, Purchases: 0.10, Growth: 0.02, GrowthSD: 0.08, Spread: 3, Frailty: 0.3, WantsFade: 0.5, CarryOn: 0.2, Weight: 20,
	},
	// The thresholds are our choice: the upper half by value, the upper fifth by lapse.
	Segments: Segments{
		{Code: "loss_making", NL: "Verlieslatend", EN: "Loss-making", Losing: true},
		{Code: "critical", NL: "Kritiek", EN: "Critical", ValueFrom: 0.5, LapseFrom: 0.8},
		{Code: "loyal_growth", NL: "Trouwe groei", EN: "Loyal growth", ValueFrom: 0.8, LapseTo: 0.5},
		{Code: "core", NL: "Kern", EN: "Core", ValueFrom: 0.5},
		{Code: "drifting", NL: "Afdrijvend", EN: "Drifting", LapseFrom: 0.8},
		{Code: "steady", NL: "Gestaag", EN: "Steady"},
	},
}

const (
	maxHorizon  = 600 // months: nobody's settings hold longer
	maxSegments = 24
)

// Check makes sure that a tenant's settings make sense: fault.Invalid names the field.
func (s *Settings) Check() error {
	if s.View != Insurer && s.View != Intermediary && s.View != Agency {
		return fault.New(fault.Invalid, "clv: view is one of insurer, intermediary, agency")
	}
	if s.HorizonMonths < 1 || s.HorizonMonths > maxHorizon {
		return fault.New(fault.Invalid, "clv: horizon_months is from 1 to %d", maxHorizon)
	}
	if !(s.Coverage >= 0.5 && s.Coverage <= 0.99) {
		return fault.New(fault.Invalid, "clv: coverage is from 0.5 to 0.99")
	}
	for _, f := range [...]struct {
		name  string
		value float64
		most  float64
	}{
		{"discount_rate", s.DiscountRate, 1},
		{"commission_rate", s.CommissionRate, 1},
		{"customer_fee", s.CustomerFee, 1e6},
		{"expense_ratio", s.ExpenseRatio, 1},
		{"agency_commission", s.AgencyCommission, 1},
		{"profit_share", s.ProfitShare, 1},
		{"servicing_cost", s.ServicingCost, 1e6},
		{"contact_cost", s.ContactCost, 1e6},
		{"acquisition_cost", s.AcquisitionCost, 1e6},
		{"unseen_error", s.UnseenError, 1},
		{"market.single_ends", s.Market.SingleEnds, 1},
		{"market.purchases", s.Market.Purchases, 100},
		{"market.growth", s.Market.Growth, 1},
		{"market.growth_sd", s.Market.GrowthSD, 1},
		{"market.spread", s.Market.Spread, 100},
		{"market.frailty", s.Market.Frailty, 100},
		{"market.wants_fade", s.Market.WantsFade, 10},
		{"market.carry_on", s.Market.CarryOn, 1},
		{"market.weight", s.Market.Weight, 1e9},
	} {
		if !(f.value >= 0 && f.value <= f.most) {
			return fault.New(fault.Invalid, "clv: %s is from 0 to %v", f.name, f.most)
		}
	}
	for _, branch := range slices.Sorted(maps.Keys(s.PolicyFees)) {
		if branch == "" || branch != strings.ToLower(branch) {
			return fault.New(fault.Invalid, "clv: policy_fees names branches in small letters, and %q is none", branch)
		}
		if fee := s.PolicyFees[branch]; !(fee >= 0 && fee <= 1e6) {
			return fault.New(fault.Invalid, "clv: policy_fees.%s is from 0 to 1e+06", branch)
		}
	}
	return s.checkSegments()
}

// Clone is a copy that shares nothing that reading settings changes.
func (s Settings) Clone() Settings {
	s.PolicyFees = maps.Clone(s.PolicyFees)
	return s
}

func (s *Settings) checkSegments() error {
	if len(s.Segments) == 0 || len(s.Segments) > maxSegments {
		return fault.New(fault.Invalid, "clv: segments are 1 to %d", maxSegments)
	}
	codes := map[string]bool{}
	for i, g := range s.Segments {
		switch {
		case !plainCode(g.Code) || codes[g.Code]:
			return fault.New(fault.Invalid, "clv: segments[%d].code is 1 to 40 small letters, digits and _, and no other segment's", i)
		case g.NL == "" || g.EN == "":
			return fault.New(fault.Invalid, "clv: segments[%d] needs nl and en", i)
		case !share(g.ValueFrom) || !share(g.LapseFrom) || !share(g.LapseTo):
			return fault.New(fault.Invalid, "clv: segments[%d]: value_from, lapse_from and lapse_to are quantiles from 0 to 1", i)
		case g.LapseTo > 0 && g.LapseTo <= g.LapseFrom:
			return fault.New(fault.Invalid, "clv: segments[%d]: lapse_to is above lapse_from", i)
		}
		codes[g.Code] = true
	}
	if last := s.Segments[len(s.Segments)-1]; last.Losing || last.ValueFrom > 0 || last.LapseFrom > 0 || last.LapseTo > 0 {
		return fault.New(fault.Invalid, "clv: the last of segments has no bounds, so that everybody is in one")
	}
	return nil
}

func share(v float64) bool { return v >= 0 && v <= 1 }

// plainCode keeps segment codes fit for JSON and for column names.
func plainCode(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

// segment finds a customer's place in the plane: thresholds are the frozen quantiles. From a
// quantile on is above it, so that of customers who are all alike none is above the others.
// Of whom churn says what it says of all, without, is in no segment with bounds of lapse.
func (m *Model) segment(s *Settings, value, lapse float64, without bool) *Segment {
	for i := range s.Segments {
		g := &s.Segments[i]
		if g.Losing && value >= 0 ||
			g.ValueFrom > 0 && value <= at(m.Values, g.ValueFrom) ||
			without && (g.LapseFrom > 0 || g.LapseTo > 0) ||
			g.LapseFrom > 0 && lapse <= at(m.Lapses, g.LapseFrom) ||
			g.LapseTo > 0 && lapse >= at(m.Lapses, g.LapseTo) {
			continue
		}
		return g
	}
	return nil
}

// alikeFrom and alikeTo are quantiles of the probability of a lapse. Between equal ones lie
// four fifths of the book, of whom churn then says one and the same. Our choice.
const alikeFrom, alikeTo = 0.1, 0.9

// alike reports whether churn has one probability for the book, or there is no book.
func (m *Model) alike() bool { return at(m.Lapses, alikeFrom) == at(m.Lapses, alikeTo) }

// at is a quantile of a frozen distribution of percentiles; of none, what nobody reaches.
func at(percentiles []float64, q float64) float64 {
	if len(percentiles) == 0 {
		return math.Inf(1)
	}
	return percentiles[int(float64(q*float64(len(percentiles)-1))+0.5)]
}

// Freeze keeps the book's distributions of value and of the probability of a lapse, which
// it sorts: bands and segments are places in them until the next training.
func (m *Model) Freeze(values, lapses []float64) {
	m.Bands = score.Cuts(values)
	m.Values, m.Lapses = percentiles(values), percentiles(lapses)
}

func percentiles(values []float64) []float64 {
	if len(values) == 0 {
		return nil
	}
	out := make([]float64, 101)
	for i := range out {
		out[i] = score.Quantile(values, float64(i)/100)
	}
	return out
}
