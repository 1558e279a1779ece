package feedback

import (
	"slices"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

// Settings are what a tenant may set of what is made of feedback. They are frozen with the
// models that were trained under them.
type Settings struct {
	// WindowMonths is for how long an action is taken to work, from the day on which somebody
	// acted. Training counts those days by Weight, and effects are looked for within them.
	WindowMonths int `json:"window_months"`
	// Weight is what a day in a window counts in training, from 0 to 1: at 0 it is censored,
	// and what is learnt is what happens without action; at 1 nothing is set apart.
	Weight float64 `json:"weight"`
	// Contacts that an office sought (direction out) with one of these reasons are actions
	// too, whatever their case: to keep a customer, or to offer what stands after a colon.
	RetentionReasons Reasons `json:"retention_reasons"`
	OfferReasons     Reasons `json:"offer_reasons"`

	Quiet       Quiet       `json:"quiet"`
	Snooze      Snooze      `json:"snooze"`
	Suppression Suppression `json:"suppression"`
	List        List        `json:"list"`
	Effects     Effects     `json:"effects"`
}

// Reasons are a tenant's codes of contacts.
type Reasons []string

// About reports whether a contact's reason is one of these, and what stands after a colon.
func (r Reasons) About(reason string) (about string, ok bool) {
	code, about, _ := strings.Cut(reason, ":")
	return strings.TrimSpace(about), portfolio.AmongCodes(r, code)
}

// Quiet is for how many days the same action is not suggested for the same customer: after
// an outcome, and after a judgement, whichever lasts longer. What care asks for is suggested
// before that where something new asks for it.
type Quiet struct {
	Done         int `json:"done_days"`
	Dismissed    int `json:"dismissed_days"`
	Declined     int `json:"declined_days"`
	NotUseful    int `json:"not_useful_days"`
	Wrong        int `json:"wrong_days"`
	AlreadyKnown int `json:"already_known_days"`
	// Care bounds all these for what care asks for at once, and CareDone that after somebody
	// acted: what still asks for it then is looked at again.
	Care     int `json:"care_days"`
	CareDone int `json:"care_done_days"`
}

// Snooze is for how many days an item can be put off at most, and one that care asks for: to
// put off is no way to take somebody off the list.
type Snooze struct {
	Days     int `json:"days"`
	CareDays int `json:"care_days"`
}

// List bounds what a list has of covers that are missing and sums that are too low, and says
// which of these stand before commerce.
type List struct {
	// MaxAdvice is how many such items a day's list has, the most severe first. They are places
	// of their own: nothing else takes them, and the next come up as these are dealt with.
	MaxAdvice int `json:"max_advice"`
	// AdviceFrom is the score of care, 0–100, from which on one stands before all commerce.
	AdviceFrom float64 `json:"advice_from"`
}

// Suppression says when a kind of action stands after all others: when the share of
// judgements against it is above Limit with a probability of Level.
type Suppression struct {
	Limit float64 `json:"limit"`
	Level float64 `json:"level"`
	// The share is distributed as Beta(PriorAgainst + against, PriorFor + for): with so many
	// judgements that nobody gave.
	PriorAgainst float64 `json:"prior_against"`
	PriorFor     float64 `json:"prior_for"`
}

// Effects says how the effects of actions are found.
type Effects struct {
	// HoldOut is the share of due actions that are not shown, by lot, so that what became of
	// these can be compared to what became of the others. Nothing that care asks for is.
	HoldOut float64 `json:"hold_out"`
	// LandmarkDays is how soon somebody must have acted to count as having done so. What
	// happens before is left out: only who stayed so long could be acted on.
	LandmarkDays int `json:"landmark_days"`
	// Bands parts suggestions by the predicted probability of what the action is to change:
	// the upper edges of all bands but the last, ascending.
	Bands []float64 `json:"bands"`
	// Events is how many of what is counted, lapses or purchases, must have come before more
	// is said than which effect could have been seen.
	Events float64 `json:"events"`
	Level  float64 `json:"level"` // of intervals, and of the test whose power is asked for
	Power  float64 `json:"power"`
}

// Defaults are what Polis comes with; each call makes them anew.
func Defaults() Settings {
	return Settings{
		WindowMonths:     6, // our choice: the sample's own contacts work for half a year
		Weight:           0, // churn is "without action"
		RetentionReasons: Reasons{"retention", "retentie", "behoud", "behoudsgesprek", "winback", "save"},
		OfferReasons:     Reasons{"offer", "aanbod"},
		// Ours: a quarter after a talk, half a year after a no, a year where it was of no use. Of
		// care as long as it can be put off, and a month after somebody acted.
		Quiet: Quiet{Done: 90, Dismissed: 180, Declined: 90, NotUseful: 365, Wrong: 365, AlreadyKnown: 180, Care: 14, CareDone: 30},
		// Ours: a quarter, as after a talk; a fortnight where care asks, so that somebody looks again.
		Snooze: Snooze{Days: 90, CareDays: 14},
		// Uniform beforehand (Bayes and Laplace); more often useless than not, and hardly by
		// chance: our choice.
		Suppression: Suppression{Limit: 0.5, Level: 0.95, PriorAgainst: 1, PriorFor: 1},
		// Ours: as many as there are commercial actions, more than an office speaks to in a day.
		// 40 is two reasons to call at once (20 points and more each): what a sum insured that is
		// 40% and more below the rebuild value comes to by itself.
		List: List{MaxAdvice: 500, AdviceFrom: 40},
		Effects: Effects{
			LandmarkDays: 30, // our choice: the longest that the default playbook gives
			// Five strata take away about nine tenths of what one variable confounds (Cochran
			// 1968). The edges are our choice.
			Bands:  []float64{0.05, 0.1, 0.2, 0.35},
			Events: 20,   // our choice: as many as elsewhere make half of a rate one's own
			Level:  0.95, // usual: a test at 5%
			Power:  0.8,  // usual since Cohen (1988)
		},
	}
}

// Clone is the settings with nothing shared.
func (s Settings) Clone() Settings {
	s.RetentionReasons, s.OfferReasons = slices.Clone(s.RetentionReasons), slices.Clone(s.OfferReasons)
	s.Effects.Bands = slices.Clone(s.Effects.Bands)
	return s
}

// MaxBands is how many bands a tenant may set.
const MaxBands = 20

// Check makes sure that a tenant's settings make sense, and names the field that does not.
func (s *Settings) Check() error {
	for _, f := range [...]struct {
		name        string
		value       float64
		least, most float64
	}{
		{"window_months", float64(s.WindowMonths), 1, 60},
		{"weight", s.Weight, 0, 1},
		{"quiet.done_days", float64(s.Quiet.Done), 0, 3660},
		{"quiet.dismissed_days", float64(s.Quiet.Dismissed), 0, 3660},
		{"quiet.declined_days", float64(s.Quiet.Declined), 0, 3660},
		{"quiet.not_useful_days", float64(s.Quiet.NotUseful), 0, 3660},
		{"quiet.wrong_days", float64(s.Quiet.Wrong), 0, 3660},
		{"quiet.already_known_days", float64(s.Quiet.AlreadyKnown), 0, 3660},
		{"quiet.care_days", float64(s.Quiet.Care), 0, 90}, // as snooze.care_days
		{"quiet.care_done_days", float64(s.Quiet.CareDone), 0, 90},
		{"snooze.days", float64(s.Snooze.Days), 1, 366},
		{"snooze.care_days", float64(s.Snooze.CareDays), 1, 90},
		{"suppression.limit", s.Suppression.Limit, 0, 1},
		{"suppression.level", s.Suppression.Level, 0.5, 1},
		{"suppression.prior_against", s.Suppression.PriorAgainst, 0.01, 1e6},
		{"suppression.prior_for", s.Suppression.PriorFor, 0.01, 1e6},
		{"list.max_advice", float64(s.List.MaxAdvice), 1, 5000}, // what is not bounded fills memory
		{"list.advice_from", s.List.AdviceFrom, 0, 100},
		{"effects.hold_out", s.Effects.HoldOut, 0, 0.5}, // more would be no list any more
		{"effects.landmark_days", float64(s.Effects.LandmarkDays), 1, 366},
		{"effects.events", s.Effects.Events, 1, 1e6},
		{"effects.level", s.Effects.Level, 0.5, 0.999},
		{"effects.power", s.Effects.Power, 0.5, 0.999},
	} {
		if !(f.value >= f.least && f.value <= f.most) {
			return fault.New(fault.Invalid, "feedback: %s is from %v to %v", f.name, f.least, f.most)
		}
	}
	for k, list := range [...]Reasons{s.RetentionReasons, s.OfferReasons} {
		for i, code := range list {
			if code == "" || strings.Contains(code, ":") {
				return fault.New(fault.Invalid, "feedback: %s[%d] is a code without a colon", [...]string{"retention_reasons", "offer_reasons"}[k], i)
			}
		}
	}
	if len(s.Effects.Bands) >= MaxBands {
		return fault.New(fault.Invalid, "feedback: effects.bands has fewer than %d edges", MaxBands)
	}
	last := 0.0
	for i, edge := range s.Effects.Bands {
		if !(edge > last && edge < 1) {
			return fault.New(fault.Invalid, "feedback: effects.bands[%d] is between the edge before it and 1", i)
		}
		last = edge
	}
	return nil
}

// Band is the band of a predicted probability; the last of all is that of one which is not
// known, 0.
func (e *Effects) Band(p float64) int {
	if !(p > 0) {
		return len(e.Bands) + 1
	}
	i, _ := slices.BinarySearch(e.Bands, p)
	return i
}

// HeldOut draws whether a suggestion is not shown: the same lot for all suggestions of an
// action for a customer that were opened in one year, or who was to be left alone would be
// approached when the same is suggested anew.
func (e *Effects) HeldOut(tenant, customer, action string, opened portfolio.Date) bool {
	if e.HoldOut <= 0 {
		return false
	}
	year, _, _ := opened.YMD()
	lot := portfolio.Hash(tenant + "\x1f" + customer + "\x1f" + action + "\x1f" + portfolio.MustDate(year, 1, 1).String())
	return float64(lot>>11)/(1<<53) < e.HoldOut
}
