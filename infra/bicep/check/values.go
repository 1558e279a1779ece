package check

import (
	"bytes"
	_ "embed" // the values
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// values.json is a table of what resources must say: a rule, then rows of a type, of when they hold, and of paths with
// what is to be there. Most of what an estate promises is a value; what needs a thought is a rule in Go.
//
//go:embed values.json
var valuesFile []byte

// Values are a rule's rows.
type Values struct {
	Rule, Says string
	Rows       []Row
}

// Row is what resources of a type must say. There must be one of them, unless it is there by parameter (Optional).
type Row struct {
	Rule string `json:"rule"` // begins a rule, with what it says and where that is from; such a row has nothing else
	Says string `json:"says"`
	Why  string `json:"why"`

	Type     string `json:"type"`
	Named    string `json:"named"`  // part of the resource's id; {first} and {second} are short names of regions
	When     string `json:"when"`   // where it holds, one of conditions; "" everywhere
	Except   string `json:"except"` // part of the id of what is not meant; or standsBy
	Optional bool   `json:"optional"`
	// Wants are paths, as of Resource.All, and what each of their values is: itself, one of several, or
	// as of want.
	Wants map[string]any `json:"wants"`
	// With are resources that belong to each, by what their ids end with after its own.
	With []string `json:"with"`
}

// standsBy marks what waits: the colour that is not active, and the region that does not serve.
// The platform would keep two instances for each function group of a colour that stands by, and
// the second region is itself what stands by for a zone of the first.
const standsBy = "stands by"

// readValues reads the table.
func readValues() ([]Values, error) {
	d := json.NewDecoder(bytes.NewReader(valuesFile))
	d.DisallowUnknownFields()
	var rows []Row
	if err := d.Decode(&rows); err != nil {
		return nil, fmt.Errorf("reading the values: %w", err)
	}
	var out []Values
	for _, r := range rows {
		switch {
		case r.Rule != "":
			out = append(out, Values{Rule: r.Rule, Says: r.Says})
		case len(out) == 0 || r.Type == "" || len(r.Wants)+len(r.With) == 0:
			return nil, fmt.Errorf("reading the values: a row of %q is of no rule, of no type or wants nothing", r.Type)
		case r.When != "" && conditions[r.When].holds == nil:
			return nil, fmt.Errorf("reading the values: a row of %q holds when nobody knows: %q", r.Type, r.When)
		default:
			for path := range r.Wants {
				var err error
				if r.Wants[path], err = want(r.Wants[path]); err != nil {
					return nil, fmt.Errorf("reading what %s of %s is to be: %w", path, r.Type, err)
				}
			}
			g := &out[len(out)-1]
			g.Rows = append(g.Rows, r)
		}
	}
	return out, nil
}

// Check holds an estate to the rows.
func (v Values) Check(e *Estate) []Finding {
	var out []Finding
	for _, row := range v.Rows {
		out = append(out, row.check(e)...)
	}
	return out
}

// named is Named in an estate.
func (row Row) named(e *Estate) string {
	if !strings.Contains(row.Named, "{") {
		return row.Named
	}
	first, second := e.regions()
	return strings.NewReplacer("{first}", first, "{second}", second).Replace(row.Named)
}

func (row Row) check(e *Estate) []Finding {
	if !e.Promise.holds(row.When) {
		return nil
	}
	by := ""
	if row.When != "" {
		by = e.promised(conditions[row.When].key)
	}
	named := row.named(e)
	var out []Finding
	there := false
	for _, r := range e.Of(row.Type) {
		if !strings.Contains(r.ID, named) {
			continue
		}
		there = true
		if row.Except == standsBy && e.standsBy(r.Name) || row.Except != "" && strings.Contains(r.ID, row.Except) {
			continue
		}
		for _, path := range slices.Sorted(maps.Keys(row.Wants)) {
			for _, got := range r.All(path) {
				wanted, by := row.Wants[path], by
				switch key := wanted.(type) {
				case tier:
					wanted, by = e.Promise.tier(string(key)), e.promised(string(key))
				case most:
					wanted, by = upTo(e.Promise.most(string(key))), e.promised("limits."+string(key))
				}
				if !fits(got, wanted) {
					out = append(out, Finding{Resource: r.ID, Says: fmt.Sprintf("%s is %v, not %v%s", path, got, wanted, by)})
				}
			}
		}
		for _, part := range row.With {
			if _, ok := e.At(r.ID + part); !ok {
				out = append(out, Finding{Resource: r.ID, Says: "has no " + part + by})
			}
		}
	}
	if !there && !row.Optional {
		out = append(out, Finding{Resource: "the estate", Says: "has no " + row.Type + " " + named + by})
	}
	return out
}

// Ways of wanting, beside a value itself and one of several.
type (
	whole []any    // {"list": […]}: these, in this order, and no others
	parts []string // {"has": […]}: each of these in a text, remarks in XML aside
	tier  string   // {"promised": key}: what is promised by that key
	most  string   // {"most": key}: a whole number up to the limit that is promised by that key
	upTo  float64  // such a limit
)

// want reads a way of wanting; {"match": …} is an expression.
func want(in any) (any, error) {
	m, ok := in.(map[string]any)
	if !ok {
		return in, nil
	}
	if list, ok := m["list"].([]any); ok && len(m) == 1 {
		return whole(list), nil
	}
	if list, ok := m["has"].([]any); ok && len(m) == 1 {
		var out parts
		for _, p := range list {
			out = append(out, text(p))
		}
		return out, nil
	}
	if expr, ok := m["match"].(string); ok && len(m) == 1 {
		return regexp.Compile(expr)
	}
	if key, ok := m["promised"].(string); ok && len(m) == 1 && (Promise{GatewayTier: key, FirewallTier: key}).tier(key) != "" {
		return tier(key), nil
	}
	if key, ok := m["most"].(string); ok && len(m) == 1 && (key == "perAddress" || key == "perCaller") {
		return most(key), nil
	}
	return nil, fmt.Errorf("wants in a way that is not known: %v", in)
}

var remark = regexp.MustCompile(`(?s)<!--.*?-->`)

// fits reports whether a value is what is wanted.
func fits(got, wanted any) bool {
	said := ""
	if got != nil {
		said = fmt.Sprint(got)
	}
	switch w := wanted.(type) {
	case []any:
		return slices.Contains(w, got)
	case whole:
		list, ok := got.([]any)
		return ok && slices.Equal(list, w)
	case parts:
		said = remark.ReplaceAllString(said, "")
		return !slices.ContainsFunc(w, func(p string) bool { return !strings.Contains(said, p) })
	case upTo:
		n, err := strconv.Atoi(said)
		return err == nil && n >= 1 && float64(n) <= float64(w)
	case *regexp.Regexp:
		return w.MatchString(said)
	}
	return got == wanted
}

// All is Get of a path that means several values: "*" each of a list or object, "name=all" the one of a list that says so.
// Where there is nothing on the way it is one nil: what is wanted of each is wanted of one at least.
func (r Resource) All(path string) []any {
	found := []any{any(r.raw)}
	for _, step := range strings.Split(path, ".") {
		var next []any
		for _, v := range found {
			next = append(next, enter(v, step)...)
		}
		found = next
	}
	return found
}

// enter takes a step into a value.
func enter(v any, step string) []any {
	var out []any
	switch in := v.(type) {
	case map[string]any:
		if step != "*" {
			return []any{in[step]}
		}
		for _, each := range in {
			out = append(out, each)
		}
	case []any:
		key, is, selects := strings.Cut(step, "=")
		for i, each := range in {
			one, _ := each.(map[string]any)
			if step == "*" || selects && text(one[key]) == is || strconv.Itoa(i) == step {
				out = append(out, each)
			}
		}
	}
	if len(out) == 0 {
		return []any{nil}
	}
	return out
}
