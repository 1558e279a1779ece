package scoring

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"polis/handler/internal/audit"
	"polis/handler/internal/care"
	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	"polis/handler/internal/defend"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/feedback"
	"polis/handler/internal/nbp"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

// Settings are what a tenant may set of its engines, a section each. They are frozen with
// the models that were trained under them: a score can be told from its models alone.
type Settings struct {
	Features feature.Settings  `json:"features"`
	Risk     risk.Settings     `json:"risk"`
	Care     care.Settings     `json:"care"`
	Churn    churn.Settings    `json:"churn"`
	Clv      clv.Settings      `json:"clv"`
	Nbp      nbp.Settings      `json:"nbp"`
	Defend   defend.Playbook   `json:"defend"`
	Feedback feedback.Settings `json:"feedback"`
	// Audit is nil where nothing but scores is made, in records of decisions, and in models'
	// files in place of what Polis comes with: scoring does not need it.
	Audit *audit.Settings `json:"audit,omitempty"`
}

// DefaultSettings are the settings that Polis comes with.
func DefaultSettings() Settings {
	return Settings{
		Features: feature.Defaults, Care: care.Defaults(), Risk: risk.Defaults.Clone(), Churn: churn.Defaults, Clv: clv.Defaults.Clone(), Nbp: nbp.Defaults(),
		Defend: defend.Default, Feedback: feedback.Defaults(), Audit: audits(audit.Defaults()),
	}
}

func audits(s audit.Settings) *audit.Settings { return &s }

// ReadSettings reads a tenant's settings, one JSON object: what it leaves out is as base
// has it. What is no such object is fault.Malformed, what Polis does not know or breaks a
// rule fault.Invalid.
func ReadSettings(r io.Reader, base Settings) (Settings, error) {
	base = base.clone() // what is decoded into serves others too
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&base); err != nil {
		return Settings{}, refused(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Settings{}, fault.New(fault.Malformed, "settings are one JSON object, and more follows")
	}
	if err := base.Check(); err != nil {
		return Settings{}, err
	}
	return base, base.Defend.CheckTriggers(base.Care.Holds)
}

// clone are settings that can be decoded into: no map and no list of theirs is another's.
func (s Settings) clone() Settings {
	s.Defend.Plays = maps.Clone(s.Defend.Plays)
	s.Features.Exclude, s.Features.Attributes = slices.Clone(s.Features.Exclude), slices.Clone(s.Features.Attributes)
	s.Risk, s.Clv = s.Risk.Clone(), s.Clv.Clone()
	s.Care, s.Nbp, s.Audit = s.Care.Clone(), s.Nbp.Clone(), audits(s.Audit.Clone())
	s.Feedback = s.Feedback.Clone()
	return s
}

// refused says what is wrong with settings in the words of those who write JSON.
func refused(err error) error {
	var typed *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &typed) && typed.Field == "":
		return fault.New(fault.Invalid, "settings are one JSON object such as {\"clv\": {\"horizon_months\": 60}}, not a %s", typed.Value)
	case errors.As(err, &typed):
		value, _, _ := strings.Cut(typed.Value, " ") // what follows is the value
		return fault.New(fault.Invalid, "settings: %s is a %s where %s is expected", typed.Field, value, expected(typed.Type))
	case errors.As(err, &syntax):
		return fault.New(fault.Malformed, "reading settings: no JSON at byte %d", syntax.Offset)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fault.New(fault.Malformed, "settings: there is no %s; polis settings prints what there is", name)
	}
	return fault.Wrap(fault.Malformed, err, "reading settings")
}

// expected is a type in the words of JSON.
func expected(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return expected(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// Check makes sure that scores can be made under the settings.
func (s *Settings) Check() error {
	return errors.Join(s.Features.Check(), s.Care.Check(), s.Risk.Check(), s.Churn.Check(), s.Clv.Check(), s.Nbp.Check(), s.Defend.Check(), s.Feedback.Check(), s.Audit.Check(), s.checkProtected())
}

// checkProtected makes sure that what an audit is to look for proxies of may exist.
func (s *Settings) checkProtected() error {
	if s.Audit == nil {
		return nil
	}
	for i, name := range s.Audit.Protected {
		if !feature.Named(name) {
			return fault.New(fault.Invalid, "audit.protected[%d]: no feature is called %q", i, name)
		}
	}
	return nil
}

// Allow makes sure that a model has no term of a feature that is excluded.
func (s *Settings) Allow(m score.Model) error {
	if len(s.Features.Exclude) == 0 {
		return nil
	}
	hidden := s.Features.Hidden(m.Fields())
	for _, t := range m.Terms() {
		for _, f := range t.Fields {
			if hidden[f] {
				return fault.New(fault.Invalid, "the model reads %s, which the settings exclude", m.Fields()[f].Name)
			}
		}
	}
	return nil
}
