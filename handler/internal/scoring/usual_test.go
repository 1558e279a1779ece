package scoring

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	"polis/handler/internal/hazard"
	"polis/handler/internal/nbp"
	"polis/handler/internal/score"
)

// usualOf is what is usual in a made book, for tests that score one customer.
func usualOf() Usual {
	ref := &Reference{
		Lapse: -4.4, Other: [12]float64{}, Income: 120, Loss: 0, Cost: 30, Years: 6.5, Probability: 0.03, Worth: 11,
	}
	for k := range 12 {
		ref.Timing[k], ref.Other[k] = float64(k-6)/10, 0.002
	}
	ref.Timing[0] = 0.6 - 0.6*11 // whatever: they need not add up to 0
	return Usual{
		Customers: score.Norms{"tenure": {Quantiles: []float64{0, 20, 80}}, "segment": {Common: "private", Share: 0.9}},
		Policies:  score.Norms{"premium": {Quantiles: []float64{100, 300, 900}}},
		Reference: ref,
	}
}

// curve draws the curves of a relation.
func curve(t *rapid.T) *churn.Result {
	c := &churn.Result{Status: score.Scored}
	c.Alive[0] = 1
	var ended [2]float64
	for k := 1; k <= churn.Horizon; k++ {
		h := []float64{rapid.Float64Range(0, 0.4).Draw(t, "lapse"), rapid.Float64Range(0, 0.1).Draw(t, "other")}
		c.Alive[k] = hazard.Step(c.Alive[k-1], h, ended[:])
		c.Lapsed[k] = ended[0]
	}
	return c
}

// units is a number as it is shown, in units of its last decimal.
func units(t *rapid.T, v float64, decimals int) int64 {
	shown, err := strconv.ParseFloat(strconv.FormatFloat(v, 'f', decimals, 64), 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(math.Round(shown * math.Pow10(decimals)))
}

func addUp(t *rapid.T, what string, s *Shares, total float64, decimals int) {
	if s.Codes == nil {
		t.Fatalf("%s %v is not explained", what, total)
	}
	sum := units(t, s.Reference, decimals)
	for i := range s.Codes {
		sum += units(t, s.Parts[i], decimals)
	}
	if sum != units(t, total, decimals) {
		t.Fatalf("%s is shown as %v and explained as %v + %v", what, total, s.Reference, s.Parts)
	}
}

// TestSharesAddUp holds what is computed from several models to adding up to what is
// shown, in its last decimal.
func TestSharesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref, c := usualOf().Reference, curve(t)
		if h := hazards(c); math.Abs(lapsed(h.lapse, &h.timing, &h.other)-c.Lapsed[12]) > 1e-7 {
			t.Fatalf("the hazards make %v of %v", lapsed(h.lapse, &h.timing, &h.other), c.Lapsed[12])
		}
		var s Shares
		ref.lapse(c, &s)
		addUp(t, "the probability", &s, c.Lapsed[12], probabilityDecimals)

		v := &clv.Result{Status: score.Scored}
		v.Income, v.Loss, v.Cost = rapid.Float64Range(0, 1e5).Draw(t, "income"), rapid.Float64Range(0, 1e5).Draw(t, "loss"), rapid.Float64Range(0, 1e4).Draw(t, "cost")
		v.Value = v.Income - v.Loss - v.Cost
		v.Years = rapid.Float64Range(0.01, 20).Draw(t, "years")
		ref.value(v, &s)
		addUp(t, "the value", &s, v.Value, moneyDecimals)

		p := rapid.Float64Range(1e-6, 1).Draw(t, "probability")
		n := &nbp.Result{Status: score.Scored, Offers: []nbp.Offer{{Probability: p, Value: p * rapid.Float64Range(0, 500).Draw(t, "worth")}}}
		ref.offer(n, &s)
		addUp(t, "the offer", &s, n.Offers[0].Value, moneyDecimals)
	})
}

// TestTheReferenceNeedsNoExplanation: who is like the book is not off it.
func TestTheReferenceNeedsNoExplanation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := curve(t)
		v := clv.Result{Status: score.Scored, Income: 900, Loss: 300, Cost: 100, Value: 500, Years: 6.5}
		sh := Sheet{Churn: *c, Clv: v, Nbp: nbp.Result{Status: score.Scored, Offers: []nbp.Offer{{Probability: 0.1, Value: 3}}}}
		var r Referee
		r.Add(&sh)
		ref := r.Reference()
		for _, tc := range []struct {
			what string
			fill func(*Shares)
			most float64
		}{
			{"probability", func(s *Shares) { ref.lapse(c, s) }, 2e-5},
			{"value", func(s *Shares) { ref.value(&v, s) }, 0.02},
			{"offer", func(s *Shares) { ref.offer(&sh.Nbp, s) }, 0.01},
		} {
			var s Shares
			tc.fill(&s)
			for i, code := range s.Codes {
				if math.Abs(s.Parts[i]) > tc.most {
					t.Fatalf("%s: %s adds %v to %v", tc.what, code, s.Parts[i], s.Reference)
				}
			}
		}
	})
}

// TestReasonsCompareToTheBook reads the comparisons back from a score.
func TestReasonsCompareToTheBook(t *testing.T) {
	s, err := New(learnt(t))
	if err != nil {
		t.Fatal(err)
	}
	sh := s.Relation([]Subject{{Aggregate: person("c", nil)}}, asOf, NewSet(Engines...))[0]
	for e, want := range map[Engine]map[string]any{
		Risk: {"premium": map[string]any{"median": 300., "percentile": 78.}}, Churn: {"tenure": map[string]any{"median": 20., "percentile": 52.}},
	} {
		var got struct {
			Reasons struct {
				Top []struct {
					Code string
					Book any
				}
			}
			Explained struct{ Parts []any }
		}
		body := sh.AppendJSON(nil, e, "t", noon)
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, r := range got.Reasons.Top {
			if w, ok := want[r.Code]; ok {
				found = true
				g, _ := json.Marshal(r.Book)
				if v, _ := json.Marshal(w); !bytes.Equal(g, v) {
					t.Errorf("%s: %s is compared as %s, want %s", e, r.Code, g, v)
				}
			}
		}
		if !found || e == Churn && len(got.Explained.Parts) != 3 {
			t.Errorf("%s: a comparison or explanation is missing: %s", e, body)
		}
	}
}

// TestWarmScoringAllocatesNothing holds comparing and explaining to the engines' rule.
func TestWarmScoringAllocatesNothing(t *testing.T) {
	s, err := New(learnt(t))
	if err != nil {
		t.Fatal(err)
	}
	c := s.Relation([]Subject{{Aggregate: person("c", nil)}}, asOf, NewSet(Engines...))[0]
	var out Sheet
	ref := usualOf()
	if n := testing.AllocsPerRun(100, func() {
		ref.Customers.Compare(&c.Churn.Reasons)
		ref.Reference.lapse(&c.Churn, &out.Lapse)
		ref.Reference.value(&c.Clv, &out.Value)
		ref.Reference.offer(&c.Nbp, &out.Offer)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkExplain(b *testing.B) {
	c := &churn.Result{Status: score.Scored}
	c.Alive[0] = 1
	var ended [2]float64
	for k := 1; k <= churn.Horizon; k++ {
		c.Alive[k] = hazard.Step(c.Alive[k-1], []float64{0.01, 0.001}, ended[:])
		c.Lapsed[k] = ended[0]
	}
	v := &clv.Result{Status: score.Scored, Income: 900, Loss: 300, Cost: 100, Value: 500, Years: 6.5}
	ref := usualOf().Reference
	var s Shares
	for b.Loop() {
		ref.lapse(c, &s)
		ref.value(v, &s)
	}
}

func TestUsualIsChecked(t *testing.T) {
	m := learnt(t)
	m.Usual.Customers = score.Norms{"tenure": {Quantiles: []float64{3, 1}}}
	if err := m.check(); err == nil {
		t.Error("quantiles that descend are taken")
	}
}

// TestReasonsOfAnother: what is known of the member who stands for a relation is marked in
// the scores of the others.
func TestReasonsOfAnother(t *testing.T) {
	s := newScorer(t)
	sheets := s.Relation(couple(), asOf, NewSet(Churn))
	for i, want := range []bool{false, true} { // a pays more premium
		body := sheets[i].AppendJSON(nil, Churn, "t", noon)
		if got := bytes.Contains(body, []byte(`"of":"another_member"`)); got != want {
			t.Errorf("member %d: another's reasons: %v, want %v", i, got, want)
		}
	}
}
