package feature

import (
	"slices"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// Settings are what a tenant may set of its features, and of the snapshots of them that are
// learnt from.
type Settings struct {
	// Exclude are the names of features that no model may learn from, as docs/features.md
	// has them; that of an attribute is attribute_ and its key. An excluded feature keeps
	// its place in the rows, is missing in all that is learnt from, and no model with a term
	// of it is published or loaded.
	Exclude []string `json:"exclude,omitempty"`
	// Attributes are the keys of policies' attributes that are features beside the known
	// rating factors, exactly as policies have them: whoever names one answers for what it holds.
	Attributes []string `json:"attributes,omitempty"`
	// FewestCustomers is how many customers must have a value of an attribute for it to be read as
	// itself, and to stand in the models' file: Statistics Netherlands lets out no figure on fewer
	// than ten units (output guidelines for microdata), and from fewer nothing is learnt.
	FewestCustomers int `json:"fewest_customers"`
	// Snapshots are how many years a training looks back on, at most. More see rarer things,
	// and older ways. Five explained more than three of each engine's outcomes on made books of
	// 10,000 customers, whose ways drift and break (docs/engines.md); our choice.
	Snapshots int `json:"snapshots"`
	// ReportingLag is how many months after a year what happened in it may still be reported
	// and be a label. Of the claims of branches that settle soon nearly all are by then; our choice.
	ReportingLag int `json:"reporting_lag_months"`
}

// Defaults are the settings that Polis comes with.
var Defaults = Settings{FewestCustomers: 10, Snapshots: 5, ReportingLag: 3}

// Check makes sure that what is excluded exists, and names the field that breaks a rule.
// Which attributes there are only a book can tell: see CheckAttributes.
func (s Settings) Check() error {
	for i, name := range s.Exclude {
		if !Named(name) {
			return fault.New(fault.Invalid, "features.exclude[%d]: no feature is called %q", i, name)
		}
	}
	for i, key := range s.Attributes {
		switch {
		case strings.TrimSpace(key) == "":
			return fault.New(fault.Invalid, "features.attributes[%d] is empty", i)
		case Forbidden(key):
			return fault.New(fault.Invalid, "features.attributes[%d]: %q may never be a feature: its name says gender, health, who somebody is, staff or free text", i, key)
		}
	}
	if s.FewestCustomers < 1 || s.FewestCustomers > 10_000 {
		return fault.New(fault.Invalid, "features.fewest_customers is not between 1 and 10000")
	}
	if s.Snapshots < 1 || s.Snapshots > 20 {
		return fault.New(fault.Invalid, "features.snapshots is not between 1 and 20")
	}
	if s.ReportingLag < 0 || s.ReportingLag > 24 {
		return fault.New(fault.Invalid, "features.reporting_lag_months is not between 0 and 24")
	}
	return nil
}

// CheckAttributes makes sure that the attributes that are excluded are those of policies.
func (s Settings) CheckAttributes(found *Survey) error {
	for i, name := range s.Exclude {
		if key, ok := strings.CutPrefix(name, Attribute); ok && !builtIn(name) && !found.has(key) {
			return fault.New(fault.Invalid, "features.exclude[%d]: no policy has the attribute %q", i, key)
		}
	}
	return nil
}

// Excludes reports whether models may not read the feature.
func (s Settings) Excludes(name string) bool { return slices.Contains(s.Exclude, name) }

// names reports whether the tenant names the attribute.
func (s Settings) names(key string) bool { return slices.Contains(s.Attributes, key) }

// allows reports whether an attribute may be a feature, if it is not forbidden.
func (s Settings) allows(key string) bool { return RatingFactor(key) || s.names(key) }

// Hidden says of each field whether models may not read it.
func (s Settings) Hidden(fields []model.Field) []bool {
	out := make([]bool, len(fields))
	for i, f := range fields {
		out[i] = s.Excludes(f.Name)
	}
	return out
}

// Named reports whether a name is that of a feature, or may be that of an attribute.
func Named(name string) bool { return builtIn(name) || strings.HasPrefix(name, Attribute) }

func builtIn(name string) bool {
	for _, set := range Catalogue() {
		for _, d := range set.Features {
			if d.Name == name {
				return true
			}
		}
	}
	return false
}
