package scoring

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"polis/handler/internal/care"
	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

// AppendJSON appends an engine's score of the sheet. All five begin alike: engine,
// decision_id, customer_id, model_version, program_version, as_of, scored_at, status and band, then the
// engine's own fields, reasons (risk, churn, nbp) and contest. The schemas are in
// openapi.yaml. Rendering by hand costs a tenth of encoding/json, and a first run
// renders every customer five times.
func (sh *Sheet) AppendJSON(b []byte, e Engine, tenant string, scoredAt time.Time) []byte {
	o := sh.origin(scoredAt)
	return o.close(sh.appendBody(o.open(b, e, tenant, sh.Customer), e))
}

// origin is what a score's beginning and end are made of, so that only what is between
// needs to be kept.
type origin struct {
	asOf        portfolio.Date
	at          int64 // seconds since 1970
	model       uint64
	fingerprint uint64
	program     uint16 // see Program
}

func (sh *Sheet) origin(scoredAt time.Time) origin {
	return origin{sh.AsOf, scoredAt.Unix(), sh.model, sh.Fingerprint, Program}
}

// open appends what comes before status.
func (o origin) open(b []byte, e Engine, tenant, customer string) []byte {
	j := appender{b}
	j.raw(`{"engine":"`).raw(e.String()).raw(`","decision_id":"`)
	j.b = o.decisionID(j.b, e, tenant, customer)
	j.raw(`","customer_id":`).text(customer).raw(`,"model_version":"`)
	j.b = appendHex(j.b, o.model)
	if j.raw(`"`); o.program != 0 {
		j.raw(`,"program_version":`)
		j.b = strconv.AppendUint(j.b, uint64(o.program), 10)
	}
	j.raw(`,"as_of":"`)
	j.b = o.asOf.AppendTo(j.b)
	j.raw(`","scored_at":"`)
	j.b = time.Unix(o.at, 0).UTC().AppendFormat(j.b, time.RFC3339)
	return append(j.b, '"')
}

// close appends what a person needs to contest the score; nothing is decided by it alone.
func (o origin) close(b []byte) []byte {
	b = append(b, `,"contest":{"advice_only":true,"quote":"decision_id","inputs_fingerprint":"`...)
	return append(appendHex(b, o.fingerprint), `"}}`...)
}

// appendBody appends what the engine says, from status on.
func (sh *Sheet) appendBody(b []byte, e Engine) []byte {
	j := appender{b}
	switch e {
	case Risk:
		sh.risk(&j)
	case Churn:
		sh.churn(&j)
	case Clv:
		sh.clv(&j)
	case Nbp:
		sh.nbp(&j)
	case Defend:
		sh.defend(&j)
	}
	switch e {
	case Churn:
		j.shares("probability", probabilityDecimals, &sh.Lapse)
	case Clv:
		j.shares("value", moneyDecimals, &sh.Value)
	case Nbp:
		j.shares("offers/0/value", moneyDecimals, &sh.Offer)
	}
	if sh.Parted {
		j.raw(relationAsOf)
		j.b = sh.AsOf.AppendTo(j.b)
		j.raw(`"`)
	}
	return j.b
}

// relationAsOf begins the last field of a body, where there is one. Quotes in texts are
// escaped, so that it is found nowhere else.
const relationAsOf = `,"relation_as_of":"`

// sayings is a body without what is said of the relation: that somebody left it since is
// no other score.
func sayings(body []byte) []byte {
	if i := bytes.LastIndex(body, []byte(relationAsOf)); i >= 0 {
		return body[:i]
	}
	return body
}

func appendHex(b []byte, v uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[v>>shift&15])
	}
	return b
}

func (sh *Sheet) risk(j *appender) {
	r := &sh.Risk
	j.head(r.Status, r.Band)
	if r.Status == score.Scored {
		j.raw(`,"score":`).num(r.Score, 2).raw(`,"expected_loss":`).num(r.Loss, 2)
		j.raw(`,"expected_loss_undeveloped":`).num(r.Undeveloped, 2).raw(`,"loss_ratio":`).num(r.Ratio, 4)
		j.raw(`,"policies":[`)
		for i := range r.Policies {
			j.comma(i).policy(&r.Policies[i])
		}
		j.raw(`]`)
	}
	j.care(&r.Care)
	if r.Status == score.Scored {
		j.reasons("log expected loss of policy", r.Of, "", &r.Reasons)
	}
}

func (j *appender) policy(p *risk.Policy) {
	basis, z := p.Basis()
	j.raw(`{"policy_id":`).text(p.ID).raw(`,"branch":`).text(p.Branch)
	j.raw(`,"basis":"`).raw(string(basis)).raw(`","credibility":`).num(z, 4)
	j.raw(`,"frequency":`).num(p.Frequency, 6).raw(`,"nil_frequency":`).num(p.Nil, 6).raw(`,"severity":`).num(p.Severity, 2)
	j.raw(`,"expected_loss":`).num(p.Loss, 2).raw(`,"expected_loss_undeveloped":`).num(p.Undeveloped, 2)
	j.raw(`,"loss_ratio":`).num(p.Ratio, 4).raw(`,"covers":[`)
	for i := range p.Covers() {
		c := p.Cover(i)
		j.comma(i).raw(`{"cover":`).text(c.Cover).raw(`,"apart":`).bool(c.Apart)
		j.raw(`,"frequency":`).num(c.Frequency, 6).raw(`,"expected_loss":`).num(c.Loss, 2).raw(`}`)
	}
	j.raw(`]}`)
}

// care appends the score, the triggers that made it, and the coverage gaps among them.
func (j *appender) care(c *care.Result) {
	j.raw(`,"care":`).num(c.Score, 2).raw(`,"signals":[`)
	for i := range c.Triggers {
		t := &c.Triggers[i]
		j.comma(i).raw(`{"code":"`).raw(t.Code).raw(`","number":`).num(t.Number, 4).raw(`,"points":`).num(t.Points, 2)
		if t.Holds {
			j.raw(`,"holds_offers":true`)
		}
		if t.Source != "" {
			j.raw(`,"source":`).text(t.Source).raw(`,"value_as_of":"`)
			j.b = t.On.AppendTo(j.b)
			j.raw(`"`)
		}
		j.raw(`}`)
	}
	j.raw(`],"gaps":[`)
	n := 0
	for i := range c.Triggers {
		if t := &c.Triggers[i]; t.Branch != "" {
			j.comma(n).raw(`{"code":"`).raw(t.Code).raw(`","branch":"`).raw(t.Branch).raw(`"}`)
			n++
		}
	}
	j.raw(`]`)
}

// anotherMember is whose features reasons are of where they are not the customer's.
const anotherMember = "another_member"

func (sh *Sheet) whose() string {
	if sh.Another {
		return anotherMember
	}
	return ""
}

func (sh *Sheet) churn(j *appender) {
	r := &sh.Churn
	j.head(r.Status, r.Band)
	j.raw(`,"definition":"`).raw(string(r.Definition)).raw(`"`)
	if r.Status != score.Scored {
		return
	}
	j.raw(`,"probability":`).num(r.Headline[12], 6).raw(`,"renewal_share":`).num(r.Renewal, 4)
	j.experience("", &r.Experience)
	if r.EndsOn != 0 {
		j.date("ends_on", r.EndsOn)
	}
	j.raw(`,"horizons":[`)
	for i, k := range churn.Horizons {
		j.comma(i).horizon(k, r.Headline[k], r.Alive[k])
	}
	j.raw(`],"policies":[`)
	for i := range r.Policies {
		p := &r.Policies[i]
		j.comma(i).raw(`{"policy_id":`).text(p.ID).raw(`,"branch":`).text(p.Branch)
		if p.Renews != 0 {
			j.date("renews_on", p.Renews)
		}
		if p.EndsOn != 0 {
			j.date("ends_on", p.EndsOn)
		}
		j.ends(&p.Ends).raw(`}`)
	}
	j.raw(`],"branches":[`)
	for i := range r.Branches {
		b := &r.Branches[i]
		j.comma(i).raw(`{"branch":`).text(b.Name).raw(`,"policies":`)
		j.b = strconv.AppendInt(j.b, int64(b.Policies), 10)
		j.ends(&b.Ends).raw(`}`)
	}
	j.raw(`]`)
	j.experience("policy_", &r.PolicyExperience)
	if r.Whose == churn.Nobody {
		return
	}
	scale, of := "log-odds of a lapse of the relation in the first month", r.Of
	if of != "" {
		scale = "log-odds of a lapse of the policy in the first month"
	}
	if r.Another {
		of = anotherMember
	}
	j.reasons(scale, of, "", &r.Reasons)
}

func (j *appender) date(name string, d portfolio.Date) {
	j.raw(`,"`).raw(name).raw(`":"`)
	j.b = d.AppendTo(j.b)
	j.raw(`"`)
}

// experience appends what probabilities rest on.
func (j *appender) experience(of string, x *churn.Experience) {
	j.raw(`,"`).raw(of).raw(`basis":"`).raw(string(x.Basis)).raw(`","`).raw(of).raw(`weight":`).num(x.Weight, 4)
}

func (j *appender) horizon(months int, lapsed, alive float64) {
	j.raw(`{"months":`)
	j.b = strconv.AppendInt(j.b, int64(months), 10)
	j.raw(`,"lapsed":`).num(lapsed, 6).raw(`,"alive":`).num(alive, 6).raw(`}`)
}

// ends appends the probabilities of a policy or a branch.
func (j *appender) ends(e *churn.Ends) *appender {
	j.raw(`,"renewal_share":`).num(e.Renewal, 4).raw(`,"horizons":[`)
	for i, k := range churn.Horizons {
		j.comma(i).horizon(k, e.Lapsed[i], e.Alive[i])
	}
	return j.raw(`]`)
}

func (sh *Sheet) clv(j *appender) {
	r := &sh.Clv
	j.head(r.Status, r.Band)
	j.raw(`,"view":"`).raw(string(r.View)).raw(`"`)
	switch r.Status {
	case score.Scored:
	case score.NoPolicies: // what was brought stays so when all has ended
		j.raw(`,"realised":`).num(r.Realised, 2)
		return
	default:
		return
	}
	j.raw(`,"horizon_months":`)
	j.b = strconv.AppendInt(j.b, int64(r.Months), 10)
	j.raw(`,"value":`).num(r.Value, 2).raw(`,"coverage":`).num(r.Coverage, 4)
	j.interval(`,"prediction":`, r.Realisable).interval(`,"central_half":`, r.Half).interval(`,"expectation":`, r.Expected)
	j.raw(`,"margin":`).num(r.Margin, 2).raw(`,"realised":`).num(r.Realised, 2)
	j.raw(`,"at_stake":`).num(r.AtStake, 2).raw(`,"at_risk":`).num(r.AtRisk, 2)
	if g := r.Segment; g != nil {
		j.raw(`,"segment":{"code":"`).raw(g.Code).raw(`","nl":`).text(g.NL).raw(`,"en":`).text(g.EN)
		if r.WithoutChurn {
			j.raw(`,"without_churn":true`)
		}
		j.raw(`}`)
	}
	j.raw(`,"components":{"income":`).num(r.Income, 2).raw(`,"loss":`).num(-r.Loss, 2).raw(`,"cost":`).num(-r.Cost, 2).raw(`}`)
	j.raw(`,"relation":{"customers":`)
	j.b = strconv.AppendInt(j.b, int64(r.Relation.Customers), 10)
	j.raw(`,"value":`).num(r.Relation.Value, 2)
	j.interval(`,"prediction":`, r.Relation.Realisable).interval(`,"central_half":`, r.Relation.Half).raw(`}`)
}

// interval appends a field of two amounts.
func (j *appender) interval(name string, i clv.Interval) *appender {
	return j.raw(name).raw(`{"low":`).num(i.Low, 2).raw(`,"high":`).num(i.High, 2).raw(`}`)
}

func (sh *Sheet) nbp(j *appender) {
	r := &sh.Nbp
	j.head(r.Status, r.Band)
	if r.Status != score.Scored {
		return
	}
	j.raw(`,"probability_of":"bought_here_within_12_months","may_contact":`).bool(r.MayContact).raw(`,"contact":[`)
	for i := range r.Contact {
		c := &r.Contact[i]
		j.comma(i).raw(`{"channel":`).text(c.Channel).raw(`,"allowed":`).bool(c.Allowed).raw(`,"code":"`).raw(c.Code).raw(`"`)
		if c.Source != "" {
			j.raw(`,"source":`).text(c.Source)
		}
		if c.On != 0 {
			j.raw(`,"date":"`)
			j.b = c.On.AppendTo(j.b)
			j.raw(`"`)
		}
		j.raw(`}`)
	}
	j.raw(`]`)
	if r.Withheld != "" {
		j.raw(`,"withheld":"`).raw(r.Withheld).raw(`"`)
	}
	j.raw(`,"offers":[`)
	for i := range r.Offers {
		sh.offer(j.comma(i), i)
	}
	j.raw(`],"excluded":[`)
	for i := range r.Excluded {
		x := &r.Excluded[i]
		j.comma(i).raw(`{"group":`).text(x.Group.Code).raw(`,"code":`).text(x.Code).raw(`}`)
	}
	j.raw(`]`)
	if len(r.Offers) > 0 {
		j.reasons(buying, r.Offers[0].Group.Code, sh.whose(), &r.Reasons)
	}
}

// buying is the scale of an offer's reasons.
const buying = "log-odds of buying within 12 months"

// offer appends an offer; the reasons of the first are the score's.
func (sh *Sheet) offer(j *appender, i int) {
	o := &sh.Nbp.Offers[i]
	j.raw(`{"group":`).text(o.Group.Code).raw(`,"branch":`).text(o.Group.Branch)
	j.raw(`,"name":{"nl":`).text(o.Group.NL).raw(`,"en":`).text(o.Group.EN)
	j.raw(`},"probability":`).num(o.Probability, 6).raw(`,"basis":"`).raw(string(o.Basis)).raw(`","weight":`).num(o.Weight, 4)
	j.raw(`,"at_market_rate":`).num(o.AtMarket, 6).raw(`,"market":{"rate":`).num(o.Market.Rate, 6).raw(`,"source":`).text(o.Market.Source)
	j.raw(`},"need":"`).raw(o.Need.String()).raw(`","suitability":`).num(o.Suitability, 4).raw(`,"ask":[`)
	for k, code := range o.Ask {
		j.comma(k).text(code)
	}
	j.raw(`],"value":`).num(o.Value, 2)
	if i > 0 && o.Explained {
		j.reasons(buying, o.Group.Code, sh.whose(), &o.Reasons)
	}
	j.raw(`}`)
}

func (sh *Sheet) defend(j *appender) {
	r := &sh.Defend
	j.head(r.Status, r.Band)
	if r.Action == "" {
		j.raw(`,"action":"none"`)
		return
	}
	j.raw(`,"action":"`).raw(r.Action).raw(`","trigger":"`).raw(r.Trigger).raw(`","priority":`).num(r.Priority, 2)
	j.raw(`,"at_stake":`).num(r.Stake, 2).raw(`,"due_on":"`)
	j.b = r.Due.AppendTo(j.b)
	j.raw(`"`)
	if r.About != "" {
		j.raw(`,"about":"`).raw(r.About).raw(`"`)
	}
	if r.Also.Action != "" {
		j.raw(`,"also":[{"action":"`).raw(r.Also.Action).raw(`"`)
		if r.Also.About != "" {
			j.raw(`,"about":"`).raw(r.Also.About).raw(`"`)
		}
		j.raw(`}]`)
	}
	j.raw(`,"draft":{"nl":`).both(r.NL, r.Also.NL).raw(`,"en":`).both(r.EN, r.Also.EN).raw(`}`)
	if sh.Churn.Status == score.Scored {
		j.raw(`,"lapse_probability":`).num(sh.Churn.Headline[12], 6)
	}
	if sh.Clv.Status == score.Scored {
		j.raw(`,"value":`).num(sh.Clv.Value, 2)
	}
}

// appender appends JSON; its methods can be chained.
type appender struct{ b []byte }

func (j *appender) raw(s string) *appender { j.b = append(j.b, s...); return j }

func (j *appender) comma(i int) *appender {
	if i > 0 {
		j.b = append(j.b, ',')
	}
	return j
}

func (j *appender) bool(v bool) *appender { j.b = strconv.AppendBool(j.b, v); return j }

// num appends a number with so many decimals; null where it is none.
func (j *appender) num(v float64, decimals int) *appender {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return j.raw("null")
	}
	at := len(j.b)
	j.b = strconv.AppendFloat(j.b, v, 'f', decimals, 64)
	end := len(j.b)
	for decimals > 0 && j.b[end-1] == '0' {
		end--
	}
	if j.b[end-1] == '.' {
		end--
	}
	if j.b = j.b[:end]; string(j.b[at:]) == "-0" {
		j.b = append(j.b[:at], '0')
	}
	return j
}

// both appends two texts as one quoted string; the second may be "".
func (j *appender) both(s, t string) *appender {
	if j.text(s); t != "" {
		j.b[len(j.b)-1] = ' ' // in place of the quote
		at := len(j.b)
		j.text(t)
		j.b = slices.Delete(j.b, at, at+1)
	}
	return j
}

// text appends a quoted string.
func (j *appender) text(s string) *appender {
	const digits = "0123456789abcdef"
	j.b = append(j.b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
			j.b = append(append(j.b, s[from:i]...), `\ufffd`...)
		} else {
			j.b = append(append(j.b, s[from:i]...), '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
		i++
		from = i
	}
	j.b = append(append(j.b, s[from:]...), '"')
	return j
}

func (j *appender) head(s score.Status, b score.Band) {
	j.raw(`,"status":"`).raw(string(s)).raw(`"`)
	if s == score.Scored {
		j.raw(`,"band":"`).raw(string(b)).raw(`"`)
	}
}

// reasons appends contributions with all their digits: they must add up.
func (j *appender) reasons(scale, of, whose string, r *score.Reasons) {
	j.raw(`,"reasons":{"scale":"`).raw(scale).raw(`"`)
	if of != "" {
		j.raw(`,"of":`).text(of)
	}
	if whose != "" {
		j.raw(`,"whose":"`).raw(whose).raw(`"`)
	}
	j.raw(`,"base":`).exact(r.Base).raw(`,"top":[`)
	for i := range r.Top {
		t := &r.Top[i]
		j.comma(i).raw(`{"code":`).text(t.Code)
		switch {
		case t.Numeric:
			j.raw(`,"value":`).num(t.Number, 4)
		case t.Text != "":
			j.raw(`,"value":`).text(t.Text)
		}
		j.raw(`,"contribution":`).exact(t.Contribution)
		if t.Book.Known {
			j.book(&t.Book, t.Numeric)
		}
		j.raw(`}`)
	}
	j.raw(`],"rest":`).exact(r.Rest).raw(`,"link":`).exact(r.Link).raw(`}`)
}

// book appends how a reason's value compares to the book.
func (j *appender) book(b *score.Book, numeric bool) {
	if numeric {
		j.raw(`,"book":{"median":`).num(b.Median, 4).raw(`,"percentile":`).num(b.Percentile, 0).raw(`}`)
		return
	}
	j.raw(`,"book":{"common":`).text(b.Common).raw(`,"share":`).num(b.Share, 4).raw(`}`)
}

// shares appends what a number is made of, by its name in the score.
func (j *appender) shares(of string, decimals int, s *Shares) {
	if s.Codes == nil {
		return
	}
	j.raw(`,"explained":{"of":"`).raw(of).raw(`","reference":`).num(s.Reference, decimals).raw(`,"parts":[`)
	for i, code := range s.Codes {
		j.comma(i).raw(`{"code":"`).raw(code).raw(`","contribution":`).num(s.Parts[i], decimals).raw(`}`)
	}
	j.raw(`]}`)
}

// exact keeps ten decimals: models have five, and sums of a few hundred of them lose
// none of those.
func (j *appender) exact(v float64) *appender { return j.num(v, 10) }
