package care

import (
	"maps"
	"math"
	"slices"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

// Settings are what a tenant may set of care: which of the rules hold for it, and the data
// that the facts are made with. What the law asks is in the rules, and a rule that is
// switched off is named in the settings that are frozen with the models.
type Settings struct {
	Off    []string           `json:"off,omitempty"`    // rules by code
	Points map[string]float64 `json:"points,omitempty"` // by code, 0–100, in place of those of the rules' file
	// Add are rules of the tenant's own, each a line as in the rules' file, without its
	// heading.
	Add []string `json:"add,omitempty"`

	// GapFrom are the points from which on what a rule misses is a coverage gap, and not
	// just worth knowing.
	GapFrom float64 `json:"gap_from"`

	Index  []Index  `json:"index"`  // of what it costs to rebuild or replace
	Common []Common `json:"common"` // sums insured

	LightCovers  []string `json:"light_covers"`  // whose claims are counted apart: they come often and weigh little
	Reviews      []string `json:"reviews"`       // contact reasons that go through a customer's whole portfolio
	MissedReason []string `json:"missed_reason"` // end reasons that say that premiums were not paid
	SoleTraders  []string `json:"sole_traders"`  // legal forms of people who work for themselves
	OneIsEnough  []string `json:"one_is_enough"` // branches of which a household needs one policy

	AheadDays     int     `json:"ahead_days"`      // how far contracts are looked ahead
	NewPolicyDays int     `json:"new_policy_days"` // how long a policy is new
	LateDays      int     `json:"late_days"`       // from which on a claim is reported late
	AfterDays     int     `json:"after_days"`      // after its settlement in which a complaint counts as about a claim
	Negative      float64 `json:"negative"`        // −1 to 0: sentiment of a contact from which down it is negative
}

// Index is how much it costs to rebuild or replace what a branch insures, by year.
type Index struct {
	Branches []string `json:"branches"`
	Source   string   `json:"source"`
	Levels   []Level  `json:"levels"` // by year, each year after the one before
}

// Level is an index's mean of a year, on any base.
type Level struct {
	Year  int     `json:"year"`
	Level float64 `json:"level"`
}

// Common is the sum insured that is common in a branch, as of a year.
type Common struct {
	Branch string  `json:"branch"`
	Year   int     `json:"year"`
	EUR    float64 `json:"eur"`
	Source string  `json:"source"`
}

// Defaults are the settings that Polis comes with, made anew: a tenant's go over them.
func Defaults() Settings {
	return Settings{
		GapFrom: 10, // our choice: a reason to look by itself
		Index: []Index{
			{
				Branches: []string{"building", "business_property"},
				Source:   "our assumption, of the order of the input price index of construction costs of new dwellings of CBS, 2015 = 100: put the published table in its place, or the insurers' own rebuilding index",
				Levels: levels(2005, 81, 84, 87, 91, 91, 92, 94, 96, 97, 98, 100, 101, 104, 107, 110, 112, 119, 132, 140, 143,
					147, 150),
			},
			{
				Branches: []string{"contents", "valuables"},
				Source:   "CBS, consumer price index, 2015 = 100: yearly means in whole points, from its yearly rates of change until 2024; 2025 and 2026 are our assumption",
				Levels: levels(2005, 85, 86, 87, 89, 90, 92, 94, 96, 98, 99, 100, 100, 102, 103, 106, 108, 110, 121, 126, 130,
					135, 138),
			},
		},
		Common: []Common{
			{"building", 2024, 350_000, "our choice: a terraced house of 120 m² at about EUR 2,900 a m² to rebuild"},
			{"contents", 2024, 60_000, "our choice: the order of magnitude of what Dutch tables of contents values give a family"},
		},
		LightCovers:   []string{"glass", "windscreen", "ruit", "ruitschade", "assistance", "pechhulp", "roadside"},
		Reviews:       []string{"review", "advice", "onderhoud", "advies", "onderhoudsgesprek"},
		MissedReason:  []string{"non_payment", "wanbetaling", "royement"},
		SoleTraders:   []string{"eenmanszaak", "zzp", "sole_trader", "sole trader", "sole_proprietorship"},
		OneIsEnough:   []string{"liability", "contents", "building", "legal", "travel"},
		AheadDays:     60,   // our choice: a notice term of one month, and one to talk
		NewPolicyDays: 90,   // our choice: what a look at the advice that was given would go over
		LateDays:      60,   // our choice: twice the month within which most claims are reported
		AfterDays:     90,   // our choice: a quarter
		Negative:      -0.5, // our choice: half of the way down
	}
}

func levels(from int, of ...float64) []Level {
	out := make([]Level, len(of))
	for i, l := range of {
		out[i] = Level{from + i, l}
	}
	return out
}

// Clone shares nothing with the settings.
func (s Settings) Clone() Settings {
	s.Off, s.Points, s.Add = slices.Clone(s.Off), maps.Clone(s.Points), slices.Clone(s.Add)
	s.Index, s.Common = slices.Clone(s.Index), slices.Clone(s.Common)
	for i := range s.Index {
		s.Index[i].Branches, s.Index[i].Levels = slices.Clone(s.Index[i].Branches), slices.Clone(s.Index[i].Levels)
	}
	for _, l := range []*[]string{&s.LightCovers, &s.Reviews, &s.MissedReason, &s.SoleTraders, &s.OneIsEnough} {
		*l = slices.Clone(*l)
	}
	return s
}

// Holds reports whether a code is that of a rule that holds offers back, also of one that is off.
func (s *Settings) Holds(code string) bool {
	all := *s
	all.Off = nil
	rules, err := Compile(&all)
	if err != nil {
		return false
	}
	rule := rules.Rule(code)
	return rule != nil && rule.Holds
}

// Check makes sure that rules can be compiled and facts be made with the settings.
func (s *Settings) Check() error {
	_, err := Compile(s)
	return err
}

func (s *Settings) check() error {
	for i := range s.Index {
		x := &s.Index[i]
		if x.Source == "" {
			return fault.New(fault.Invalid, "care.index[%d].source is required", i)
		}
		if err := branches(x.Branches); err != nil {
			return fault.Wrap(fault.Invalid, err, "care.index[%d].branches", i)
		}
		if len(x.Levels) == 0 {
			return fault.New(fault.Invalid, "care.index[%d].levels is required", i)
		}
		for j, l := range x.Levels {
			switch {
			case !(l.Level > 0) || math.IsInf(l.Level, 0):
				return fault.New(fault.Invalid, "care.index[%d].levels[%d].level is not above 0", i, j)
			case l.Year < 1900 || l.Year > 2200:
				return fault.New(fault.Invalid, "care.index[%d].levels[%d].year is not between 1900 and 2200", i, j)
			case j > 0 && l.Year <= x.Levels[j-1].Year:
				return fault.New(fault.Invalid, "care.index[%d].levels[%d].year is not after the one before", i, j)
			}
		}
	}
	for i, c := range s.Common {
		if err := branches([]string{c.Branch}); err != nil {
			return fault.Wrap(fault.Invalid, err, "care.common[%d].branch", i)
		}
		switch {
		case !(c.EUR > 0) || math.IsInf(c.EUR, 0):
			return fault.New(fault.Invalid, "care.common[%d].eur is not above 0", i)
		case c.Source == "":
			return fault.New(fault.Invalid, "care.common[%d].source is required", i)
		}
	}
	if err := branches(s.OneIsEnough); err != nil {
		return fault.Wrap(fault.Invalid, err, "care.one_is_enough")
	}
	for _, d := range [...]struct {
		name string
		days int
	}{{"ahead_days", s.AheadDays}, {"new_policy_days", s.NewPolicyDays}, {"late_days", s.LateDays}, {"after_days", s.AfterDays}} {
		if d.days < 0 || d.days > 3660 {
			return fault.New(fault.Invalid, "care.%s is not between 0 and 3660", d.name)
		}
	}
	if !(s.GapFrom >= 0 && s.GapFrom <= 100) {
		return fault.New(fault.Invalid, "care.gap_from is not between 0 and 100")
	}
	if !(s.Negative >= -1 && s.Negative <= 0) {
		return fault.New(fault.Invalid, "care.negative is not between -1 and 0")
	}
	return nil
}

func branches(names []string) error {
	for _, n := range names {
		if portfolio.BranchIndex(n) < 0 {
			return fault.New(fault.Invalid, "%q is no branch", n)
		}
	}
	return nil
}

// level is the index in a year: that of the last year before where the year itself is not
// in it, and of the first where none is.
func (x *Index) level(year int) float64 {
	i, found := slices.BinarySearchFunc(x.Levels, year, func(l Level, y int) int { return l.Year - y })
	if !found {
		i = max(0, i-1)
	}
	return x.Levels[i].Level
}
