package exports

import (
	"time"

	"polis/handler/internal/portfolio"
)

// The rows of the tables, with what docs/exports.md says of each column. What is not known or does
// not apply is null. Amounts are doubles, so that they multiply with probabilities in every
// tool; those of the portfolio are whole cents, and are so again when rounded.

// day is a date as Parquet has it: days since 1970-01-01.
type day int32

var epoch = portfolio.MustDate(1970, 1, 1)

// UnmarshalText reads the date of a score.
func (d *day) UnmarshalText(b []byte) error {
	var p portfolio.Date
	if err := p.UnmarshalText(b); err != nil {
		return err
	}
	*d = day(p - epoch)
	return nil
}

func dayOf(d portfolio.Date) *day {
	if d == 0 {
		return nil
	}
	v := day(d - epoch)
	return &v
}

func timeOf(i portfolio.Instant) *time.Time {
	if i == 0 {
		return nil
	}
	v := time.Unix(int64(i), 0).UTC()
	return &v
}

type customerRow struct {
	Customer  string `parquet:"customer_id" desc:"your id"`
	Relation  string `parquet:"relation" desc:"whom churn and value are counted for: the company group (g:), else the household (h:), else the customer (c:)"`
	BirthYear int32  `parquet:"birth_year,optional"`
	Postcode  string `parquet:"postcode,optional"`
	Region    string `parquet:"region,optional,dict"`
	Segment   string `parquet:"segment,dict" desc:"private or business"`
	Household string `parquet:"household_id,optional"`
	Group     string `parquet:"company_group_id,optional"`
	LegalForm string `parquet:"legal_form,optional,dict"`
	SBI       string `parquet:"sbi_code,optional,dict"`
	Employees int32  `parquet:"employees,optional"`
	Origin    string `parquet:"origin,optional,dict" desc:"direct, broker or acquisition"`
	Acquired  *day   `parquet:"acquired_on,date"`
	Office    string `parquet:"office_id,optional,dict"`
	Consents  string `parquet:"consents,optional" desc:"purpose:channel:yes or no, several separated by a bar"`
	Objects   bool   `parquet:"objects_to_profiling"`
	ValidFrom *day   `parquet:"valid_from,date" desc:"from when the row is true"`
	Recorded  *day   `parquet:"recorded_at,date" desc:"when the administration knew it"`
	Partial   bool   `parquet:"current_only" desc:"the row was recorded without a date, after the export's: only year of birth and segment are known"`
}

type policyRow struct {
	Policy     string   `parquet:"policy_id" desc:"your id"`
	Customer   string   `parquet:"customer_id"`
	Branch     string   `parquet:"branch,dict" desc:"as docs/tables.md has them"`
	Start      *day     `parquet:"start_date,date"`
	End        *day     `parquet:"end_date,date" desc:"the first day without cover"`
	InForce    bool     `parquet:"in_force" desc:"it gives cover on the export's date"`
	EndedBy    string   `parquet:"ended_by,optional,dict" desc:"how it ended or will: lapse, insurer, risk_gone, death, term, replaced, transferred, unknown"`
	Contract   *day     `parquet:"contract_end,date" desc:"the end of the current term"`
	Notice     int32    `parquet:"notice_months,optional"`
	Product    string   `parquet:"product,optional,dict"`
	Carrier    string   `parquet:"carrier,optional,dict"`
	Channel    string   `parquet:"channel,optional,dict" desc:"provincial or mandated"`
	AFDList    string   `parquet:"afd_list,optional,dict"`
	AFDCode    string   `parquet:"afd_code,optional,dict"`
	Premium    *float64 `parquet:"annual_premium" desc:"EUR a year, net of premium tax and fees, including commission"`
	Commission *float64 `parquet:"commission_rate" desc:"share of the premium"`
	Sum        *float64 `parquet:"sum_insured" desc:"EUR"`
	Deductible *float64 `parquet:"deductible" desc:"EUR"`
	Payments   int32    `parquet:"payment_frequency,optional" desc:"payments a year"`
	Status     string   `parquet:"status,optional,dict" desc:"active, ended or suspended"`
	Reason     string   `parquet:"end_reason,optional,dict" desc:"your code"`
	ValidFrom  *day     `parquet:"valid_from,date"`
	Recorded   *day     `parquet:"recorded_at,date"`
	Partial    bool     `parquet:"current_only" desc:"the row was recorded without a date, after the export's: only branch, start and end are known"`
}

type attributeRow struct {
	Policy   string   `parquet:"policy_id"`
	Customer string   `parquet:"customer_id"`
	Key      string   `parquet:"key,dict" desc:"the attribute's"`
	Number   *float64 `parquet:"number" desc:"its value, where models read it as a number"`
	Name     string   `parquet:"name,optional,dict" desc:"its value, where models read it as a name; other where too few customers have it"`
}

type claimRow struct {
	Claim     string   `parquet:"claim_id" desc:"your id"`
	Policy    string   `parquet:"policy_id"`
	Customer  string   `parquet:"customer_id"`
	Loss      *day     `parquet:"loss_date,date"`
	Reported  *day     `parquet:"reported_date,date"`
	Settled   *day     `parquet:"settled_date,date"`
	Cover     string   `parquet:"cover,optional,dict" desc:"null where it may tell of somebody's health or injury"`
	AtFault   *bool    `parquet:"at_fault"`
	Paid      *float64 `parquet:"paid" desc:"EUR, cumulative"`
	Reserve   *float64 `parquet:"reserve" desc:"EUR"`
	Recovered *float64 `parquet:"recovered" desc:"EUR, cumulative"`
	Incurred  *float64 `parquet:"incurred" desc:"EUR: paid + reserve − recovered"`
	Status    string   `parquet:"status,optional,dict" desc:"open, closed or rejected"`
	ValidFrom *day     `parquet:"valid_from,date"`
	Recorded  *day     `parquet:"recorded_at,date"`
	Partial   bool     `parquet:"current_only" desc:"the row was recorded without a date, after the export's: amounts are not known"`
}

type contactRow struct {
	Customer  string     `parquet:"customer_id"`
	At        time.Time  `parquet:"contacted_at,timestamp(millisecond)"`
	Direction string     `parquet:"direction,optional,dict" desc:"in or out"`
	Channel   string     `parquet:"channel,optional,dict"`
	Reason    string     `parquet:"reason,optional,dict" desc:"your code"`
	Resolved  *time.Time `parquet:"resolved_at,timestamp(millisecond)"`
	Sentiment float64    `parquet:"sentiment" desc:"−1 to 1; 0 also where it is not known"`
}

// Said is what the scores of all engines begin with.
type Said struct {
	Customer string    `json:"customer_id" parquet:"customer_id"`
	Decision string    `json:"decision_id" parquet:"decision_id" desc:"by which all that the score was made of is found: docs/decisions.md"`
	Model    string    `json:"model_version" parquet:"model_version,dict"`
	AsOf     *day      `json:"as_of" parquet:"as_of,date" desc:"the date that it was last stored for; a score that did not move since stands, for 30 days at most"`
	ScoredAt time.Time `json:"scored_at" parquet:"scored_at,timestamp(millisecond)"`
	Status   string    `json:"status" parquet:"status,dict" desc:"scored; else why not: no_policies, objected, not_in_scope"`
	Band     string    `json:"band" parquet:"band,optional,dict" desc:"low, medium, high or very_high"`
}

type riskRow struct {
	Said
	Score       *float64 `json:"score" parquet:"score" desc:"0–100 among the book"`
	Loss        *float64 `json:"expected_loss" parquet:"expected_loss" desc:"EUR a year"`
	Undeveloped *float64 `json:"expected_loss_undeveloped" parquet:"expected_loss_undeveloped" desc:"EUR a year, without claims that are not reported or settled yet"`
	Ratio       *float64 `json:"loss_ratio" parquet:"loss_ratio" desc:"of the expected loss to the premium"`
	Care        *float64 `json:"care" parquet:"care" desc:"0–100: docs/care.md"`
	Signals     string   `json:"-" parquet:"signals,optional" desc:"codes of what asks for care, separated by a bar"`
	Gaps        string   `json:"-" parquet:"gaps,optional" desc:"branches of covers that are missed, separated by a bar"`
}

type riskPolicyRow struct {
	Customer    string   `json:"-" parquet:"customer_id"`
	Policy      string   `json:"policy_id" parquet:"policy_id"`
	Branch      string   `json:"branch" parquet:"branch,dict"`
	Basis       string   `json:"basis" parquet:"basis,dict" desc:"what it rests on: docs/risk.md"`
	Credibility *float64 `json:"credibility" parquet:"credibility" desc:"0–1"`
	Frequency   *float64 `json:"frequency" parquet:"frequency" desc:"claims a year"`
	Nil         *float64 `json:"nil_frequency" parquet:"nil_frequency" desc:"claims a year that end without payment"`
	Severity    *float64 `json:"severity" parquet:"severity" desc:"EUR a claim"`
	Loss        *float64 `json:"expected_loss" parquet:"expected_loss" desc:"EUR a year"`
	Undeveloped *float64 `json:"expected_loss_undeveloped" parquet:"expected_loss_undeveloped" desc:"EUR a year"`
	Ratio       *float64 `json:"loss_ratio" parquet:"loss_ratio"`
}

// Ends are the probabilities by horizon: see churn.Horizons, of which a test holds that none is missing.
type Ends struct {
	Renewal  *float64 `json:"renewal_share" parquet:"renewal_share" desc:"the share of the year's lapses that is at a renewal"`
	Lapsed1  *float64 `json:"-" parquet:"lapsed_1m" desc:"probability that it has lapsed within 1 month"`
	Lapsed3  *float64 `json:"-" parquet:"lapsed_3m" desc:"within 3 months"`
	Lapsed6  *float64 `json:"-" parquet:"lapsed_6m" desc:"within 6 months"`
	Lapsed12 *float64 `json:"-" parquet:"lapsed_12m" desc:"within 12 months"`
	Lapsed36 *float64 `json:"-" parquet:"lapsed_36m" desc:"within 36 months"`
	Alive1   *float64 `json:"-" parquet:"alive_1m" desc:"probability that it is there after 1 month; what is neither has ended otherwise"`
	Alive3   *float64 `json:"-" parquet:"alive_3m" desc:"after 3 months"`
	Alive6   *float64 `json:"-" parquet:"alive_6m" desc:"after 6 months"`
	Alive12  *float64 `json:"-" parquet:"alive_12m" desc:"after 12 months"`
	Alive36  *float64 `json:"-" parquet:"alive_36m" desc:"after 36 months"`
}

// horizons are what a score says by horizon.
type horizons []struct {
	Months int      `json:"months"`
	Lapsed *float64 `json:"lapsed"`
	Alive  *float64 `json:"alive"`
}

// by is where the probabilities of a horizon go; nil, nil where it has no columns.
func (e *Ends) by(months int) (lapsed, alive **float64) {
	switch months {
	case 1:
		return &e.Lapsed1, &e.Alive1
	case 3:
		return &e.Lapsed3, &e.Alive3
	case 6:
		return &e.Lapsed6, &e.Alive6
	case 12:
		return &e.Lapsed12, &e.Alive12
	case 36:
		return &e.Lapsed36, &e.Alive36
	}
	return nil, nil
}

func (e *Ends) fill(h horizons) {
	for _, at := range h {
		if lapsed, alive := e.by(at.Months); lapsed != nil {
			*lapsed, *alive = at.Lapsed, at.Alive
		}
	}
}

type churnRow struct {
	Said
	Definition  string   `json:"definition" parquet:"definition,optional,dict" desc:"what counts as churn: docs/churn.md"`
	Probability *float64 `json:"probability" parquet:"probability" desc:"that the relation lapses within 12 months"`
	Basis       string   `json:"basis" parquet:"basis,optional,dict" desc:"what it rests on"`
	Weight      *float64 `json:"weight" parquet:"weight" desc:"0–1: of the book's own experience"`
	EndsOn      *day     `json:"ends_on" parquet:"ends_on,date" desc:"notice was given"`
	Ends
}

type churnPolicyRow struct {
	Customer string `json:"-" parquet:"customer_id"`
	Policy   string `json:"policy_id" parquet:"policy_id"`
	Branch   string `json:"branch" parquet:"branch,dict"`
	Renews   *day   `json:"renews_on" parquet:"renews_on,date"`
	EndsOn   *day   `json:"ends_on" parquet:"ends_on,date" desc:"notice was given"`
	Ends
}

type interval struct {
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`
}

type clvRow struct {
	Said
	View             string   `json:"view" parquet:"view,optional,dict" desc:"whose margin: docs/clv.md"`
	Months           int32    `json:"horizon_months" parquet:"horizon_months,optional"`
	Value            *float64 `json:"value" parquet:"value" desc:"EUR: expected margin over the horizon, discounted"`
	PredictionLow    *float64 `json:"-" parquet:"prediction_low" desc:"EUR: of the interval of what will be realised"`
	PredictionHigh   *float64 `json:"-" parquet:"prediction_high" desc:"EUR"`
	Coverage         *float64 `json:"coverage" parquet:"coverage" desc:"of that interval"`
	HalfLow          *float64 `json:"-" parquet:"central_half_low" desc:"EUR: of the interval of the central half"`
	HalfHigh         *float64 `json:"-" parquet:"central_half_high" desc:"EUR"`
	ExpectedLow      *float64 `json:"-" parquet:"expectation_low" desc:"EUR: of the interval of the expectation"`
	ExpectedHigh     *float64 `json:"-" parquet:"expectation_high" desc:"EUR"`
	Margin           *float64 `json:"margin" parquet:"margin" desc:"EUR a year, now"`
	Realised         *float64 `json:"realised" parquet:"realised" desc:"EUR, until now"`
	AtStake          *float64 `json:"at_stake" parquet:"at_stake" desc:"EUR: docs/clv.md"`
	AtRisk           *float64 `json:"at_risk" parquet:"at_risk" desc:"EUR: docs/clv.md"`
	Segment          string   `json:"-" parquet:"segment,optional,dict" desc:"code of the value segment"`
	Income           *float64 `json:"-" parquet:"income" desc:"EUR of the value"`
	Loss             *float64 `json:"-" parquet:"loss" desc:"EUR of the value, negative"`
	Cost             *float64 `json:"-" parquet:"cost" desc:"EUR of the value, negative"`
	RelationMembers  int32    `json:"-" parquet:"relation_customers,optional" desc:"customers of the relation that have a value"`
	RelationValue    *float64 `json:"-" parquet:"relation_value" desc:"EUR: the same for each of its customers, so never to be added up"`
	RelationPredLow  *float64 `json:"-" parquet:"relation_prediction_low" desc:"EUR"`
	RelationPredHigh *float64 `json:"-" parquet:"relation_prediction_high" desc:"EUR"`
}

type nbpRow struct {
	Said
	MayContact *bool  `json:"may_contact" parquet:"may_contact"`
	Withheld   string `json:"withheld" parquet:"withheld,optional,dict" desc:"code of why nothing is offered though something could be"`
	Offers     int32  `json:"-" parquet:"offers" desc:"how many rows nbp_offers has of the customer"`
}

type offerRow struct {
	Customer    string   `json:"-" parquet:"customer_id"`
	Rank        int32    `json:"-" parquet:"rank" desc:"1 is the first"`
	Group       string   `json:"group" parquet:"product_group,dict"`
	Branch      string   `json:"branch" parquet:"branch,dict"`
	NL          string   `json:"-" parquet:"name_nl,dict"`
	EN          string   `json:"-" parquet:"name_en,dict"`
	Probability *float64 `json:"probability" parquet:"probability" desc:"of buying it here within 12 months"`
	Basis       string   `json:"basis" parquet:"basis,optional,dict"`
	Weight      *float64 `json:"weight" parquet:"weight" desc:"0–1: of the book's own experience"`
	AtMarket    *float64 `json:"at_market_rate" parquet:"at_market_rate" desc:"the probability, were the book as the market"`
	Need        string   `json:"need" parquet:"need,dict"`
	Suitability *float64 `json:"suitability" parquet:"suitability" desc:"0–1"`
	Value       *float64 `json:"value" parquet:"value" desc:"EUR; it orders nothing"`
}

type defendRow struct {
	Said
	Action   string   `json:"action" parquet:"action,dict" desc:"none where nothing is suggested"`
	Trigger  string   `json:"trigger" parquet:"trigger,optional,dict"`
	Priority *float64 `json:"priority" parquet:"priority"`
	Stake    *float64 `json:"at_stake" parquet:"at_stake" desc:"EUR"`
	Due      *day     `json:"due_on" parquet:"due_on,date"`
	About    string   `json:"about" parquet:"about,optional,dict" desc:"what is missed or offered"`
	Lapse    *float64 `json:"lapse_probability" parquet:"lapse_probability" desc:"within 12 months"`
	Value    *float64 `json:"value" parquet:"value" desc:"EUR"`
}

type actionRow struct {
	Date      *day    `parquet:"list_date,date"`
	Rank      int32   `parquet:"rank" desc:"1 is the first to act on"`
	Item      string  `parquet:"item_id" desc:"by which feedback is given: docs/feedback.md"`
	Customer  string  `parquet:"customer_id"`
	Action    string  `parquet:"action,dict"`
	Part      string  `parquet:"part,dict" desc:"of the list: care, advice or commercial"`
	About     string  `parquet:"about,optional,dict"`
	Priority  float64 `parquet:"priority"`
	Opened    *day    `parquet:"opened_on,date"`
	Due       *day    `parquet:"due_on,date"`
	Status    string  `parquet:"status,dict" desc:"open, or what people said"`
	Until     *day    `parquet:"snoozed_until,date"`
	Judgement string  `parquet:"judgement,optional,dict" desc:"what people thought of it"`
}
