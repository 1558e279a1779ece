package nbp

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

// Kind is what a rule does to an offer.
type Kind string

// The kinds. The first three keep an offer away; Suitability and Ask only lower its place
// among others; State and Contact have no conditions: they give the program's own codes
// their source and sentences.
const (
	Eligibility Kind = "eligibility"            // the law or insurers do not allow it
	Target      Kind = "target_market"          // the customer is outside the target market (EU 2017/2358)
	Negative    Kind = "negative_target_market" // inside a group that the product is not for
	Suitability Kind = "suitability"
	Ask         Kind = "ask" // something that the file does not say and that must be asked first
	State       Kind = "state"
	Contact     Kind = "contact"
)

var kinds = []Kind{Eligibility, Target, Negative, Suitability, Ask, State, Contact}

// excludes reports whether a rule of the kind keeps an offer away.
func (k Kind) excludes() bool { return k == Eligibility || k == Target || k == Negative }

// Rule is one line of the table: where every condition that it has holds, it works on its
// groups. A condition on something that is not known does not hold, and an offer that only
// such a condition could keep away says that it must be asked.
type Rule struct {
	Code           string            `json:"code"`
	Kind           Kind              `json:"kind"`
	Groups         []string          `json:"groups,omitempty"` // codes of groups or branches; none: all
	Segment        portfolio.Segment `json:"segment,omitempty"`
	AgeBelow       int               `json:"age_below,omitempty"` // years, by year of birth
	AgeAbove       int               `json:"age_above,omitempty"`
	LegalForms     []string          `json:"legal_forms,omitempty"` // is one of these, in lower case
	SBI            []string          `json:"sbi,omitempty"`         // begins with one of these
	NotSBI         []string          `json:"not_sbi,omitempty"`     // is known and begins with none of these
	EmployeesBelow int               `json:"employees_below,omitempty"`
	EmployeesAbove int               `json:"employees_above,omitempty"`
	Holds          []string          `json:"holds,omitempty"`      // any of these groups or branches, here
	HoldsNone      []string          `json:"holds_none,omitempty"` // none of these
	Attribute      string            `json:"attribute,omitempty"`  // key=value of a policy in force of the relation
	Factor         float64           `json:"factor,omitempty"`     // of the suitability, over 0 to 1
	Source         string            `json:"source"`
	NL             string            `json:"nl"`
	EN             string            `json:"en"`
}

// Rules are a table of rules.
type Rules []Rule

//go:embed rules.csv
var defaultRules []byte

// DefaultRules is the table that Polis comes with. It is read anew, so that nobody's
// changes are another's.
func DefaultRules() Rules {
	rules, err := ParseRules("rules.csv", defaultRules)
	if err != nil {
		panic(err) // embedded, and read by every test
	}
	return rules
}

// columns are the table's, in their order; each fills a field of a rule.
var columns = []struct {
	name string
	set  func(*Rule, string) bool
}{
	{"code", func(r *Rule, s string) bool { r.Code = s; return s != "" && !strings.ContainsAny(s, " \t\"\\") }},
	{"kind", func(r *Rule, s string) bool { r.Kind = Kind(s); return slices.Contains(kinds, r.Kind) }},
	{"groups", func(r *Rule, s string) bool { r.Groups = list(s); return true }},
	{"segment", func(r *Rule, s string) bool {
		r.Segment = portfolio.Segment(s)
		return s == "" || r.Segment == portfolio.Private || r.Segment == portfolio.Business
	}},
	{"age_below", func(r *Rule, s string) bool { return whole(s, &r.AgeBelow) }},
	{"age_above", func(r *Rule, s string) bool { return whole(s, &r.AgeAbove) }},
	{"legal_forms", func(r *Rule, s string) bool { r.LegalForms = list(strings.ToLower(s)); return true }},
	{"sbi", func(r *Rule, s string) bool { r.SBI = list(s); return true }},
	{"not_sbi", func(r *Rule, s string) bool { r.NotSBI = list(s); return true }},
	{"employees_below", func(r *Rule, s string) bool { return whole(s, &r.EmployeesBelow) }},
	{"employees_above", func(r *Rule, s string) bool { return whole(s, &r.EmployeesAbove) }},
	{"holds", func(r *Rule, s string) bool { r.Holds = list(s); return true }},
	{"holds_none", func(r *Rule, s string) bool { r.HoldsNone = list(s); return true }},
	{"attribute", func(r *Rule, s string) bool {
		r.Attribute = s
		key, value, ok := strings.Cut(s, "=")
		return s == "" || ok && key != "" && value != ""
	}},
	{"factor", func(r *Rule, s string) bool {
		if s == "" {
			return true
		}
		v, err := strconv.ParseFloat(s, 64)
		r.Factor = v
		return err == nil && v > 0 && v <= 1
	}},
	{"source", func(r *Rule, s string) bool { r.Source = s; return s != "" }},
	{"nl", func(r *Rule, s string) bool { r.NL = s; return s != "" }},
	{"en", func(r *Rule, s string) bool { r.EN = s; return s != "" }},
}

func list(s string) []string {
	if s = strings.TrimSpace(s); s == "" {
		return nil
	}
	return strings.Fields(s)
}

func whole(s string, into *int) bool {
	if s == "" {
		return true
	}
	v, err := strconv.Atoi(s)
	*into = v
	return err == nil && v > 0 && v < 1_000_000
}

// ParseRules reads a table of rules as CSV, with commas or semicolons: the columns in any
// order, of which code, kind, source, nl and en must be there; lists are separated by
// spaces. An error is fault.Malformed, names the file, the line and the column, and holds
// no value.
func ParseRules(name string, body []byte) (Rules, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	r := csv.NewReader(bytes.NewReader(body))
	if head, _, _ := bytes.Cut(body, []byte{'\n'}); bytes.Count(head, []byte{';'}) > bytes.Count(head, []byte{','}) {
		r.Comma = ';'
	}
	bad := func(format string, args ...any) (Rules, error) {
		return nil, fault.New(fault.Malformed, name+" "+format, args...)
	}
	head, err := r.Read()
	if err != nil {
		return bad("line 1 is no row of column names")
	}
	place := make([]int, len(head))
	for i, h := range head {
		if place[i] = slices.IndexFunc(columns, func(c struct {
			name string
			set  func(*Rule, string) bool
		},
		) bool {
			return c.name == strings.TrimSpace(h)
		}); place[i] < 0 {
			return bad("line 1: column %d is none of a rule's", i+1)
		}
		if slices.Contains(place[:i], place[i]) {
			return bad("line 1: column %s is there twice", columns[place[i]].name)
		}
	}
	for i, c := range columns {
		if !slices.Contains(place, i) && slices.Contains([]string{"code", "kind", "source", "nl", "en"}, c.name) {
			return bad("line 1: column %s is missing", c.name)
		}
	}
	var rules Rules
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rules, nil
		}
		line, _ := r.FieldPos(0)
		if err != nil {
			var p *csv.ParseError
			if errors.As(err, &p) {
				line = p.StartLine
			}
			return bad("line %d: not as many cells as there are columns, or a quote that is not closed", line)
		}
		var rule Rule
		for i, cell := range cells {
			if c := &columns[place[i]]; !c.set(&rule, strings.TrimSpace(cell)) {
				return bad("line %d: %s is missing or no such value", line, c.name)
			}
		}
		if err := rule.check(); err != "" {
			return bad("line %d: %s", line, err)
		}
		rules = append(rules, rule)
	}
}

// UnmarshalJSON reads rules into places of their own: decoding over the rules that were
// there would leave parts of them.
func (rs *Rules) UnmarshalJSON(b []byte) error { return anew(b, (*[]Rule)(rs)) }

func anew[T any](b []byte, into *[]T) error {
	var fresh []T
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&fresh); err != nil {
		return err
	}
	*into = fresh
	return nil
}

// check is what is wrong with a rule by itself, or nothing.
func (r *Rule) check() string {
	bare := Rule{Code: r.Code, Kind: r.Kind, Source: r.Source, NL: r.NL, EN: r.EN}
	switch {
	case r.Code == "" || r.Source == "" || r.NL == "" || r.EN == "":
		return "code, source, nl and en are needed"
	case !slices.Contains(kinds, r.Kind):
		return "kind is none of those that there are"
	case (r.Kind == State || r.Kind == Contact) && !reflect.DeepEqual(*r, bare):
		return "a rule of kind state or contact has no conditions"
	case (r.Kind == Suitability || r.Kind == Ask) != (r.Factor != 0):
		return "factor goes with kind suitability or ask"
	case r.Factor < 0 || r.Factor > 1 || r.Factor != r.Factor:
		return "factor is over 0 to 1"
	case r.AgeBelow < 0 || r.AgeAbove < 0 || r.EmployeesBelow < 0 || r.EmployeesAbove < 0:
		return "ages and employees are not negative"
	case r.Kind.excludes() && r.unconditional():
		return "a rule that keeps offers away needs a condition"
	}
	return ""
}

func (r *Rule) unconditional() bool {
	return r.Segment == "" && r.AgeBelow == 0 && r.AgeAbove == 0 && r.LegalForms == nil && r.SBI == nil && r.NotSBI == nil &&
		r.EmployeesBelow == 0 && r.EmployeesAbove == 0 && r.Holds == nil && r.HoldsNone == nil && r.Attribute == ""
}

// Codes that the program gives by itself. The table must have a line for each.
const (
	Held          = "held"
	HeldSoon      = "held_soon"
	HeldElsewhere = "held_elsewhere"
	NotSold       = "not_sold"
	WrongSegment  = "segment"
	Declined      = "declined"
	CareSignal    = "care_signal"
	FurtherDown   = "further_down"
)

var (
	states   = []string{Held, HeldSoon, HeldElsewhere, NotSold, WrongSegment, Declined, CareSignal, FurtherDown, birthYear, legalForm, sbiCode, employees}
	contacts = []string{consentGiven, consentRefused, existingCustomer, noConsent, refusedOtherwise}
)

// Check makes sure that the rules can be worked with under a grouping: fault.Invalid,
// naming the rule.
func (rs Rules) Check(g *Grouping) error {
	seen := map[string]Kind{}
	for i := range rs {
		r := &rs[i]
		if why := r.check(); why != "" {
			return fault.New(fault.Invalid, "nbp: rules[%d]: %s", i, why)
		}
		if seen[r.Code] != "" {
			return fault.New(fault.Invalid, "nbp: rules[%d]: the code %s is there twice", i, r.Code)
		}
		seen[r.Code] = r.Kind
		for _, f := range [...]struct {
			name   string
			groups []string
		}{{"groups", r.Groups}, {"holds", r.Holds}, {"holds_none", r.HoldsNone}} {
			for _, name := range f.groups {
				if g.Named(name) == 0 {
					return fault.New(fault.Invalid, "nbp: rules[%d]: %s of %s names no group or branch that is offered", i, f.name, r.Code)
				}
			}
		}
	}
	for _, own := range []struct {
		kind  Kind
		codes []string
	}{{State, states}, {Contact, contacts}} {
		for _, code := range own.codes {
			if seen[code] != own.kind {
				return fault.New(fault.Invalid, "nbp: rules: the code %s needs a line of kind %s", code, own.kind)
			}
			delete(seen, code)
		}
	}
	for code, kind := range seen {
		if kind == State || kind == Contact {
			return fault.New(fault.Invalid, "nbp: rules: %s is no code of the program's", code)
		}
	}
	return nil
}

// Sentence is what a code says, for a customer to read, and what it rests on.
func (rs Rules) Sentence(code string) (nl, en, source string, ok bool) {
	for i := range rs {
		if r := &rs[i]; r.Code == code {
			return r.NL, r.EN, r.Source, true
		}
	}
	return "", "", "", false
}

// compiled is a rule as an engine works with it.
type compiled struct {
	*Rule
	groups, holds, holdsNone uint64
	key, value               string
	attribute                bool // of the relation at hand
}

func (rs Rules) compile(g *Grouping) []compiled {
	set := func(names []string) (s uint64) {
		for _, n := range names {
			s |= g.Named(n)
		}
		return s
	}
	var out []compiled
	for i := range rs {
		r := &rs[i]
		if r.Kind == State || r.Kind == Contact {
			continue
		}
		c := compiled{Rule: r, groups: set(r.Groups), holds: set(r.Holds), holdsNone: set(r.HoldsNone)}
		if len(r.Groups) == 0 {
			c.groups = 1<<len(g.Groups) - 1
		}
		c.key, c.value, _ = strings.Cut(r.Attribute, "=")
		out = append(out, c)
	}
	return out
}

// person is what rules ask of a customer.
type person struct {
	segment   portfolio.Segment
	age       int // −1: not known
	legalForm string
	sbi       string
	employees int
	held      uint64 // by its relation, now or soon
}

// Fields that rules read and that may not be known.
const (
	birthYear = "birth_year"
	legalForm = "legal_form"
	sbiCode   = "sbi_code"
	employees = "employees"
)

// applies reports whether all conditions hold; where those fail only for something that is
// not known, ask names it.
func (r *compiled) applies(p *person) (yes bool, ask string) {
	if r.Segment != "" && r.Segment != p.segment ||
		r.holds != 0 && r.holds&p.held == 0 ||
		r.holdsNone != 0 && r.holdsNone&p.held != 0 ||
		r.key != "" && !r.attribute {
		return false, ""
	}
	yes = true
	test := func(asked, known, holds bool, field string) bool {
		if asked && !known {
			ask = field
		}
		if asked && !(known && holds) {
			yes = false
		}
		return !asked || !known || holds
	}
	if !test(r.AgeBelow > 0, p.age >= 0, p.age < r.AgeBelow, birthYear) ||
		!test(r.AgeAbove > 0, p.age >= 0, p.age > r.AgeAbove, birthYear) ||
		!test(r.LegalForms != nil, p.legalForm != "", containsFold(r.LegalForms, p.legalForm), legalForm) ||
		!test(r.SBI != nil, p.sbi != "", begins(p.sbi, r.SBI), sbiCode) ||
		!test(r.NotSBI != nil, p.sbi != "", !begins(p.sbi, r.NotSBI), sbiCode) ||
		!test(r.EmployeesBelow > 0, p.employees > 0, p.employees < r.EmployeesBelow, employees) ||
		!test(r.EmployeesAbove > 0, p.employees > 0, p.employees > r.EmployeesAbove, employees) {
		return false, ""
	}
	return yes, ask
}

func containsFold(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}

func begins(s string, with []string) bool {
	for _, w := range with {
		if strings.HasPrefix(s, w) {
			return true
		}
	}
	return false
}
