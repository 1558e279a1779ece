// Package defend answers whom to act on today and how: one suggested action a customer,
// from what the other engines say and a playbook. It suggests; people decide.
package defend

import (
	"maps"
	"math"
	"slices"
	"strings"

	"polis/handler/internal/care"
	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	"polis/handler/internal/fault"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

// Play is one action of the playbook: when it is suggested, and with what priority.
type Play struct {
	Action string  `json:"action"`
	From   float64 `json:"from"` // priority, 0–100, with nothing at stake; of care, with a score of 0
	To     float64 `json:"to"`   // and with very much; of care, with one of 100
	Days   int     `json:"days"` // until it is due
	NL     string  `json:"nl"`   // a draft for the adviser, without personal data
	EN     string  `json:"en"`
}

// Playbook is the plays by trigger, care before commerce: a rule of care that holds offers
// back has its code for a trigger. It is data: a tenant may have its own, and leaves one out
// with nil.
type Playbook struct {
	Plays       map[string]*Play `json:"plays"`
	StakeScale  float64          `json:"stake_scale"`  // EUR at stake that is half of very much
	PremiumRise float64          `json:"premium_rise"` // announced, from which on a renewal is reviewed
	OfferFrom   float64          `json:"offer_from"`   // probability of buying from which on an offer is made
}

// Triggers of plays, in the order in which they are looked at; of a gap and underinsurance
// the weightier goes first.
const (
	Care  = "care" // of whatever holds offers back and has no play of its own by its code
	Lapse = "likely_lapse"
	Rise  = "announced_premium_rise"
	Gap   = "coverage_gap"
	Low   = "underinsurance"
	Buy   = "likely_purchase"
)

// IsCare reports whether a trigger is one of care, and not of commerce. To tell somebody that
// a cover is missing, or a sum too low, is care (IDD art. 20, demands and needs); to offer one
// is commerce.
func IsCare(trigger string) bool {
	return trigger != Lapse && trigger != Rise && trigger != Buy
}

// IsAdvice reports whether a trigger is care that can wait its turn: what is missing, or insured
// for too little.
func IsAdvice(trigger string) bool { return trigger == Gap || trigger == Low }

// complaint is the play of all rules that say that a complaint is open: one matter.
var complaint = &Play{
	"resolve_complaint", 90, 100, 1,
	"Er staat een klacht open. Bel de klant, vat de klacht samen, zeg wat er nu gebeurt en wanneer.",
	"A complaint is open. Call the customer, sum it up, say what happens now and when.",
}

// Default is the playbook that Polis comes with. Its numbers are our choice, and a tenant's
// to change:
//   - stake_scale, EUR 400, is some four years of commission (17%) on EUR 600 of premium a
//     year: around that the stake should tell customers apart; far above it nothing is added.
//   - premium_rise, 0.12, is a few times what premiums rise by from prices alone (CBS
//     consumer prices: 3.3% in 2024), so that a rise of the book's kind calls nobody.
//     It is below the 15% from which a rule of care names the rise: the call comes first.
//   - offer_from, 0.15 a year, is one in seven: below that an adviser calls more than half a
//     dozen people for each who wanted it.
//   - priorities, 0–100: what holds offers back (75–100) before all, a complaint above other
//     care, as it has a term. A cover that is missing or a sum that is too low can wait for
//     the next contact; among themselves they go by the score of care, and on a list they have
//     places of their own. Care stands before all commerce there (Wft 4:24a, duty of care).
//     Who may leave goes before what may be sold; ranges overlap there, so that much at stake
//     with one goes before little with another.
//   - days until due: the next day for a complaint, a week for care, two for what a
//     renewal decides, a month for what can wait.
var Default = Playbook{
	StakeScale: 400, PremiumRise: 0.12, OfferFrom: 0.15,
	Plays: map[string]*Play{
		"unresolved_complaint": complaint, "complaint_open_long": complaint, "several_unresolved_complaints": complaint,
		Care: {
			"care_review", 75, 90, 7,
			"Er is iets dat eerst aandacht vraagt. Vraag hoe het gaat, zeg wat er nu gebeurt en loop de dekking en preventie door.",
			"Something needs attention first. Ask how things are, say what happens now, and go through cover and prevention.",
		},
		Lapse: {
			"retention_call", 40, 75, 14,
			"De kans op opzegging is groot. Vraag langs een kanaal waarvoor dat mag naar de wensen, vergelijk de dekking en bespreek de opties.",
			"The customer is likely to leave. By a channel that is allowed, ask what is wanted, compare cover and talk through the options.",
		},
		Rise: {
			"renewal_review", 35, 70, 14,
			"De premie stijgt bij de verlenging. Leg langs een kanaal waarvoor dat mag uit waarom en kijk of de polis nog past.",
			"The premium rises at renewal. By a channel that is allowed, explain why and see whether the policy still fits.",
		},
		Gap: {
			"coverage_advice", 25, 45, 30,
			"In het pakket ontbreekt een dekking die bij deze situatie hoort. Bespreek of de klant dat risico wil dragen.",
			"A cover that goes with this situation is missing. Ask whether the customer means to carry that risk.",
		},
		Low: {
			"sum_advice", 25, 45, 30,
			"Een verzekerd bedrag lijkt te laag. Controleer de waarde met de klant en bespreek wat onderverzekering bij een schade betekent.",
			"A sum insured seems too low. Check the value with the customer and say what underinsurance means when there is a claim.",
		},
		Buy: {
			"offer", 10, 35, 30,
			"Deze klant heeft waarschijnlijk behoefte aan een aanvullende verzekering. Bespreek het bij het volgende contact.",
			"This customer probably needs a further cover. Bring it up at the next contact.",
		},
	},
}

// Check makes sure that a tenant's playbook can be worked with: priorities that are no
// numbers would have no place on a list.
func (b *Playbook) Check() error {
	if !(b.StakeScale > 0) || math.IsInf(b.StakeScale, 0) {
		return fault.New(fault.Invalid, "the playbook's stake_scale is not a positive amount")
	}
	for _, trigger := range slices.Sorted(maps.Keys(b.Plays)) {
		p := b.Plays[trigger]
		switch {
		case p == nil:
		case p.Action == "":
			return fault.New(fault.Invalid, "the play for %s has no action", trigger)
		case !(0 <= p.From && p.From <= p.To && p.To <= 100):
			return fault.New(fault.Invalid, "the play for %s: priorities go from 0 to 100, the first not above the second", trigger)
		case p.Days < 0 || p.Days > 366:
			return fault.New(fault.Invalid, "the play for %s is due within 0 to 366 days", trigger)
		}
	}
	return nil
}

// CheckTriggers makes sure that a tenant's plays are of triggers that there are, by holds of rules
// of care that hold offers back, and that what is owed to everyone has a play.
func (b *Playbook) CheckTriggers(holds func(code string) bool) error {
	for _, trigger := range [...]string{Care, Gap, Low} {
		if b.Plays[trigger] == nil {
			return fault.New(fault.Invalid, "defend.plays: %s is owed to everyone, and cannot be left out", trigger)
		}
	}
	for _, trigger := range slices.Sorted(maps.Keys(b.Plays)) {
		switch trigger {
		case Care, Lapse, Rise, Gap, Low, Buy:
		default:
			if !holds(trigger) {
				return fault.New(fault.Invalid, "defend.plays: %s is no trigger: these are %s, and the codes of rules of care that hold offers back", trigger,
					strings.Join([]string{Care, Lapse, Rise, Gap, Low, Buy}, ", "))
			}
		}
	}
	return nil
}

// Result is what the engine says of a customer. Action is "" where nothing is due.
type Result struct {
	Status   score.Status
	Action   string
	Trigger  string
	Priority float64 // 0–100
	Stake    float64 // EUR: what is at stake; 0 where care asks for it, which no amount orders
	Due      portfolio.Date
	About    string // the branch, for a gap or an offer
	Band     score.Band
	NL, EN   string
	// Also is what is missing or insured for too little of whom something commercial is
	// suggested for: it is to be spoken of then, and stands by itself where the other does not.
	Also Advice
}

// Advice is a suggestion to speak of what is missing, or insured for too little; its Action is
// "" for none.
type Advice struct {
	Action   string
	About    string // the branch, of a gap
	Priority float64
	Due      portfolio.Date
	NL, EN   string
}

// Engine suggests actions from a playbook.
type Engine struct{ book *Playbook }

// New is an engine with a playbook.
func New(b *Playbook) *Engine { return &Engine{b} }

// Score fills the result from what the other engines say. announced is the largest
// change of a premium that is recorded and not yet valid; NaN for none.
func (e *Engine) Score(asOf portfolio.Date, rk *risk.Result, ch *churn.Result, cv *clv.Result, nb *nbp.Result, announced float64, r *Result) {
	*r = Result{Status: rk.Status, Band: score.Low}
	if rk.Status == score.NotInScope {
		r.Status = score.Scored
	}
	// Objections reach this engine as results without a score: what is left is care.
	leaving := max(0, cv.AtRisk)
	// An end that is recorded is known, be it another member's notice: nobody is likely to leave.
	known := ch.EndsOn != 0
	likely := ch.Status == score.Scored && !known && (ch.Band == score.High || ch.Band == score.VeryHigh)
	switch {
	case rk.Care.Held() != "":
		e.care(asOf, &rk.Care, r)
	// To keep a customer is as commercial as to sell (package nbp): of who may not be approached
	// so, by no channel, or objects to profiling, is left what is missing.
	case !nb.MayContact:
		e.advice(asOf, &rk.Care, r)
	// A low or negative value orders commercial work and is no reason to leave a customer out.
	case likely:
		e.beside(asOf, Lapse, leaving, &rk.Care, r)
	case announced >= e.book.PremiumRise && !known:
		e.beside(asOf, Rise, leaving, &rk.Care, r)
	case e.advice(asOf, &rk.Care, r):
	case nb.Status == score.Scored && nb.Withheld == "" && len(nb.Offers) > 0 && nb.Offers[0].Probability >= e.book.OfferFrom:
		e.staked(asOf, Buy, nb.Offers[0].Value, r)
		r.About = nb.Offers[0].Group.Code
	}
}

// Owed is something that care asks for: advice, or what does not wait.
type Owed struct {
	Advice
	Trigger string
	Rules   []string // of care, by their codes: what asks for it
}

// Owed is all that care asks for of a customer, in the order in which it would be suggested were
// what stands before it not there: the first is what Score suggests of care, or beside what is
// commercial. Rules that come to the same action about the same are one.
func (e *Engine) Owed(asOf portfolio.Date, c *care.Result) []Owed {
	var all []Owed
	add := func(trigger, about, rule string) {
		var r Result
		if e.play(asOf, trigger, c.Score/100, &r); r.Action == "" {
			return
		}
		at := slices.IndexFunc(all, func(o Owed) bool { return o.Action == r.Action && o.About == about })
		if at < 0 {
			at = len(all)
			all = append(all, Owed{Advice{r.Action, about, r.Priority, r.Due, r.NL, r.EN}, trigger, nil})
		}
		all[at].Rules = append(all[at].Rules, rule)
	}
	held := c.Held() != ""
	for i := range c.Triggers {
		t := &c.Triggers[i]
		own := e.book.Plays[t.Code] != nil
		switch {
		case held && t.Holds && own:
			add(t.Code, "", t.Code)
		case held:
		case t.Branch != "":
			add(Gap, t.Branch, t.Code)
		case t.Low:
			add(Low, "", t.Code)
		}
	}
	for i := range c.Triggers { // after all that have a play of their own
		t := &c.Triggers[i]
		if t.Holds && e.book.Plays[t.Code] == nil {
			add(Care, "", t.Code)
		}
	}
	return all
}

// care plays the weightiest of what holds offers back that has a play of its own, else the
// play for care. The trigger is the rule's code. How urgent it is goes by the score of care
// alone: it is owed to everyone, whatever a customer is worth.
func (e *Engine) care(asOf portfolio.Date, c *care.Result, r *Result) {
	for i := range c.Triggers {
		if code := c.Triggers[i].Code; c.Triggers[i].Holds {
			if e.book.Plays[code] != nil {
				e.play(asOf, code, c.Score/100, r)
				return
			}
		}
	}
	if e.play(asOf, Care, c.Score/100, r); r.Action != "" {
		r.Trigger = c.Held()
	}
}

// advice plays the weightiest of what is missing and what is insured for too little, and
// reports whether there is such a thing and a play of it. As all care it goes by the score of care alone.
func (e *Engine) advice(asOf portfolio.Date, c *care.Result, r *Result) bool {
	t := c.Advice()
	switch {
	case t == nil:
		return false
	case t.Branch != "":
		e.play(asOf, Gap, c.Score/100, r)
	default:
		e.play(asOf, Low, c.Score/100, r)
	}
	if r.Action == "" {
		return false
	}
	r.About = t.Branch
	return true
}

// beside plays what is staked, and names what is missing or insured for too little beside it:
// who leaves needs no advice, and who is called can be given it.
func (e *Engine) beside(asOf portfolio.Date, trigger string, stake float64, c *care.Result, r *Result) {
	if e.advice(asOf, c, r) {
		also := Advice{r.Action, r.About, r.Priority, r.Due, r.NL, r.EN}
		if e.book.Plays[trigger] == nil {
			return
		}
		*r = Result{Status: r.Status, Band: score.Low, Also: also}
	}
	e.staked(asOf, trigger, stake, r)
}

// staked plays what is the more urgent the more is at stake.
func (e *Engine) staked(asOf portfolio.Date, trigger string, stake float64, r *Result) {
	if e.play(asOf, trigger, stake/(stake+e.book.StakeScale), r); r.Action != "" {
		r.Stake = stake
	}
}

// play suggests the play of a trigger, with a priority that is a share of the way between
// its two.
func (e *Engine) play(asOf portfolio.Date, trigger string, share float64, r *Result) {
	p := e.book.Plays[trigger]
	if p == nil {
		return // a tenant's playbook may leave a play out
	}
	r.Action, r.Trigger = p.Action, trigger
	r.Priority = math.Round(100*(p.From+float64((p.To-p.From)*share))) / 100
	r.Due = asOf + portfolio.Date(p.Days)
	r.NL, r.EN = p.NL, p.EN
	switch {
	case r.Priority >= 75:
		r.Band = score.VeryHigh
	case r.Priority >= 40:
		r.Band = score.High
	case r.Priority >= 20:
		r.Band = score.Medium
	}
}
