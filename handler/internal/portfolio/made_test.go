package portfolio_test

import (
	"pgregory.net/rapid"

	. "polis/handler/internal/portfolio"
)

// Made aggregates: any shape that a stored aggregate can have, with few ids and dates
// so that versions, ties and conflicts are common.
var (
	someDate   = rapid.Custom(func(t *rapid.T) Date { return MustDate(2018, 1, 1) + Date(rapid.IntRange(0, 3000).Draw(t, "day")) })
	maybeDate  = rapid.OneOf(rapid.Just(Date(0)), someDate)
	someText   = rapid.SampledFrom([]string{"", "", "a", "b", "motor", "émile", "x=y|z", "longer text that is not like the others"})
	someAmount = rapid.Custom(func(t *rapid.T) Cents { return Cents(rapid.Int64Range(0, 200_000).Draw(t, "cents")) })
	maybeRate  = rapid.SampledFrom([]Rate{{}, {}, RateOf(0), RateOf(0.1), RateOf(1)})

	someVersion = rapid.Custom(func(t *rapid.T) Version {
		return Version{
			ValidFrom: someDate.Draw(t, "valid from"), RecordedAt: someDate.Draw(t, "recorded at"),
			Reason: rapid.OneOf(someText, rapid.Just("objection to profiling: phone")).Draw(t, "mutation"), Undated: rapid.Bool().Draw(t, "undated"),
		}
	})
	someObjection = rapid.Custom(func(t *rapid.T) Objection {
		return Objection{
			Objects: rapid.Bool().Draw(t, "objects"), Since: someDate.Draw(t, "since"), RecordedAt: someDate.Draw(t, "told"), Source: someText.Draw(t, "source"),
		}
	})
	someCustomer = rapid.Custom(func(t *rapid.T) Customer {
		c := Customer{
			ID: "C", BirthYear: rapid.IntRange(1900, 2020).Draw(t, "birth year"), Postcode: someText.Draw(t, "postcode"),
			Segment: rapid.SampledFrom([]Segment{Private, Business}).Draw(t, "segment"), HouseholdID: someText.Draw(t, "household"),
			Origin: "direct", AcquiredOn: maybeDate.Draw(t, "acquired"), Employees: rapid.IntRange(0, 9).Draw(t, "employees"),
			Objects: rapid.Bool().Draw(t, "objects"), Version: someVersion.Draw(t, "version"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "consents") {
			c.Consents = append(c.Consents, Consent{
				Purpose: "marketing", Channel: someText.Draw(t, "channel"), Given: rapid.Bool().Draw(t, "given"),
				Source: someText.Draw(t, "source"), On: maybeDate.Draw(t, "on"),
			})
		}
		return c
	})
	somePolicy = rapid.Custom(func(t *rapid.T) Policy {
		p := Policy{
			ID: rapid.SampledFrom([]string{"P1", "P2", "P3"}).Draw(t, "policy"), CustomerID: "C",
			Branch:    rapid.SampledFrom([]string{"motor", "contents"}).Draw(t, "branch"),
			StartDate: someDate.Draw(t, "start"), EndDate: maybeDate.Draw(t, "end"), Product: someText.Draw(t, "product"),
			AnnualPremium: someAmount.Draw(t, "premium"), CommissionRate: maybeRate.Draw(t, "commission"),
			SumInsured: someAmount.Draw(t, "sum"), PaymentFrequency: rapid.SampledFrom([]int{0, 1, 12}).Draw(t, "frequency"),
			Status: rapid.SampledFrom([]Status{Active, Ended}).Draw(t, "status"), EndReason: someText.Draw(t, "reason"),
			Version: someVersion.Draw(t, "version"),
		}
		for _, k := range []string{"k", "l"}[:rapid.IntRange(0, 2).Draw(t, "attributes")] {
			p.Attributes = append(p.Attributes, Attribute{Key: k, Value: someText.Draw(t, "value")})
		}
		return p
	})
	someClaim = rapid.Custom(func(t *rapid.T) Claim {
		return Claim{
			ID: rapid.SampledFrom([]string{"L1", "L2"}).Draw(t, "claim"), PolicyID: "P1", CustomerID: "C",
			LossDate: someDate.Draw(t, "loss"), ReportedDate: maybeDate.Draw(t, "reported"), Cover: someText.Draw(t, "cover"),
			AtFault: rapid.SampledFrom([]Fault{"", AtFault, NotAtFault}).Draw(t, "fault"), Paid: someAmount.Draw(t, "paid"),
			Reserve: someAmount.Draw(t, "reserve"), Recovered: someAmount.Draw(t, "recovered"),
			Status:  rapid.SampledFrom([]Status{ClaimOpen, ClaimClosed, ClaimRejected}).Draw(t, "status"),
			Version: someVersion.Draw(t, "version"),
		}
	})
	someContact = rapid.Custom(func(t *rapid.T) Contact {
		at := Instant(someDate.Draw(t, "at").Time().Unix()) + Instant(rapid.IntRange(0, 1).Draw(t, "second"))
		c := Contact{
			CustomerID: "C", At: at, Direction: rapid.SampledFrom([]string{"in", "out"}).Draw(t, "direction"),
			Reason: someText.Draw(t, "reason"), Sentiment: rapid.SampledFrom([]float64{0, -1, 0.5}).Draw(t, "sentiment"),
		}
		if rapid.Bool().Draw(t, "resolved") {
			c.ResolvedAt = at + 3600
		}
		return c
	})
)

// someAggregate is sorted, and its rows have no two of the same key.
var someAggregate = rapid.Custom(func(t *rapid.T) *Aggregate {
	a := &Aggregate{
		Customers: rapid.SliceOfNDistinct(someCustomer, 1, 3, func(c Customer) [2]Date { return key(c.Version) }).Draw(t, "customers"),
		Policies: rapid.SliceOfNDistinct(somePolicy, 0, 8, func(p Policy) any {
			return [3]any{p.ID, p.ValidFrom, p.RecordedAt}
		}).Draw(t, "policies"),
		Claims: rapid.SliceOfNDistinct(someClaim, 0, 5, func(c Claim) any {
			return [3]any{c.ID, c.ValidFrom, c.RecordedAt}
		}).Draw(t, "claims"),
		Contacts: rapid.SliceOfN(someContact, 0, 5).Draw(t, "contacts"),
	}
	a.Sort()
	return a
})

func key(v Version) [2]Date { return [2]Date{v.ValidFrom, v.RecordedAt} }

func encode(a *Aggregate) string { return string(new(Encoder).Append(nil, a)) }

func decode(s string) *Aggregate {
	a, err := new(Decoder).Decode([]byte(s))
	if err != nil {
		panic(err)
	}
	return a
}
