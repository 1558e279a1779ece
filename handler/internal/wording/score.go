package wording

import (
	"bytes"
	"encoding/json"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/nbp"
)

// Sentence is something to say, and what of the score it is about.
type Sentence struct {
	About string `json:"about"` // summary, reason, part, signal, gap, offer, excluded, ask, contact, action
	Code  string `json:"code"`
	Text  string `json:"text"`
}

// said is what of a score's JSON is put into words; see openapi.yaml.
type said struct {
	Engine      string
	Status      string
	Band        string
	Loss        *float64 `json:"expected_loss"`
	LossRatio   *float64 `json:"loss_ratio"`
	Probability *float64
	Value       *float64
	View        string
	Horizon     float64 `json:"horizon_months"`
	Definition  string
	Basis       string
	EndsOn      string `json:"ends_on"`
	Segment     *segment
	Signals     []struct {
		Code   string
		Number float64
	}
	Policies []struct {
		ID            string `json:"policy_id"`
		EndsOn        string `json:"ends_on"`
		Branch, Basis string
	}
	Gaps     []struct{ Code, Branch string }
	Offers   []offered
	Excluded []struct{ Group, Code string }
	Withheld string
	// MayContact is whether any of the channels of Contact may be used.
	MayContact *bool `json:"may_contact"`
	Contact    []struct {
		Channel, Code string
		Allowed       bool
	}
	Action    string
	Trigger   string
	Reasons   reasons
	Explained struct{ Parts []part }
}

type part struct {
	Code         string
	Contribution float64
}

type segment struct {
	Code, NL, EN string
	WithoutChurn bool `json:"without_churn"`
}

type reasons struct {
	Of, Whose string
	Top       []Reason
}

type offered struct {
	Group       string
	Probability float64
	Basis, Need string
	Ask         []string
	Reasons     reasons // of those after the first, where they have any
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

// Text is what a score's JSON says, in sentences. What is no score is fault.Malformed.
func (s *Sentences) Text(l Lang, score []byte) ([]Sentence, error) {
	var j said
	if err := json.Unmarshal(score, &j); err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "reading a score to put it into words")
	}
	if j.Engine == "" {
		return nil, fault.New(fault.Malformed, "a score has an engine")
	}
	w := writer{s: s, l: l, out: []Sentence{}}
	w.summary(&j)
	if j.EndsOn != "" { // a fact, which no reason made likely
		return w.out, nil
	}
	w.reasons(j.Engine, j.about(), &j.Reasons)
	for _, p := range j.told() {
		r, _ := s.find("part", j.Engine+"."+p.Code)
		// A part that is nothing as it would be read says nothing.
		if value := s.write(l, r.format, p.Contribution, false); strings.ContainsAny(value, "123456789") {
			w.say("part", p.Code, "part", j.Engine+"."+p.Code, is{"value": value})
		}
	}
	for _, g := range j.Signals {
		if text := s.signal(l, g.Code, g.Number); text != "" {
			w.add("signal", g.Code, text)
		} else { // of a rule of then that is off by now
			w.say("signal", g.Code, "signal", "", nil)
		}
	}
	for _, g := range j.Gaps {
		w.say("gap", g.Code, "gap", "", is{"of": s.name(l, "branch", g.Branch)})
	}
	w.offers(&j)
	if j.Action != "" {
		w.say("action", j.Action, "action", j.Action, nil)
	}
	if j.Trigger != "" {
		w.say("action", j.Trigger, "trigger", j.Trigger, nil)
	}
	return w.out, nil
}

// Append is a score's JSON with its sentences as one more field, text.
func (s *Sentences) Append(l Lang, score []byte) ([]byte, error) {
	list, err := s.Text(l, score)
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

// is is what placeholders stand for.
type is map[string]string

// say adds the sentence of a group's code, if there is one.
func (w *writer) say(about, code, group, key string, what is) {
	if r, ok := w.s.find(group, key); ok {
		w.add(about, code, fill(r.text[w.l].sentence, what))
	}
}

// another stands in reasons for a member who is not the one that a score is of.
const another = "another_member"

// reasons adds the reasons of a score, or of one of its offers, and what they are of. What
// is known of another member of the household is not for this one to hear.
func (w *writer) reasons(engine, of string, r *reasons) {
	switch {
	case r.Of == another || r.Whose == another:
		w.say("reason", another, "another", "", nil)
		return
	case of != "" && len(r.Top) > 0:
		w.say("reason", "about", "about", engine, is{"of": w.s.name(w.l, "branch", of)})
	}
	for i := range r.Top {
		w.add("reason", r.Top[i].Code, w.s.Reason(w.l, engine, &r.Top[i]))
	}
}

// told are the parts of a number that are for this customer to hear: not those of another
// member's details, and of churn none where one chance holds for many.
func (j *said) told() []part {
	if j.Engine == "churn" && (j.Reasons.Of == another || j.Basis != "own") {
		return nil
	}
	return j.Explained.Parts
}

// ends is the day on which the last of the customer's own policies is known to end; "" where one
// of them goes on. The relation's end may be known by another member's notice, which is not for
// this one to hear.
func (j *said) ends() string {
	last := ""
	for _, p := range j.Policies {
		if p.EndsOn == "" {
			return ""
		}
		last = max(last, p.EndsOn) // as text days come in their order
	}
	return last
}

// about is the branch of the policy, or the group of the offer, that the reasons are of; ""
// where they are of the customer.
func (j *said) about() string {
	switch j.Engine {
	case "risk", "churn":
		for _, p := range j.Policies {
			if p.ID == j.Reasons.Of {
				return p.Branch
			}
		}
	case "nbp":
		return j.Reasons.Of
	}
	return ""
}

// basis is what the number rests on: risk's is that of the policy that its reasons are of.
func (j *said) basis() string {
	switch j.Engine {
	case "risk":
		for _, p := range j.Policies {
			if p.ID == j.Reasons.Of {
				return p.Basis
			}
		}
	case "nbp":
		if len(j.Offers) > 0 {
			return j.Offers[0].Basis
		}
	}
	return j.Basis
}

// summary says what the engine found, or why nothing.
func (w *writer) summary(j *said) {
	if j.Status != "scored" {
		w.say("summary", j.Status, "status", j.Status, nil)
		return
	}
	if j.EndsOn != "" && j.ends() == "" {
		w.say("summary", j.Engine, "ending", "another", nil)
		return
	}
	what := is{}
	key, main := j.Engine, j.Probability
	standing := true // whether its place in the book says something
	switch j.Engine {
	case "risk":
		// Without a premium the place is among expected losses, and not among ratios.
		if main = j.Loss; j.LossRatio == nil {
			standing = false
		}
	case "churn":
		switch {
		case j.EndsOn != "":
			key, standing, what["on"] = "churn.ending", false, day(w.l, j.ends())
		case j.Definition == "one_policy" || j.Definition == "one_branch":
			key = "churn." + j.Definition
		}
		standing = standing && j.Basis == "own"
	case "clv":
		what["horizon"] = duration(w.l, j.Horizon)
		if main = j.Value; main != nil && *main < 0 {
			cost := -*main
			key, main, standing = "clv.negative", &cost, false
		}
	case "nbp":
		if key, standing = "nbp.nothing", false; len(j.Offers) > 0 {
			key, main, standing, what["of"] = "nbp", &j.Offers[0].Probability, true, w.s.name(w.l, "branch", j.Offers[0].Group)
		}
	}
	if r, ok := w.s.find("summary", key); ok {
		if main != nil {
			what["value"] = w.s.write(w.l, r.format, *main, false)
		}
		text := fill(r.text[w.l].sentence, what)
		if b, ok := w.s.find("band", j.Band); ok && standing {
			place, _ := w.s.find("standing", j.Engine)
			text += " " + fill(place.text[w.l].sentence, is{"band": b.text[w.l].sentence})
		}
		w.add("summary", j.Engine, text)
	}
	if j.EndsOn != "" {
		return
	}
	if b := j.basis(); b != "" {
		w.say("summary", b, "basis", j.Engine+"."+b, nil)
	}
	if j.Definition != "" {
		w.say("summary", j.Definition, "definition", j.Definition, nil)
	}
	if j.View != "" {
		w.say("summary", j.View, "view", j.View, nil)
	}
	if g := j.Segment; g != nil {
		code := g.Code
		if !w.s.standard(code) {
			code = ""
		}
		// What the last one says is of churn.
		if !g.WithoutChurn || code != "steady" {
			w.say("summary", g.Code, "segment", code, is{"of": say(w.l, g.NL, g.EN)})
		}
		if g.WithoutChurn {
			w.say("summary", g.Code, "segment", "without_churn", nil)
		}
	}
}

// offers says of all products why they are offered or not, and by which way.
func (w *writer) offers(j *said) {
	for i := range j.Offers {
		o := &j.Offers[i]
		of := w.s.name(w.l, "branch", o.Group)
		w.say("offer", o.Group, "need", o.Need, is{"of": of})
		for _, code := range o.Ask {
			w.say("ask", code, "ask", "", is{"of": of, "why": w.s.why(w.l, code)})
		}
		w.reasons(j.Engine, o.Group, &o.Reasons)
	}
	if j.Withheld != "" {
		w.say("offer", j.Withheld, "withheld", j.Withheld, nil)
	}
	for _, x := range j.Excluded {
		if j.Withheld == "" || x.Code != nbp.CareSignal { // which was said of all of them
			w.say("excluded", x.Code, "excluded", "", is{"of": w.s.name(w.l, "branch", x.Group), "why": w.s.why(w.l, x.Code)})
		}
	}
	if j.MayContact != nil && !*j.MayContact {
		w.say("contact", "none", "contact", "none", nil)
	}
	for _, c := range j.Contact {
		key := "barred"
		if c.Allowed {
			key = "allowed"
		}
		w.say("contact", c.Code, "contact", key, is{"of": w.s.channel(w.l, c.Channel), "why": w.s.why(w.l, c.Code)})
	}
}

// WhatIf is what an answer to a what-if says of a policy: why it is empty, or with which
// shares a change of its premium went, and none.
func (s *Sentences) WhatIf(l Lang, why string, change, with, without float64) string {
	if why != "" {
		r, _ := s.find("what_if", why)
		return r.text[l].sentence
	}
	r, _ := s.find("what_if", "answer")
	return fill(r.text[l].sentence, is{
		"change": s.write(l, "change", change, false), "value": share(l, with), "without": share(l, without),
	})
}

// pair parts the names of two features that work together; see score.Reason.
const pair = " × "

// Reason is a reason in words: the customer's value, how it compares to the book, and
// which way those go of whom the same is true.
func (s *Sentences) Reason(l Lang, engine string, r *Reason) string {
	group := "customer"
	if engine == "risk" {
		group = "policy"
	}
	parts := []string{s.fact(l, group, r)}
	way, own := s.direction(l, engine, group, r)
	if c := s.comparison(l, group, r); c != "" && !own {
		parts = append(parts, c)
	}
	if way != "" {
		parts = append(parts, way)
	}
	return strings.Join(parts, " ")
}

// direction says which way a reason goes, and whether in words of the code's own, which
// compare already. A model knows what goes together and not what makes what, so a sentence
// speaks of others who are alike; only a load is a step of the calculation itself.
func (s *Sentences) direction(l Lang, engine, group string, r *Reason) (text string, own bool) {
	way := ".raises"
	if r.Contribution < 0 {
		way = ".lowers"
	}
	if d, ok := s.find("direction", engine+"."+r.Code+way); ok {
		return d.text[l].sentence, true
	}
	if f, ok := s.feature(group, r.Code); ok && f.format == "" {
		engine += ".load"
	}
	d, _ := s.find("direction", engine+way)
	return d.text[l].sentence, false
}

// fact says what the customer's value is.
func (s *Sentences) fact(l Lang, group string, r *Reason) string {
	if a, b, ok := strings.Cut(r.Code, pair); ok {
		p, _ := s.find("pair", "")
		return fill(p.text[l].sentence, is{"name": s.called(l, group, a), "other": s.called(l, group, b)})
	}
	f, ok := s.feature(group, r.Code)
	if !ok {
		u, _ := s.find("unknown", "")
		return u.text[l].sentence
	}
	t, what := f.text[l], s.about(l, r.Code)
	switch v := r.Value.(type) {
	case float64:
		if f.format == "flag" {
			yes, no, _ := strings.Cut(t.sentence, "|")
			if t.sentence = yes; v == 0 {
				t.sentence = no
			}
		}
		what["value"] = s.write(l, f.format, v, false)
	case string:
		what["value"] = s.text(l, f.format, r.Code, v)
	default:
		if f.format == "" { // a sentence that shows no value
			return t.sentence
		}
		if t.missing != "" {
			return fill(t.missing, what)
		}
		m, _ := s.find("missing", "")
		what["name"] = s.called(l, group, r.Code)
		return fill(m.text[l].sentence, what)
	}
	return fill(t.sentence, what)
}

// called is a feature's name.
func (s *Sentences) called(l Lang, group, code string) string {
	f, ok := s.feature(group, code)
	if !ok {
		return code
	}
	return fill(f.text[l].name, s.about(l, code))
}

// text is what a feature's value is called.
func (s *Sentences) text(l Lang, format, code, value string) string {
	if kind, ok := strings.CutPrefix(format, "value:"); ok {
		return s.name(l, kind, value)
	}
	if key, ok := strings.CutPrefix(code, attribute); ok {
		return s.name(l, "attribute."+key, value)
	}
	return value
}

// attribute begins the names of features that are attributes of policies.
const attribute = "attribute_"

// about is what the name of a feature says of it: a branch, or an attribute. One that is
// not among the known is quoted as the tenant's own field.
func (s *Sentences) about(l Lang, code string) is {
	_, key, _ := strings.Cut(code, "_")
	if !strings.HasPrefix(code, attribute) {
		return is{"branch": s.name(l, "branch", key)}
	}
	if s.Specific("value", "attribute."+key) {
		return is{"key": s.name(l, "attribute", key)}
	}
	own, _ := s.find("field", "")
	return is{"key": fill(own.text[l].sentence, is{"of": key})}
}

// comparison says what is usual in the book; "" where nothing is worth saying.
func (s *Sentences) comparison(l Lang, group string, r *Reason) string {
	f, ok := s.feature(group, r.Code)
	if r.Book == nil || r.Value == nil || !ok {
		return ""
	}
	key, what := "", is{}
	switch value := r.Value.(type) {
	case float64:
		switch f.format {
		case "flag", "mood", "month":
			return ""
		}
		if r.Book.Median == nil {
			return ""
		}
		key, what["book"] = ".number", s.write(l, f.format, *r.Book.Median, true)
		if f.text[l].missing != "" {
			key = ".those" // the book's are of those who have it
		}
		// Nothing is less, as it is read.
		switch least := s.write(l, f.format, 0, true); f.format {
		case "count", "months", "decimal_years":
			if what["book"] != least {
				break
			}
			key = map[string]string{".number": ".zero", ".those": ".those_zero"}[key]
		}
	case string:
		common := s.text(l, f.format, r.Code, r.Book.Common)
		key, what["common"], what["share"] = ".name", common, share(l, r.Book.Share)
		if value == r.Book.Common {
			key = ".same"
		}
	}
	c, _ := s.find("compare", group+key)
	return fill(c.text[l].sentence, what)
}
