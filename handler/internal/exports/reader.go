package exports

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"polis/handler/internal/actions"
	"polis/handler/internal/book"
	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
)

// reader makes rows of what is stored.
type reader struct {
	tables
	schema  feature.PolicySchema
	asOf    portfolio.Date
	ends    portfolio.EndTable
	tenant  string
	damaged int

	view   portfolio.View
	scored []byte
}

// member adds the rows of a customer.
func (r *reader) member(relation string, m *book.Member) {
	ok := m.Err == nil
	if ok {
		r.view.Reset(m.Aggregate, r.asOf, r.ends)
		r.portfolio(relation)
	}
	if stored, err := scoring.DecodeStored(m.Scores); err != nil {
		ok = false
	} else {
		for _, e := range scoring.Engines {
			if !stored.Has(e) {
				continue
			}
			r.scored = stored.AppendJSON(r.scored[:0], e, r.tenant, m.ID)
			if r.score(e, m.ID, r.scored) != nil {
				ok = false
			}
		}
	}
	if !ok {
		r.damaged++
	}
}

// portfolio adds what was known of a customer on the date.
func (r *reader) portfolio(relation string) {
	v := &r.view
	if c := v.Customer; c != nil {
		r.customers.add(customerRow{
			Customer: v.ID, Relation: relation, BirthYear: int32(c.BirthYear), Postcode: c.Postcode, Region: name(c.Region),
			Segment: segment(c.Segment), Household: c.HouseholdID, Group: c.CompanyGroupID, LegalForm: name(c.LegalForm), SBI: code(c.SBICode),
			Employees: int32(c.Employees), Origin: code(c.Origin), Acquired: dayOf(c.AcquiredOn), Office: c.OfficeID,
			Consents: consents(c.Consents), Objects: c.Objects, ValidFrom: dayOf(c.ValidFrom), Recorded: dayOf(c.RecordedAt), Partial: v.CurrentOnly,
		})
	}
	for i := range v.Policies {
		r.policy(&v.Policies[i])
	}
	for i := range v.Claims {
		r.claim(&v.Claims[i])
	}
	for i := range v.Contacts {
		c := &v.Contacts[i]
		r.contacts.add(contactRow{
			Customer: v.ID, At: time.Unix(int64(c.At), 0).UTC(), Direction: code(c.Direction), Channel: code(c.Channel),
			Reason: code(c.Reason), Resolved: timeOf(c.ResolvedAt), Sentiment: c.Sentiment,
		})
	}
}

func segment(s portfolio.Segment) string {
	if s == "" {
		s = portfolio.Private
	}
	return string(s)
}

func (r *reader) policy(p *portfolio.PolicyView) {
	row := policyRow{
		Policy: p.ID, Customer: r.view.ID, Branch: p.Branch, Start: dayOf(p.StartDate), End: dayOf(p.EndDate), InForce: p.InForce(r.asOf),
		EndedBy: p.Ended.String(), Contract: dayOf(p.ContractEnd), Notice: int32(p.NoticeMonths), Product: name(p.Product), Carrier: name(p.Carrier),
		Channel: code(p.Channel), AFDList: code(p.AFDList), AFDCode: code(p.AFDCode), Sum: amount(p.SumInsured), Deductible: amount(p.Deductible),
		Payments: int32(p.PaymentFrequency), Status: string(p.Status), Reason: code(p.EndReason),
		ValidFrom: dayOf(p.ValidFrom), Recorded: dayOf(p.RecordedAt), Partial: p.CurrentOnly,
	}
	if p.EndsOn != 0 { // notice was given
		row.End, row.EndedBy = dayOf(p.EndsOn), p.EndsBy.String()
	}
	if !p.CurrentOnly {
		row.Premium = of(p.AnnualPremium.EUR())
		if p.CommissionRate.Given {
			row.Commission = of(p.CommissionRate.Share)
		}
	}
	r.policies.add(row)
	r.schema.Each(p.Policy, func(key, name string, number float64) {
		a := attributeRow{Policy: p.ID, Customer: r.view.ID, Key: key, Name: name}
		if number == number {
			a.Number = of(number)
		}
		r.attributes.add(a)
	})
}

func (r *reader) claim(c *portfolio.ClaimView) {
	row := claimRow{
		Claim: c.ID, Policy: c.PolicyID, Customer: r.view.ID, Loss: dayOf(c.LossDate), Reported: dayOf(c.ReportedDate), Settled: dayOf(c.SettledDate),
		Status: string(c.Status), ValidFrom: dayOf(c.ValidFrom), Recorded: dayOf(c.RecordedAt), Partial: c.CurrentOnly,
	}
	var policy *portfolio.PolicyView
	for i := range r.view.Policies {
		if r.view.Policies[i].ID == c.PolicyID {
			policy = &r.view.Policies[i]
		}
	}
	if !feature.Delicate(policy, c) {
		row.Cover = code(c.Cover)
	}
	if c.AtFault != "" {
		at := c.AtFault == portfolio.AtFault
		row.AtFault = &at
	}
	if !c.CurrentOnly {
		row.Paid, row.Reserve, row.Recovered, row.Incurred = of(c.Paid.EUR()), of(c.Reserve.EUR()), of(c.Recovered.EUR()), of(c.Incurred().EUR())
	}
	r.claims.add(row)
}

func of(v float64) *float64 { return &v }

// amount is EUR of an amount of which 0 is not known.
func amount(c portfolio.Cents) *float64 {
	if c == 0 {
		return nil
	}
	return of(c.EUR())
}

// longest is what a code or a name has at most, in characters: what is longer is text. It is what training takes for text
// too (docs/features.md).
const longest = 40

// name is a house's own name of something, and nothing where it may be a text or tells what no model may know.
func name(s string) string {
	if utf8.RuneCountInString(s) > longest || feature.ForbiddenValue(s) {
		return ""
	}
	return s
}

// code is a house's own code of something, a word: people who write freely write several.
func code(s string) string {
	if s = strings.TrimSpace(s); strings.ContainsAny(s, " \t\n") {
		return ""
	}
	return name(s)
}

// consents are as the table of customers has them, without their sources and dates.
func consents(list []portfolio.Consent) string {
	var b strings.Builder
	for _, c := range list {
		purpose, channel := code(c.Purpose), code(c.Channel)
		if purpose == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('|')
		}
		b.WriteString(purpose + ":" + channel + ":" + map[bool]string{true: "yes", false: "no"}[c.Given])
	}
	return b.String()
}

// score adds the rows of an engine's score, as the API says it.
func (r *reader) score(e scoring.Engine, customer string, said []byte) error {
	switch e {
	case scoring.Risk:
		var s struct {
			riskRow
			Signals []struct{ Code string } `json:"signals"`
			Gaps    []struct{ Branch string }
			Parts   []riskPolicyRow `json:"policies"`
		}
		if err := json.Unmarshal(said, &s); err != nil {
			return err
		}
		var signals, gaps []string
		for _, x := range s.Signals {
			signals = append(signals, x.Code)
		}
		for _, x := range s.Gaps {
			gaps = append(gaps, x.Branch)
		}
		s.riskRow.Signals, s.riskRow.Gaps = strings.Join(signals, "|"), strings.Join(gaps, "|")
		r.risk.add(s.riskRow)
		for _, p := range s.Parts {
			p.Customer = customer
			r.riskOf.add(p)
		}
	case scoring.Churn:
		var s struct {
			churnRow
			Horizons horizons `json:"horizons"`
			Parts    []struct {
				churnPolicyRow
				Horizons horizons `json:"horizons"`
			} `json:"policies"`
		}
		if err := json.Unmarshal(said, &s); err != nil {
			return err
		}
		s.fill(s.Horizons)
		r.churn.add(s.churnRow)
		for i := range s.Parts {
			p := &s.Parts[i]
			p.fill(p.Horizons)
			p.Customer = customer
			r.churnOf.add(p.churnPolicyRow)
		}
	case scoring.Clv:
		return r.value(said)
	case scoring.Nbp:
		var s struct {
			nbpRow
			Parts []struct {
				offerRow
				Name struct{ NL, EN string } `json:"name"`
			} `json:"offers"`
		}
		if err := json.Unmarshal(said, &s); err != nil {
			return err
		}
		s.Offers = int32(len(s.Parts))
		r.nbp.add(s.nbpRow)
		for i, o := range s.Parts {
			o.Customer, o.Rank, o.NL, o.EN = customer, int32(i+1), o.Name.NL, o.Name.EN
			r.offers.add(o.offerRow)
		}
	case scoring.Defend:
		var s defendRow
		if err := json.Unmarshal(said, &s); err != nil {
			return err
		}
		r.defend.add(s)
	}
	return nil
}

func (r *reader) value(said []byte) error {
	var s struct {
		clvRow
		Prediction  interval `json:"prediction"`
		Half        interval `json:"central_half"`
		Expectation interval `json:"expectation"`
		Group       struct {
			Code string `json:"code"`
		} `json:"segment"`
		Components struct {
			Income *float64 `json:"income"`
			Loss   *float64 `json:"loss"`
			Cost   *float64 `json:"cost"`
		} `json:"components"`
		Relation struct {
			Customers  int32    `json:"customers"`
			Value      *float64 `json:"value"`
			Prediction interval `json:"prediction"`
		} `json:"relation"`
	}
	if err := json.Unmarshal(said, &s); err != nil {
		return err
	}
	row := &s.clvRow
	row.PredictionLow, row.PredictionHigh = s.Prediction.Low, s.Prediction.High
	row.HalfLow, row.HalfHigh = s.Half.Low, s.Half.High
	row.ExpectedLow, row.ExpectedHigh = s.Expectation.Low, s.Expectation.High
	row.Segment, row.Income, row.Loss, row.Cost = s.Group.Code, s.Components.Income, s.Components.Loss, s.Components.Cost
	row.RelationMembers, row.RelationValue = s.Relation.Customers, s.Relation.Value
	row.RelationPredLow, row.RelationPredHigh = s.Relation.Prediction.Low, s.Relation.Prediction.High
	r.clv.add(*row)
	return nil
}

func (r *reader) action(on portfolio.Date, it *actions.Item) {
	r.actionItems.add(actionRow{
		Date: dayOf(on), Rank: int32(it.Rank), Item: it.ID, Customer: it.Customer, Action: it.Action, Part: string(it.Part), About: it.About,
		Priority: it.Priority, Opened: dayOf(it.Opened), Due: dayOf(it.Due), Status: string(it.Status), Until: dayOf(it.Until), Judgement: string(it.Judgement),
	})
}
