package watch_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"polis/handler/internal/audit"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
	. "polis/handler/internal/watch"
)

// A world of places, each with a customer who lapses some day and is followed by another,
// so that the book is the same from year to year. Premiums go with age, and lapses with
// premiums; the size of shoes goes with nothing.
type made struct {
	places int
	dearer bool // from September 2025 on premiums are half as high again
	left   bool // from April 2025 on the north leaves three times as often
}

var (
	begin   = portfolio.MustDate(2004, 1, 1)
	trained = portfolio.MustDate(2025, 6, 30)
	audited = portfolio.MustDate(2026, 6, 30)
	dear    = portfolio.MustDate(2025, 9, 1)
	leaving = portfolio.MustDate(2025, 4, 1)
)

func (w made) book() (out []*portfolio.Aggregate) {
	r := rand.New(rand.NewPCG(11, 12))
	for place := range w.places {
		at := begin + portfolio.Date(r.IntN(365))
		for n := 0; at < audited; n++ {
			id := fmt.Sprintf("c%d-%d", place, n)
			version := portfolio.Version{RecordedAt: at, ValidFrom: at}
			age := 20 + r.IntN(50)
			premium := 150 + 12*float64(age) + 40*r.NormFloat64()
			region := []string{"north", "south", "east", "west"}[r.IntN(4)]
			end, yearly := at, 0.05
			if premium > 600 {
				yearly = 0.25
			}
			for day := at; ; day += 30 {
				p := 1 - math.Pow(1-yearly, 30.0/365)
				if w.left && region == "north" && day > leaving {
					p *= 3
				}
				if r.Float64() < p || day > audited {
					end = day + portfolio.Date(1+r.IntN(29))
					break
				}
			}
			a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: id, BirthYear: at.Year() - age, Segment: portfolio.Private, Region: region, Version: version}}}
			p := portfolio.Policy{
				ID: "p" + id, CustomerID: id, Branch: "motor", StartDate: at, AnnualPremium: portfolio.Cents(100 * math.Round(premium)), Status: portfolio.Active, Version: version,
				Attributes: []portfolio.Attribute{{Key: "shoes", Value: fmt.Sprint("size ", 38+r.IntN(3))}},
			}
			a.Policies = append(a.Policies, p)
			if w.dearer && end > dear && at < dear {
				p.AnnualPremium = p.AnnualPremium * 3 / 2
				p.Version = portfolio.Version{RecordedAt: dear, ValidFrom: dear}
				a.Policies = append(a.Policies, p)
			}
			if end <= audited {
				p.EndDate, p.Status, p.EndReason, p.Version = end, portfolio.Ended, "cancelled_by_customer", portfolio.Version{RecordedAt: end, ValidFrom: end}
				a.Policies = append(a.Policies, p)
			}
			for day := at + 30; day < min(end, audited); day += 30 {
				if r.Float64() < 0.01 {
					a.Claims = append(a.Claims, portfolio.Claim{
						ID: fmt.Sprint(id, day), PolicyID: p.ID, CustomerID: id, LossDate: day, Paid: portfolio.Cents(50_000 + r.IntN(100_000)), Status: portfolio.ClaimClosed,
						Version: portfolio.Version{RecordedAt: day + 10, ValidFrom: day + 10},
					})
				}
			}
			a.Normalise(audited)
			out = append(out, a)
			at = end + 1
		}
	}
	return out
}

func source(book []*portfolio.Aggregate) train.Source {
	return func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(yield func([]*portfolio.Aggregate, error) bool) {
			for i := range book {
				if !yield(book[i:i+1], nil) {
					return
				}
			}
		}
	}
}

// models are trained on a made book as of a year before the audits, without age and shoes,
// once for all tests.
var models = sync.OnceValues(func() (*scoring.Models, *audit.Baseline) {
	s := scoring.DefaultSettings()
	s.Features.Exclude = []string{"age", "attribute_shoes"}
	base := new(audit.Baseline)
	m, err := train.Fit(context.Background(), source(made{places: 1500}.book()), train.Options{AsOf: trained, Settings: &s, Baseline: base})
	if err != nil {
		panic(err)
	}
	return m, base
})

func audits(t *testing.T, w made, o Options) *audit.Report {
	t.Helper()
	m, base := models()
	o.Tenant, o.AsOf, o.Ends, o.Baseline = "t", audited, portfolio.DefaultEnds, base
	r, err := Make(t.Context(), source(w.book()), m, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func shift(r *audit.Report, population, name string) *audit.Shift {
	for i := range r.Drift {
		if r.Drift[i].Population == population && r.Drift[i].Name == name {
			return &r.Drift[i]
		}
	}
	return &audit.Shift{}
}

// TestNothingMoved: of a book that goes on as it was nothing is said to have moved, no group
// is apart, and what came is what was foretold. But for values: those lean on a market in
// which people buy, and here nobody ever does.
func TestNothingMoved(t *testing.T) {
	r := audits(t, made{places: 1500}, Options{})
	if r.Counts.Much+r.Counts.Some > 0 {
		t.Errorf("counts %+v", r.Counts)
		for _, d := range r.Drift {
			if d.Verdict != audit.Stable {
				t.Errorf("%+v", d)
			}
		}
	}
	// Labels of a training in June closed in March.
	if o := r.Outcomes; o.InSample != audit.None || o.After != portfolio.MustDate(2025, 3, 30) || o.Until != portfolio.MustDate(2026, 3, 30) {
		t.Errorf("outcomes %+v", o)
	}
	for _, m := range r.Calibration {
		if m.Engine == "nbp" {
			continue
		}
		if m.All.Relations < 1000 {
			t.Errorf("%s %s: %+v, %s", m.Engine, m.Name, m.All, m.Note)
		}
		if e := m.All.Ratio; e != nil && (e.Low > 1.1 || e.High < 0.9) {
			t.Errorf("%s %s: %+v", m.Engine, m.Name, e)
		}
		for _, d := range m.By {
			for _, c := range d.Cells {
				if c.Apart && m.Engine != "clv" {
					t.Errorf("%s %s, %s is apart: %+v %+v", m.Engine, m.Name, c.Name, c.Ratio, c.Difference)
				}
				if c.Relations < r.Settings.MinimumCell {
					t.Errorf("%s %s has %d relations", d.Name, c.Name, c.Relations)
				}
			}
		}
	}
	if len(shift(r, train.OfScores, "lapse_12m").Name) == 0 || len(shift(r, train.OfPolicies, "premium").Name) == 0 {
		t.Error("scores or policies are not compared")
	}
	for _, name := range []string{"age", "attribute_shoes"} {
		if slices.ContainsFunc(r.Drift, func(d audit.Shift) bool { return d.Name == name }) {
			t.Errorf("%s is excluded, and compared", name)
		}
	}
}

// TestPlantedProxy: age is excluded, and premium tells it; nothing tells the size of shoes.
func TestPlantedProxy(t *testing.T) {
	r := audits(t, made{places: 1500}, Options{})
	found, asked := false, false
	for _, p := range r.Proxies {
		switch p.Attribute {
		case "age":
			if p.Found && slices.ContainsFunc(p.Carriers, func(c audit.Carrier) bool { return c.Feature == "premium" || c.Feature == "relation_premium" }) {
				found = true
			}
		case "attribute_shoes":
			if p.AUC != nil {
				asked = true
			}
			if p.Found {
				t.Errorf("shoes are told by %+v", p)
			}
		}
	}
	if !found || !asked {
		t.Errorf("age found %v, shoes asked %v: %+v", found, asked, r.Proxies)
	}
}

// TestForbiddenIsLookedAt: whatever a book holds of what may never be a feature is asked
// about without anybody naming it; what is named and not held is said not to be.
func TestForbiddenIsLookedAt(t *testing.T) {
	m, base := models()
	asked := *m
	s := audit.Defaults()
	s.Protected = append(s.Protected, "attribute_nowhere", "month_renewal")
	asked.Settings.Audit = &s
	book := made{places: 1500}.book()
	r := rand.New(rand.NewPCG(5, 6))
	for _, a := range book {
		v := []string{"a", "b"}[r.IntN(2)]
		for i := range a.Policies {
			a.Policies[i].Attributes = append(slices.Clone(a.Policies[i].Attributes), portfolio.Attribute{Key: "SekseCode", Value: v}, portfolio.Attribute{Key: "blorp", Value: v}, portfolio.Attribute{Key: "enrichment:rebuild_value", Value: "100"})
		}
	}
	got, err := Make(t.Context(), source(book), &asked, Options{Tenant: "t", AsOf: audited, Ends: portfolio.DefaultEnds, Baseline: base})
	if err != nil {
		t.Fatal(err)
	}
	looked, not := map[string]bool{}, map[string]string{}
	for _, p := range got.Proxies {
		looked[p.Attribute] = looked[p.Attribute] || p.AUC != nil
		if p.Attribute == "attribute_SekseCode" && p.AUC != nil && p.Value != "second commonest value" {
			t.Errorf("a value that an office wrote is shown: %q", p.Value)
		}
		if strings.HasPrefix(p.Note, "not looked at") {
			not[p.Attribute] = p.Note
		}
	}
	if !looked["attribute_SekseCode"] || looked["attribute_blorp"] || looked["attribute_enrichment:rebuild_value"] {
		t.Errorf("looked at %v", looked)
	}
	if not["attribute_nowhere"] == "" || not["month_renewal"] == "" || not["area"] == "" || len(not) != 3 {
		t.Errorf("not looked at %v", not)
	}
}

// TestShiftedBook: premiums that rose, and a region that leaves, are found.
func TestShiftedBook(t *testing.T) {
	r := audits(t, made{places: 1500, dearer: true, left: true}, Options{})
	if s := shift(r, train.OfPolicies, "premium"); s.Verdict != audit.Much {
		t.Errorf("premiums rose by half: %+v", s)
	}
	if s := shift(r, train.OfCustomers, "policies"); s.Verdict != audit.Stable {
		t.Errorf("the number of policies did not move: %+v", s)
	}
	north := false
	for _, d := range r.Calibration[0].By {
		for _, c := range d.Cells {
			if d.Name == "region" && c.Apart {
				north = c.Name == "north"
				if c.Name != "north" {
					t.Errorf("%s is apart: %+v", c.Name, c)
				}
			}
		}
	}
	if !north {
		t.Errorf("the north leaves three times as often: %+v", r.Calibration[0].By)
	}
	if r.Counts.Much == 0 || r.Counts.Cells == 0 {
		t.Errorf("counts %+v", r.Counts)
	}
}

// TestWithoutBaseline: models that were published without one are audited all the same.
func TestWithoutBaseline(t *testing.T) {
	m, _ := models()
	r, err := Make(t.Context(), source(made{places: 300}.book()), m, Options{Tenant: "t", AsOf: audited, Ends: portfolio.DefaultEnds, Missing: "train again"})
	if err != nil || r.DriftNote != "train again" || len(r.Drift) != 0 || r.Baseline != nil || len(r.Calibration) != 5 {
		t.Errorf("%v, %+v", err, r)
	}
	if _, err := Make(t.Context(), nil, m, Options{AsOf: audited}); !fault.Is(err, fault.Invalid) {
		t.Errorf("without a book: %v", err)
	}
}

// TestRefit: models that are trained for the audit had not seen what they are held against,
// and say so.
func TestRefit(t *testing.T) {
	m, base := models()
	r, err := Make(t.Context(), source(made{places: 300}.book()), m, Options{Tenant: "t", AsOf: audited, Ends: portfolio.DefaultEnds, Baseline: base, Refit: true})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Model.Refit || r.Model.Trained != r.Outcomes.After || r.Outcomes.InSample != audit.None {
		t.Errorf("%+v, %+v", r.Model, r.Outcomes)
	}
}

// TestWarmModels: models that have scored values over ten years before, as those of a
// handler that has run for a while, are held against twelve months all the same.
func TestWarmModels(t *testing.T) {
	first, _ := models()
	var file bytes.Buffer
	if err := first.Save(&file); err != nil {
		t.Fatal(err)
	}
	book := made{places: 300}.book()
	var margins []audit.Cell
	for _, warm := range []bool{false, true} {
		m, err := scoring.Parse(file.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if warm {
			s, err := scoring.New(m)
			if err != nil {
				t.Fatal(err)
			}
			s.Relation([]scoring.Subject{{Aggregate: book[0]}}, audited, scoring.NewSet(scoring.Clv))
		}
		r, err := Make(t.Context(), source(book), m, Options{Tenant: "t", AsOf: audited, Ends: portfolio.DefaultEnds})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Calibration {
			if c.Engine == "clv" {
				margins = append(margins, c.All)
			}
		}
	}
	if len(margins) != 2 || margins[0].Expected <= 0 || margins[0].Expected != margins[1].Expected {
		t.Errorf("cold and warm: %+v", margins)
	}
}

// TestSameInAnyOrder: a book in another order gives the same report.
func TestSameInAnyOrder(t *testing.T) {
	m, base := models()
	book := made{places: 300}.book()
	var said []string
	for range 2 {
		r, err := Make(t.Context(), source(book), m, Options{Tenant: "t", AsOf: audited, Ends: portfolio.DefaultEnds, Baseline: base})
		if err != nil {
			t.Fatal(err)
		}
		r.Proxies = nil // learnt from rows in their order
		body, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, string(body))
		slices.Reverse(book)
	}
	if said[0] != said[1] {
		t.Error("the order of a book shows in its report")
	}
}

// TestBeforeTheBook: of a date on which nobody had a policy there is nothing to audit.
func TestBeforeTheBook(t *testing.T) {
	m, _ := models()
	r, err := Make(t.Context(), source(made{places: 20}.book()), m, Options{Tenant: "t", AsOf: portfolio.MustDate(1950, 1, 1), Ends: portfolio.DefaultEnds})
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestClaimsNotRecorded: claims that were imported without dates after the audit's date leave
// the year's claims unknown, and not free of claims.
func TestClaimsNotRecorded(t *testing.T) {
	m, _ := models()
	book := made{places: 300}.book()
	for _, a := range book {
		for i := range a.Claims {
			a.Claims[i].Version = portfolio.Version{}
		}
		a.Normalise(audited + 1)
	}
	r, err := Make(t.Context(), source(book), m, Options{Tenant: "t", AsOf: audited, Ends: portfolio.DefaultEnds})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Calibration {
		if c.Engine == "risk" && (c.All.Relations != 0 || !strings.HasPrefix(c.Note, "not known: amounts of ")) {
			t.Errorf("%s: %+v, %q", c.Name, c.All, c.Note)
		}
	}
}
