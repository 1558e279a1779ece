package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
)

// fires are a book of five years in which about a fifth of the policies burn each year.
func fires(n int) [][]*portfolio.Aggregate {
	return office("contents", n, func(i int) (out []portfolio.Claim) {
		r := rand.New(rand.NewPCG(uint64(i), 5))
		for year := range 5 {
			if r.IntN(5) != 0 {
				continue
			}
			c := paid("fire", then.AddMonths(-12*year)+1+portfolio.Date(i*7%350), portfolio.Cents(90_000+1000*(i%9)))
			if r.IntN(40) == 0 {
				c.Paid = 0
			}
			c.ID += string(rune('a' + year))
			out = append(out, c)
		}
		return out
	})
}

// exported is a book as an administration that keeps no history exports it on a date: the
// last version of each row, and no dates of versions.
func exported(relations [][]*portfolio.Aggregate, on portfolio.Date) (out [][]*portfolio.Aggregate) {
	for _, members := range relations {
		var export []*portfolio.Aggregate
		for _, a := range members {
			b := &portfolio.Aggregate{Contacts: a.Contacts}
			for i, c := range a.Customers {
				if i == len(a.Customers)-1 {
					c.Version = portfolio.Version{}
					b.Customers = append(b.Customers, c)
				}
			}
			for i, p := range a.Policies {
				if i+1 == len(a.Policies) || a.Policies[i+1].ID != p.ID {
					p.Version = portfolio.Version{}
					b.Policies = append(b.Policies, p)
				}
			}
			for i, c := range a.Claims {
				if i+1 == len(a.Claims) || a.Claims[i+1].ID != c.ID {
					c.Version = portfolio.Version{}
					b.Claims = append(b.Claims, c)
				}
			}
			b.Normalise(on)
			export = append(export, b)
		}
		out = append(out, export)
	}
	return out
}

// older makes all policies old enough for five snapshots.
func older(relations [][]*portfolio.Aggregate) [][]*portfolio.Aggregate {
	for _, members := range relations {
		p := &members[0].Policies[0]
		p.StartDate -= 2000
		p.Version = recorded(p.StartDate)
		members[0].Customers[0].Version = recorded(p.StartDate)
	}
	return relations
}

// TestExportedOnce: a book that came without recorded_at learns the levels of the same book
// with all its dates, and says what was assumed.
func TestExportedOnce(t *testing.T) {
	dated := older(fires(1500))
	bare := exported(dated, asOf)
	s := plain(100)
	whole, once := learnYears(t, s, 5, dated...), learnYears(t, s, 5, bare...)
	a, b := whole.Risk.Branches["contents"], once.Risk.Branches["contents"]
	if a.Claims < 1000 || a.Nil < 30 || b.Claims != a.Claims || b.Nil != a.Nil || b.Incurred != a.Incurred || b.Exposure != a.Exposure || b.Basis != risk.Own {
		t.Errorf("dated %+v\nonce %+v", a, b)
	}
	claims, loss := expects(t, whole, dated)
	gotClaims, gotLoss := expects(t, once, bare)
	if math.Abs(gotClaims["contents"]/claims["contents"]-1) > 0.02 || math.Abs(gotLoss["contents"]/loss["contents"]-1) > 0.02 {
		t.Errorf("expected are %v claims and EUR %v, dated %v and EUR %v", gotClaims, gotLoss, claims, loss)
	}
	for _, m := range []string{whole.Risk.Frequency.Meta().Note, whole.Risk.Severity.Meta().Note} {
		if strings.Contains(m, "recorded_at") {
			t.Errorf("a book with dates assumes nothing: %s", m)
		}
	}
	earlier := 0
	for _, members := range dated {
		for _, c := range members[0].Claims {
			if c.LossDate <= then {
				earlier++
			}
		}
	}
	want := fmt.Sprintf("%d claims of rows without recorded_at are taken with their amounts as known on %s", earlier, asOf)
	for _, m := range []string{once.Risk.Frequency.Meta().Note, once.Risk.Severity.Meta().Note} {
		if !strings.Contains(m, want) {
			t.Errorf("note: %s", m)
		}
	}
}

// TestNotRecordedYet: before anything was recorded the years are not known, and not free of
// claims; levels are the market's.
func TestNotRecordedYet(t *testing.T) {
	s := plain(100)
	bare := exported(older(fires(600)), asOf+1)
	m := learnYears(t, s, 5, bare...)
	if b := m.Risk.Branches["contents"]; b.Basis != risk.Market || b.Exposure != 0 || b.Nil != 0 {
		t.Errorf("%+v", b)
	}
	claims, _ := expects(t, m, bare)
	if market := 600 * s.Risk.Expected("contents").Frequency; math.Abs(claims["contents"]/market-1) > 0.01 {
		t.Errorf("%v claims are expected, of the market's %v", claims["contents"], market)
	}
	if note := m.Risk.Frequency.Meta().Note; !strings.Contains(note, "5 of 5 years of claims are left out") {
		t.Errorf("note: %s", note)
	}
	// What became known later can be had for who tests against it.
	later, err := Fit(t.Context(), source(bare...), Options{AsOf: asOf, Amounts: asOf + 1, Snapshots: 5, Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	if b := later.Risk.Branches["contents"]; b.Basis != risk.Own || b.Claims < 400 {
		t.Errorf("%+v", b)
	}
}

// TestForgottenYear: who looks back on a year of which no amounts were recorded hears so.
func TestForgottenYear(t *testing.T) {
	m := steadyModels(t)
	for on, want := range map[portfolio.Date]int{asOf: 0, asOf + 1: 100} {
		bare := exported(older(office("contents", 500, every(5, 90_000))), on)
		l, err := NewLookback(t.Context(), source(bare...), m, Options{AsOf: asOf})
		if err != nil {
			t.Fatal(err)
		}
		if l.Forgotten != want {
			t.Errorf("recorded on %v: %d claims are not known, not %d", on, l.Forgotten, want)
		}
	}
}
