package audit

import (
	"slices"
	"strings"

	"polis/handler/internal/fault"
)

// Settings are what a tenant may set of its audits and drift reports.
type Settings struct {
	// MinimumCell is how many relations a cell must have for a figure of it to be shown, and
	// how many a sum of money must come from. The 10 that statistical offices ask for at
	// least is the least (Hundepool et al. 2012, Statistical Disclosure Control, the
	// threshold rule); of fewer than 30 an interval says little. Our choice.
	MinimumCell int `json:"minimum_cell"`
	// AgeBands are the ages, in years, at which bands of customers begin; ascending.
	AgeBands []int `json:"age_bands"`
	// Some and Much are the population stability indices from which a book has moved some
	// and much: the industry's 0.10 and 0.25 (Lewis 1994, An Introduction to Credit Scoring;
	// Siddiqi 2006, Credit Risk Scorecards).
	Some float64 `json:"psi_some"`
	Much float64 `json:"psi_much"`
	// FalseAlarm is how probable it is that a report of a book that did not move says of
	// anything that it did, the report as a whole. Our choice.
	FalseAlarm float64 `json:"false_alarm"`
	// Material is from which share of what was foretold a difference matters: of a large book
	// the least one is beyond chance. Our choice.
	Material float64 `json:"material"`
	// ProxyAUC is from where the features of models are said to tell an attribute: the lower
	// end of the 95% interval of the AUC. At 0.65 the features point at the right one of two
	// customers in 65 of 100. Our choice.
	ProxyAUC float64 `json:"proxy_auc"`
	// Protected are attributes for which proxies are looked for, beside the features that
	// the settings exclude: names of features, or attribute_ and the key of a policies'
	// attribute, or EveryForbidden. By default age, where people live, and every forbidden one:
	// gender (Directive 2004/113/EC), and health and the like (GDPR art. 9) where a book holds
	// them. A tenant that may not read such data even for this leaves EveryForbidden out. A
	// name that a book holds nothing of is reported as not looked at.
	Protected []string `json:"protected"`
}

// EveryForbidden stands for all attributes of policies whose keys say that they may never be
// a feature.
const EveryForbidden = "attribute_*"

// Defaults are the settings that Polis comes with.
func Defaults() Settings {
	return Settings{
		MinimumCell: 30,
		AgeBands:    []int{25, 35, 45, 55, 65, 75},
		Some:        0.10,
		Much:        0.25,
		FalseAlarm:  0.05,
		Material:    0.10,
		ProxyAUC:    0.65,
		Protected:   []string{"age", "area", EveryForbidden},
	}
}

// Clone shares nothing with s that may change.
func (s Settings) Clone() Settings {
	s.AgeBands, s.Protected = slices.Clone(s.AgeBands), slices.Clone(s.Protected)
	return s
}

// mostBands and mostProtected bound what a report is made of: each protected attribute
// takes some seconds.
const (
	mostBands     = 20
	mostProtected = 50
)

// Check names the setting that breaks a rule. No settings break none.
func (s *Settings) Check() error {
	if s == nil {
		return nil
	}
	bad := func(name, rule string) error { return fault.New(fault.Invalid, "audit.%s %s", name, rule) }
	switch {
	case s.MinimumCell < 10 || s.MinimumCell > 100_000:
		return bad("minimum_cell", "is not between 10 and 100000")
	case len(s.AgeBands) > mostBands:
		return bad("age_bands", "has more than 20 ages")
	case !(s.Some > 0 && s.Some <= 10):
		return bad("psi_some", "is not above 0 and at most 10")
	case !(s.Much >= s.Some && s.Much <= 10):
		return bad("psi_much", "is not between psi_some and 10")
	case !(s.FalseAlarm >= 1e-6 && s.FalseAlarm <= 0.5):
		return bad("false_alarm", "is not between 0.000001 and 0.5")
	case !(s.Material >= 0 && s.Material <= 1):
		return bad("material", "is not between 0 and 1")
	case !(s.ProxyAUC >= 0.5 && s.ProxyAUC <= 1):
		return bad("proxy_auc", "is not between 0.5 and 1")
	case len(s.Protected) > mostProtected:
		return bad("protected", "has more than 50 names")
	}
	for i, from := range s.AgeBands {
		if from < 1 || from > 120 || i > 0 && from <= s.AgeBands[i-1] {
			return bad("age_bands", "is not ages of 1 to 120, ascending")
		}
	}
	for _, name := range s.Protected {
		if strings.TrimSpace(name) == "" {
			return bad("protected", "has a name that is empty")
		}
	}
	return nil
}
