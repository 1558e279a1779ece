package check

import (
	"bytes"
	_ "embed" // the baseline
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// baseline.json is PSRule for Azure's baseline Azure.GA_2025_12
// (github.com/Azure/PSRule.Rules.Azure, docs/en/baselines), each of its rules for the types of
// resources that are here, by its own id.
//
//go:embed baseline.json
var baseline []byte

// Reference is a rule of a public baseline: what it asks of a type of resource, the rule of
// ours that holds it already, or why it does not apply. Of want, match and without there is
// one: values of which one must be there, an expression that the value matches, or a text that
// is not in it.
type Reference struct {
	ID   string `json:"id"`
	Held string `json:"held"` // by our rule, a test, or another reference
	Why  string `json:"why"`  // not applicable

	Type     string      `json:"type"`
	Named    string      `json:"named"` // part of a resource's name
	Path     string      `json:"path"`
	Want     []any       `json:"want"`
	Match    string      `json:"match"`
	Without  string      `json:"without"`
	Optional bool        `json:"optional"` // what has no value at all is not meant
	Except   []Exception `json:"except"`

	expr *regexp.Regexp
}

// Exception is a resource that does not keep a rule, and why.
type Exception struct {
	When  string `json:"when"` // one of conditions
	Named string `json:"named"`
	Why   string `json:"why"`
}

// Baseline reads the references.
func Baseline() ([]Reference, error) {
	d := json.NewDecoder(bytes.NewReader(baseline))
	d.DisallowUnknownFields()
	var out []Reference
	if err := d.Decode(&out); err != nil {
		return nil, fmt.Errorf("reading the baseline: %w", err)
	}
	for i := range out {
		for _, x := range out[i].Except {
			if conditions[x.When].holds == nil {
				return nil, fmt.Errorf("reading %s: an exception holds when nobody knows: %q", out[i].ID, x.When)
			}
		}
		if out[i].Match == "" {
			continue
		}
		var err error
		if out[i].expr, err = regexp.Compile(out[i].Match); err != nil {
			return nil, fmt.Errorf("reading %s: %w", out[i].ID, err)
		}
	}
	return out, nil
}

// keeps reports whether a resource keeps the rule.
func (f Reference) keeps(r Resource) bool {
	v := r.Get(f.Path)
	s := ""
	if v != nil {
		s = fmt.Sprint(v)
	}
	switch {
	case v == nil && f.Optional:
		return true
	case f.expr != nil:
		return f.expr.MatchString(s)
	case f.Without != "":
		return !strings.Contains(s, f.Without)
	}
	return slices.Contains(f.Want, v)
}

// Check finds resources that do not keep the rule, and exceptions that nothing needs.
func (f Reference) Check(e *Estate) []Finding {
	var out []Finding
	needed := make([]bool, len(f.Except))
	for _, r := range e.Of(f.Type) {
		if !strings.Contains(r.Name, f.Named) || f.keeps(r) {
			continue
		}
		i := slices.IndexFunc(f.Except, func(x Exception) bool {
			return e.Promise.holds(x.When) && strings.Contains(r.Name, x.Named)
		})
		if i < 0 {
			out = append(out, Finding{Rule: f.ID, Resource: r.ID, Says: fmt.Sprintf("%s is %v", f.Path, r.Get(f.Path))})
			continue
		}
		needed[i] = true
	}
	for i, x := range f.Except {
		there := slices.ContainsFunc(e.Of(f.Type), func(r Resource) bool { return strings.Contains(r.Name, f.Named) && strings.Contains(r.Name, x.Named) })
		if there && e.Promise.holds(x.When) && !needed[i] {
			out = append(out, Finding{Rule: f.ID, Resource: x.Named, Says: "has an exception that nothing needs"})
		}
	}
	return out
}
