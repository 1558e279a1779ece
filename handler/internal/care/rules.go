package care

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/csv"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

// Rule is one line of the rules' file: what in a customer's file asks for care, and how
// much.
type Rule struct {
	Code   string
	Group  string
	When   string  // a condition: see condition
	Points float64 // 0–100: the care score of who has nothing else
	Branch string  // what is missing, of a rule that tells of a gap
	Holds  bool    // offers wait while it fires
	Source string  // law, guideline, or "our choice"
	NL, EN string  // what may be said to the customer; {number} stands for the trigger's number, {one|more} for words that go with it

	condition *condition
	number    int // the fact whose value is the trigger's number; −1: none has one
	branch    int // of Branch; −1 for none
}

// columns are the headings of the rules' file.
var columns = []string{"code", "group", "when", "points", "branch", "holds_offers", "source", "nl", "en"}

//go:embed rules.csv
var rulesFile []byte

// Rules are compiled and hold for a tenant.
type Rules struct {
	list     []*Rule // by points, the most first, then by code: so are triggers
	at       map[string]int
	settings Settings
}

// builtIn are the rules that Polis comes with, read once: a cold start waits for them.
var builtIn = sync.OnceValues(func() ([]*Rule, error) { return readRules("rules.csv", rulesFile) })

// Compile makes the rules that hold under a tenant's settings.
func Compile(s *Settings) (*Rules, error) {
	list, err := builtIn()
	if err != nil {
		return nil, err
	}
	return compile(list, s)
}

func compile(list []*Rule, s *Settings) (*Rules, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	list = slices.Clone(list)
	for i, line := range s.Add {
		name := "care.add[" + strconv.Itoa(i) + "]"
		in := csv.NewReader(strings.NewReader(line))
		in.FieldsPerRecord = -1
		record, err := in.Read()
		if err != nil {
			return nil, fault.Wrap(fault.Malformed, err, "reading %s", name)
		}
		if _, err := in.Read(); !errors.Is(err, io.EOF) {
			return nil, fault.New(fault.Malformed, "%s has more than one line", name)
		}
		rule, err := newRule(name, record)
		if err != nil {
			return nil, err
		}
		list = append(list, rule)
	}
	at := make(map[string]int, len(list))
	for i := range list {
		if _, twice := at[list[i].Code]; twice {
			return nil, fault.New(fault.Invalid, "there are two rules %s", list[i].Code)
		}
		at[list[i].Code] = i
	}
	for _, code := range slices.Sorted(maps.Keys(s.Points)) {
		points := s.Points[code]
		i, ok := at[code]
		switch {
		case !ok:
			return nil, fault.New(fault.Invalid, "care.points: there is no rule %s", code)
		case !(points >= 0 && points <= 100):
			return nil, fault.New(fault.Invalid, "care.points: those of %s are not between 0 and 100", code)
		}
		own := *list[i] // which serves others too
		own.Points = points
		list[i] = &own
	}
	for _, code := range s.Off {
		if _, ok := at[code]; !ok {
			return nil, fault.New(fault.Invalid, "care.off: there is no rule %s", code)
		}
	}
	list = slices.DeleteFunc(list, func(rule *Rule) bool { return slices.Contains(s.Off, rule.Code) })
	slices.SortFunc(list, func(a, b *Rule) int {
		return cmp.Or(cmp.Compare(b.Points, a.Points), cmp.Compare(a.Code, b.Code))
	})
	clear(at)
	for i := range list {
		at[list[i].Code] = i
	}
	return &Rules{list, at, s.Clone()}, nil
}

// Rule finds a rule by its code; nil where there is none, or it is off.
func (r *Rules) Rule(code string) *Rule {
	if i, ok := r.at[code]; ok {
		return r.list[i]
	}
	return nil
}

// readRules reads lines of rules with their heading. Errors name the file, the line, the
// rule and the word.
func readRules(name string, text []byte) ([]*Rule, error) {
	in := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff")))) // spreadsheets put it there
	in.FieldsPerRecord = -1
	head, err := in.Read()
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "%s: reading the heading", name)
	}
	if !slices.Equal(head, columns) {
		return nil, fault.New(fault.Malformed, "%s line 1: the columns are not %s", name, strings.Join(columns, ","))
	}
	in.ReuseRecord = true
	var out []*Rule
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fault.Wrap(fault.Malformed, err, "reading %s", name)
		}
		line, _ := in.FieldPos(0)
		rule, err := newRule(name+" line "+strconv.Itoa(line), record)
		if err != nil {
			return nil, err
		}
		out = append(out, rule)
	}
}

// newRule makes a rule of a line. Errors name where it stands, its code and the word.
func newRule(where string, record []string) (*Rule, error) {
	if len(record) != len(columns) {
		return nil, fault.New(fault.Malformed, "%s has %d columns, not %d", where, len(record), len(columns))
	}
	r, err := ruleOf(record)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s, rule %q", where, record[0])
	}
	return r, nil
}

func ruleOf(record []string) (*Rule, error) {
	r := &Rule{Code: record[0], Group: record[1], When: record[2], Branch: record[4], Source: record[6], NL: record[7], EN: record[8], branch: -1, number: -1}
	if !isCode(r.Code) {
		return r, fault.New(fault.Invalid, "code is not of lower case letters, digits and _, at most 60")
	}
	for i, required := range []bool{true, true, true, true, false, false, true, true, true} {
		if required && strings.TrimSpace(record[i]) == "" {
			return r, fault.New(fault.Invalid, "%s is required", columns[i])
		}
	}
	var err error
	if r.Points, err = strconv.ParseFloat(record[3], 64); err != nil || !(r.Points >= 0 && r.Points <= 100) {
		return r, fault.New(fault.Invalid, "points are not a number from 0 to 100")
	}
	switch record[5] {
	case "", "no":
	case "yes":
		r.Holds = true
	default:
		return r, fault.New(fault.Invalid, "holds_offers is neither yes nor no")
	}
	if r.Branch != "" {
		if r.branch = portfolio.BranchIndex(r.Branch); r.branch < 0 {
			return r, fault.New(fault.Invalid, "branch %q is none", r.Branch)
		}
	}
	if r.condition, err = parse(r.When); err != nil {
		return r, fault.Wrap(fault.Invalid, err, "when")
	}
	for _, f := range r.condition.facts {
		if u := FactList[f].Unit; u != yesNo && u != unitName {
			r.number = f
			break
		}
	}
	for i, text := range []string{r.NL, r.EN} {
		if wrong := checkSentence(text, r.number >= 0); wrong != "" {
			return r, fault.New(fault.Invalid, "%s %s", columns[7+i], wrong)
		}
	}
	return r, nil
}

func isCode(s string) bool {
	return s != "" && len(s) <= 60 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
