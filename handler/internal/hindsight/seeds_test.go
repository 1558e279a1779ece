package hindsight_test

import (
	"math"
	"strings"
	"testing"

	. "polis/handler/internal/hindsight"
)

// TestTogether: means and their errors over books; a book with too few customers in a part
// is left out of it, and parts with none are not shown.
func TestTogether(t *testing.T) {
	book := func(coverage float64, drifting int) *Values {
		part := func(name string, n int) Group {
			return Group{Name: name, Customers: n, Interval: Interval{Coverage: coverage, Score: 1.1}}
		}
		return &Values{All: part("all", 1000), Deciles: []Group{part("1", 100)}, Segments: []Group{part("drifting", drifting), part("tiny", 3)}}
	}
	parts := Together([]*Values{book(0.88, 50), book(0.92, 10)})
	if len(parts) != 3 || parts[1].Name != "tenth 1" || parts[2].Name != "drifting" {
		t.Fatalf("%+v", parts)
	}
	if all := parts[0]; all.Books != 2 || math.Abs(all.Coverage.Mean-0.9) > 1e-12 || math.Abs(all.Coverage.Error-0.02) > 1e-12 || all.Score.Error > 1e-12 {
		t.Errorf("%+v", all)
	}
	if d := parts[2]; d.Books != 1 || d.Coverage.Mean != 0.88 || d.Coverage.Error != 0 {
		t.Errorf("%+v", d)
	}
	var page strings.Builder
	if err := PrintOver(&page, parts); err != nil || !strings.Contains(page.String(), "90.0 ± 25.4 %") {
		t.Errorf("%v:\n%s", err, page.String())
	}
}
