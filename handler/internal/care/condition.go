package care

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/fault"
)

// A condition is what a rule says of facts, in words:
//
//	claims_12m >= 3 and segment = private
//	holds_building and not holds_contents
//	(announced_rise >= 15% or premium_rise_12m >= 15%) and age is known
//
//	condition  = all { "or" all }
//	all        = one { "and" one }
//	one        = "not" one | "(" condition ")" | fact
//	           | fact ( ">=" | ">" | "<=" | "<" | "=" | "!=" ) value
//	           | fact "is" ( "known" | "unknown" )
//	value      = a number, a percentage (15% is 0.15), or a name that the fact can have
//
// A fact by itself is one that is yes or no. What is said of a fact that is not known is
// itself not known, and a rule fires only where its condition is true: nobody is told of a
// gap because a column is empty.
type condition struct {
	ops   []op
	facts []int // as they are named, each once
}

// truth is that of a condition: no, not known, or yes. "and" is then the least of two,
// "or" the greatest, "not" the opposite (Kleene's logic).
type truth int8

const (
	no truth = iota - 1
	maybe
	yes
)

// op is one step of a condition in postfix order: about a fact, or about what came before.
type op struct {
	do   opcode
	fact int
	than float64
}

type opcode uint8

const (
	isYes opcode = iota
	atLeast
	above
	atMost
	below
	equal
	unequal
	isKnown
	isUnknown
	not
	and
	or
	unlessNo  // goes on at op.fact where it is no already: nothing that follows "and" changes that
	unlessYes // likewise of "or"
)

var comparisons = map[string]opcode{">=": atLeast, ">": above, "<=": atMost, "<": below, "=": equal, "!=": unequal}

// The bounds of a condition: our choice, far above what a person can read.
const (
	maxDepth = 16
	maxWords = 200
)

// of is the condition's truth for facts.
func (c *condition) of(facts Facts) truth {
	var stack [maxDepth + 2]truth
	top := -1
	for i := 0; i < len(c.ops); i++ {
		switch o := &c.ops[i]; o.do {
		case not:
			stack[top] = -stack[top]
		case and:
			top--
			stack[top] = min(stack[top], stack[top+1])
		case or:
			top--
			stack[top] = max(stack[top], stack[top+1])
		case unlessNo:
			if stack[top] == no {
				i = o.fact
			}
		case unlessYes:
			if stack[top] == yes {
				i = o.fact
			}
		default:
			top++
			stack[top] = o.of(facts[o.fact])
		}
	}
	return stack[0]
}

func (o *op) of(v float64) truth {
	is := false
	switch o.do {
	case isKnown:
		is = v == v
	case isUnknown:
		is = v != v
	case isYes:
		is = v != 0
	case atLeast:
		is = v >= o.than
	case above:
		is = v > o.than
	case atMost:
		is = v <= o.than
	case below:
		is = v < o.than
	case equal:
		is = v == o.than
	case unequal:
		is = v != o.than
	}
	switch {
	case v != v && o.do != isKnown && o.do != isUnknown:
		return maybe
	case is:
		return yes
	}
	return no
}

// parse reads a condition. The error names the word that is wrong, by its place and as it
// stands there: rules hold nobody's data.
func parse(text string) (*condition, error) {
	p := &parser{words: words(text), c: &condition{}}
	if len(p.words) == 0 {
		return nil, fault.New(fault.Invalid, "says nothing")
	}
	if len(p.words) > maxWords {
		return nil, fault.New(fault.Invalid, "has more than %d words", maxWords)
	}
	if err := p.any(0); err != nil {
		return nil, err
	}
	if p.at < len(p.words) {
		return nil, p.wrong(`where "and", "or" or the end is expected`)
	}
	return p.c, nil
}

// words are names, numbers, signs and brackets; spaces part them and are not needed
// around signs.
func words(text string) []string {
	out := make([]string, 0, 1+strings.Count(text, " "))
	for i := 0; i < len(text); {
		from := i
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case c == '(' || c == ')':
			i++
		case strings.IndexByte("<>=!", c) >= 0:
			for i < len(text) && strings.IndexByte("<>=!", text[i]) >= 0 {
				i++
			}
		default:
			for i < len(text) && strings.IndexByte(" \t\n\r()<>=!", text[i]) < 0 {
				i++
			}
		}
		out = append(out, text[from:i])
	}
	return out
}

type parser struct {
	words []string
	at    int
	c     *condition
}

func (p *parser) word() string {
	if p.at < len(p.words) {
		return p.words[p.at]
	}
	return ""
}

// wrong is an error about the word that is looked at.
func (p *parser) wrong(format string, args ...any) error {
	e := fault.New(fault.Invalid, format, args...)
	if p.at >= len(p.words) {
		return fault.New(fault.Invalid, "ends %s", e)
	}
	return fault.New(fault.Invalid, "word %d, %q, %s", p.at+1, p.words[p.at], e)
}

func (p *parser) any(depth int) error {
	if err := p.all(depth); err != nil {
		return err
	}
	for p.word() == "or" {
		if err := p.then(unlessYes, or, depth, p.all); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) all(depth int) error {
	if err := p.one(depth); err != nil {
		return err
	}
	for p.word() == "and" {
		if err := p.then(unlessNo, and, depth, p.one); err != nil {
			return err
		}
	}
	return nil
}

// then reads what comes after "and" or "or".
func (p *parser) then(unless, join opcode, depth int, read func(int) error) error {
	p.at++
	jump := len(p.c.ops)
	p.c.ops = append(p.c.ops, op{do: unless})
	if err := read(depth); err != nil {
		return err
	}
	p.c.ops[jump].fact = len(p.c.ops)
	p.c.ops = append(p.c.ops, op{do: join})
	return nil
}

func (p *parser) one(depth int) error {
	if depth == maxDepth/2 {
		return p.wrong("is in too many brackets")
	}
	switch w := p.word(); w {
	case "not":
		p.at++
		if err := p.one(depth + 1); err != nil {
			return err
		}
		p.c.ops = append(p.c.ops, op{do: not})
		return nil
	case "(":
		p.at++
		if err := p.any(depth + 1); err != nil {
			return err
		}
		if p.word() != ")" {
			return p.wrong("where a closing bracket is expected")
		}
		p.at++
		return nil
	case "", "and", "or", "is", ")":
		return p.wrong("where a fact is expected")
	default:
		return p.about(w)
	}
}

// about reads what is said of a fact.
func (p *parser) about(name string) error {
	f, ok := factIndex[name]
	if !ok {
		if near := nearest(name); near != "" {
			return p.wrong("is no fact; %s is", near)
		}
		return p.wrong("is no fact")
	}
	p.at++
	if !slices.Contains(p.c.facts, f) {
		p.c.facts = append(p.c.facts, f)
	}
	def := &FactList[f]
	if p.word() == "is" {
		p.at++
		do, ok := map[string]opcode{"known": isKnown, "unknown": isUnknown}[p.word()]
		if !ok {
			return p.wrong(`where "known" or "unknown" is expected`)
		}
		p.at++
		p.c.ops = append(p.c.ops, op{do: do, fact: f})
		return nil
	}
	do, compared := comparisons[p.word()]
	if !compared {
		if def.Unit != yesNo {
			return p.wrong("where a comparison of %s is expected", name)
		}
		p.c.ops = append(p.c.ops, op{do: isYes, fact: f})
		return nil
	}
	if def.Unit == yesNo {
		return p.wrong("compares %s, which is yes or no by itself", name)
	}
	p.at++
	than, err := p.value(def, do)
	if err != nil {
		return err
	}
	p.at++
	p.c.ops = append(p.c.ops, op{do, f, than})
	return nil
}

func (p *parser) value(def *Fact, do opcode) (float64, error) {
	w := p.word()
	if len(def.Names) > 0 {
		i := slices.Index(def.Names, w)
		switch {
		case i < 0:
			return 0, p.wrong("where one of %s is expected", strings.Join(def.Names, ", "))
		case do != equal && do != unequal:
			return 0, p.wrong("is a name, and has no order")
		}
		return float64(i), nil
	}
	digits, share := strings.CutSuffix(w, "%")
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || strings.Trim(digits, "-.0123456789") != "" || math.Abs(v) > 1e12 {
		return 0, p.wrong("where a number is expected")
	}
	if share != (def.Unit == unitShare) {
		if share {
			return 0, p.wrong("is a percentage, and %s is not", def.Name)
		}
		return 0, p.wrong("where a percentage is expected: %s is a share", def.Name)
	}
	if share {
		v /= 100
	}
	return v, nil
}

// nearest is the fact whose name a wrong one may stand for; "" for none.
func nearest(name string) string {
	best, least := "", 4
	for i := range FactList {
		if d := distance(name, FactList[i].Name); d < least {
			best, least = FactList[i].Name, d
		}
	}
	return best
}

// distance counts the letters to change, add or leave out (Levenshtein).
func distance(a, b string) int {
	if len(a) > 40 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
