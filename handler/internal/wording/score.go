package wording

import (
	"bytes"
	"encoding/json"
	"strings"

	"polis/handler/internal/care"
	"polis/handler/internal/fault"
)

// Sentence is something to say, and what of the score it is about.
type Sentence struct {
	About string `json:"about"` // summary, reason, part, signal, gap, offer, action
	Code  string `json:"code"`
	Text  string `json:"text"`
}

// said is what of a score's JSON is put into words; see openapi.yaml.
type said struct {
	Engine      string
	Status      string
	Band        string
	Loss        *float64 `json:"expected_loss"`
	Probability *float64
	Value       *float64
	Definition  string
	Signals     []struct {
		Code   string
		Number float64
	}
	Policies []struct {
		ID     string `json:"policy_id"`
		Branch string
	}
	Gaps   []struct{ Code, Branch string }
	Offers []struct {
		Branch, Need string
		Probability  float64
	}
	Withheld   string
	MayContact *bool `json:"may_contact"`
	Action     string
	Trigger    string
	Reasons    struct {
		Of  string
		Top []Reason
	}
	Explained struct {
		Parts []struct {
			Code         string
			Contribution float64
		}
	}
}

// Reason is one of a score's reasons, as in its JSON.
type Reason struct {
	Code         string
	Value        any // a number, a name, or nil: not known
	Contribution float64
	Book         *struct {
		Median *float64
		Common string
		Share  float64
	}
}

// Rules are the rules of care, which have sentences of their own: *care.Rules.
type Rules interface{ Rule(code string) *care.Rule }

// Text is what a score's JSON says, in sentences, those of care by its rules. What is no score is fault.Malformed.
func (s *Sentences) Text(l Lang, score []byte, rules Rules) ([]Sentence, error) {
	var j said
	if err := json.Unmarshal(score, &j); err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "reading a score to put it into words")
	}
	if j.Engine == "" {
		return nil, fault.New(fault.Malformed, "a score has an engine")
	}
	w := writer{s: s, l: l, out: []Sentence{}}
	w.summary(&j)
	// What is known of another member of the household is not for this one to hear.
	top := j.Reasons.Top
	if j.Reasons.Of == "another_member" {
		w.say("reason", j.Reasons.Of, "another", "", nil, false)
		top = nil
	}
	if of := j.about(); of != "" && len(top) > 0 {
		w.say("reason", "about", "about", j.Engine, map[string]string{"of": s.name(l, "branch", of)}, false)
	}
	for i := range top {
		r := &top[i]
		w.add("reason", r.Code, s.Reason(l, j.Engine, r))
	}
	for _, p := range j.Explained.Parts {
		if r, ok := s.find("part", j.Engine+"."+p.Code); ok {
			w.say("part", p.Code, "part", j.Engine+"."+p.Code, map[string]string{"value": s.write(l, r.format, p.Contribution, false)}, false)
		}
	}
	for _, g := range j.Signals {
		switch r := rules.Rule(g.Code); {
		case r == nil: // a rule of then that is off by now
			w.say("signal", g.Code, "signal", "", map[string]string{"code": g.Code}, false)
		case l == NL:
			w.add("signal", g.Code, r.Dutch(g.Number))
		default:
			w.add("signal", g.Code, r.English(g.Number))
		}
	}
	for _, g := range j.Gaps {
		w.say("gap", g.Code, "gap", "", map[string]string{"of": s.name(l, "branch", g.Branch)}, false)
	}
	for _, o := range j.Offers {
		w.say("offer", o.Branch, "need", o.Need, map[string]string{"of": s.name(l, "branch", o.Branch)}, false)
	}
	if j.Withheld != "" {
		w.say("offer", j.Withheld, "withheld", j.Withheld, nil, false)
	}
	if j.MayContact != nil && !*j.MayContact {
		w.say("offer", "refused", "contact", "refused", nil, false)
	}
	if j.Action != "" {
		w.say("action", j.Action, "action", j.Action, nil, false)
	}
	if j.Trigger != "" {
		w.say("action", j.Trigger, "trigger", j.Trigger, map[string]string{"code": j.Trigger}, false)
	}
	return w.out, nil
}

// Append is a score's JSON with its sentences as one more field, text.
func (s *Sentences) Append(l Lang, score []byte, rules Rules) ([]byte, error) {
	list, err := s.Text(l, score, rules)
	if err != nil {
		return nil, err
	}
	field, err := json.Marshal(struct {
		Lang      string     `json:"lang"`
		Sentences []Sentence `json:"sentences"`
	}{l.String(), list})
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "encoding sentences")
	}
	body, ok := bytes.CutSuffix(bytes.TrimSpace(score), []byte{'}'})
	if !ok {
		return nil, fault.New(fault.Malformed, "a score is a JSON object")
	}
	out := append(bytes.Clone(body), `,"text":`...)
	return append(append(out, field...), '}'), nil
}

// writer collects sentences in a language.
type writer struct {
	s   *Sentences
	l   Lang
	out []Sentence
}

func (w *writer) add(about, code, text string) {
	if text != "" {
		w.out = append(w.out, Sentence{about, code, text})
	}
}

// say adds the sentence of a group's code, if there is one.
func (w *writer) say(about, code, group, key string, is map[string]string, single bool) {
	if r, ok := w.s.find(group, key); ok {
		w.add(about, code, fill(r.text[w.l].sentence, single, is))
	}
}

// about is the branch of the policy, or of the offer, that the reasons are of; "" where
// they are of the customer.
func (j *said) about() string {
	switch j.Engine {
	case "risk":
		for _, p := range j.Policies {
			if p.ID == j.Reasons.Of {
				return p.Branch
			}
		}
	case "nbp":
		if len(j.Offers) > 0 {
			return j.Offers[0].Branch
		}
	}
	return ""
}

// summary says what the engine found, or why nothing.
func (w *writer) summary(j *said) {
	if j.Status != "scored" {
		w.say("summary", j.Status, "status", j.Status, nil, false)
		return
	}
	is := map[string]string{}
	if r, ok := w.s.find("band", j.Band); ok {
		is["band"] = r.text[w.l].sentence
	}
	key, main := j.Engine, j.Probability
	switch j.Engine {
	case "risk":
		main = j.Loss
	case "clv":
		if main = j.Value; main != nil && *main < 0 {
			cost := -*main
			key, main = "clv.negative", &cost
		}
	case "nbp":
		if key = "nbp.nothing"; len(j.Offers) > 0 {
			key, main, is["of"] = "nbp", &j.Offers[0].Probability, w.s.name(w.l, "branch", j.Offers[0].Branch)
		}
	}
	if r, ok := w.s.find("summary", key); ok {
		if main != nil {
			is["value"] = w.s.write(w.l, r.format, *main, false)
		}
		w.say("summary", j.Engine, "summary", key, is, false)
	}
	if j.Definition != "" {
		w.say("summary", j.Definition, "definition", j.Definition, nil, false)
	}
}

// pair parts the names of two features that work together; see score.Reason.
const pair = " × "

// Reason is a reason in words: the customer's value, how it compares to the book, and
// which way it moves the engine's score.
func (s *Sentences) Reason(l Lang, engine string, r *Reason) string {
	group := "customer"
	if engine == "risk" {
		group = "policy"
	}
	parts := []string{s.fact(l, group, r)}
	if c := s.comparison(l, group, r); c != "" {
		parts = append(parts, c)
	}
	way := ".raises"
	if r.Contribution < 0 {
		way = ".lowers"
	}
	if d, ok := s.find("direction", engine+way); ok {
		parts = append(parts, d.text[l].sentence)
	}
	return strings.Join(parts, " ")
}

// fact says what the customer's value is.
func (s *Sentences) fact(l Lang, group string, r *Reason) string {
	if a, b, ok := strings.Cut(r.Code, pair); ok {
		p, _ := s.find("pair", "")
		return fill(p.text[l].sentence, false, map[string]string{"name": s.called(l, group, a), "other": s.called(l, group, b)})
	}
	f, ok := s.feature(group, r.Code)
	if !ok {
		u, _ := s.find("unknown", "")
		return fill(u.text[l].sentence, false, map[string]string{"code": r.Code})
	}
	t, is := f.text[l], s.about(l, r.Code)
	single := false
	switch v := r.Value.(type) {
	case float64:
		if f.format == "flag" {
			yes, no, _ := strings.Cut(t.sentence, "|")
			if t.sentence = yes; v == 0 {
				t.sentence = no
			}
		}
		is["value"], single = s.write(l, f.format, v, false), v == 1
	case string:
		is["value"] = v
		if kind, ok := strings.CutPrefix(f.format, "value:"); ok {
			is["value"] = s.name(l, kind, v)
		}
	default:
		if t.missing != "" {
			return fill(t.missing, false, is)
		}
		m, _ := s.find("missing", "")
		is["name"] = s.called(l, group, r.Code)
		return fill(m.text[l].sentence, false, is)
	}
	return fill(t.sentence, single, is)
}

// called is a feature's name.
func (s *Sentences) called(l Lang, group, code string) string {
	f, ok := s.feature(group, code)
	if !ok {
		return code
	}
	return fill(f.text[l].name, false, s.about(l, code))
}

// about is what the name of a feature says of it: a branch, or a key of the tenant's own.
func (s *Sentences) about(l Lang, code string) map[string]string {
	_, key, _ := strings.Cut(code, "_")
	return map[string]string{"branch": s.name(l, "branch", key), "key": key}
}

// comparison says what is usual in the book; "" where nothing is worth saying.
func (s *Sentences) comparison(l Lang, group string, r *Reason) string {
	f, ok := s.feature(group, r.Code)
	if r.Book == nil || r.Value == nil || !ok {
		return ""
	}
	key, is := "", map[string]string{}
	switch value := r.Value.(type) {
	case float64:
		switch f.format {
		case "flag", "mood", "month":
			return ""
		}
		if r.Book.Median == nil {
			return ""
		}
		key, is["book"] = ".number", s.write(l, f.format, *r.Book.Median, true)
		if *r.Book.Median == 0 && f.format == "count" {
			key = ".zero" // nothing is less
		}
	case string:
		common := r.Book.Common
		if kind, ok := strings.CutPrefix(f.format, "value:"); ok {
			common = s.name(l, kind, common)
		}
		key, is["common"], is["share"] = ".name", common, share(l, r.Book.Share)
		if value == r.Book.Common {
			key = ".same"
		}
	}
	c, _ := s.find("compare", group+key)
	return fill(c.text[l].sentence, false, is)
}
