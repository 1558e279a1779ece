package sample

import (
	"context"
	"errors"
	"testing"

	"polis/handler/internal/fault"
)

// TestFuturesAreOfTheBook: on average over paths, futures bring about the claims of the
// year that the truth expects, of the same customers; each path is its own, and the same
// again.
func TestFuturesAreOfTheBook(t *testing.T) {
	o := Options{Customers: 600, Seed: 5}
	o.Truth = true
	m, _ := write(t, o)
	truth := read(t, m, TruthPoliciesFile)
	expected, ids := 0.0, map[string]bool{}
	for _, r := range truth.rows {
		ids[truth.get(r, "customer_id")] = true
		if b := truth.get(r, "branch"); b != "disability" && b != "funeral" && b != "absence" {
			expected += truth.num(r, "expected_loss")
		}
	}
	const paths = 20
	draw := func() (loss, premium, first float64, seen map[string]bool) {
		seen = map[string]bool{}
		err := Futures(t.Context(), o, 12, paths, func(f Future) error {
			for i, id := range f.Customers {
				if len(f.Flows[i]) != 12 {
					t.Fatalf("a future of %d months", len(f.Flows[i]))
				}
				for _, m := range f.Flows[i] {
					loss += m.Loss / paths
					premium += m.Premium / paths
					if f.No == 0 {
						first += m.Premium
					}
					if m.Insured > m.Premium+1e-9 || m.Commission > m.Premium || m.Exposure < 0 {
						t.Fatalf("%+v", m)
					}
					if m.Premium > 0 {
						seen[id] = true
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return loss, premium, first, seen
	}
	loss, premium, first, seen := draw()
	// The truth's are before rejections and recoveries and of those who keep their policies;
	// futures have purchases too.
	if loss < 0.7*expected || loss > 1.3*expected {
		t.Errorf("losses of %v a year, the truth expects %v", loss, expected)
	}
	if first == premium {
		t.Error("all paths are the same")
	}
	for id := range ids {
		if !seen[id] {
			t.Errorf("customer %s holds policies and earns nothing in %d futures", id, paths)
		}
	}
	if again, _, _, _ := draw(); again != loss {
		t.Error("drawn again, futures differ")
	}
}

func TestFuturesRefuse(t *testing.T) {
	none := func(Future) error { return nil }
	for name, err := range map[string]error{
		"no months":    Futures(t.Context(), Options{Customers: 1}, 0, 1, none),
		"no paths":     Futures(t.Context(), Options{Customers: 1}, 12, 0, none),
		"no customers": Futures(t.Context(), Options{}, 12, 1, none),
		"no world":     Futures(t.Context(), Options{Customers: 1, World: "C"}, 12, 1, none),
	} {
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	enough := errors.New("enough")
	if err := Futures(t.Context(), Options{Customers: 9}, 12, 3, func(Future) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("a visitor that has enough: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Futures(ctx, Options{Customers: 9}, 12, 3, none); !fault.Is(err, fault.Cancelled) {
		t.Errorf("broken off: %v", err)
	}
}
