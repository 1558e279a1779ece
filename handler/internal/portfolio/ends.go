package portfolio

import "strings"

// End is why a policy ended. Only a Lapse is churn; the others compete with it.
type End uint8

// The ways a policy ends.
const (
	NotEnded      End = iota
	Lapse             // ended by the customer
	ByInsurer         // ended by the insurer
	RiskGone          // sold, moved abroad
	Death             //
	Term              // end of the agreed term
	Replaced          // by another policy of the same branch and relation: neither churn nor purchase
	Transferred       // or renumbered
	UnknownReason     //
)

var endNames = [...]string{"", "lapse", "insurer", "risk_gone", "death", "term", "replaced", "transferred", "unknown"}

func (e End) String() string { return endNames[e] }

// EndTable is how a tenant's policies end.
type EndTable struct {
	Reasons map[string]End // of end reasons, in lower case
	// ReplacementDays is how far apart the end of one policy and the start of the next of the
	// same branch may lie for the one to have replaced the other. A tenant sets it with
	// churn's settings; what is imported does not depend on it.
	ReplacementDays Date
}

// DefaultReplacementDays is a month's notice, which is what Dutch policies may be ended at
// after their first year, and half of one to find another carrier: our choice.
const DefaultReplacementDays = 45

// DefaultEnds is the built-in table; docs/tables.md lists it.
var DefaultEnds = EndTable{ReplacementDays: DefaultReplacementDays, Reasons: map[string]End{
	"lapse": Lapse, "customer": Lapse, "cancelled_by_customer": Lapse, "opgezegd": Lapse, "price": Lapse, "service": Lapse,
	"insurer": ByInsurer, "non_payment": ByInsurer, "carrier_left": ByInsurer, "royement": ByInsurer,
	"risk_gone": RiskGone, "sold": RiskGone, "moved_abroad": RiskGone, "verkocht": RiskGone,
	"death": Death, "overlijden": Death,
	"term": Term, "expired": Term, "einde_looptijd": Term,
	"replaced": Replaced, "vervangen": Replaced,
	"transferred": Transferred, "renumbered": Transferred, "overgevoerd": Transferred,
}}

// Within is the table with another number of days for a replacement.
func (t EndTable) Within(days int) EndTable {
	t.ReplacementDays = Date(days)
	return t
}

// Of is the End of a reason; one that the table does not know is UnknownReason.
func (t EndTable) Of(reason string) End {
	if e, ok := t.Reasons[reason]; ok {
		return e
	}
	if e, ok := t.Reasons[strings.ToLower(strings.TrimSpace(reason))]; ok {
		return e
	}
	return UnknownReason
}

// ParseEnd is the End of a name such as "lapse".
func ParseEnd(name string) (End, bool) {
	for e, n := range endNames {
		if e != int(NotEnded) && n == name {
			return End(e), true
		}
	}
	return NotEnded, false
}
