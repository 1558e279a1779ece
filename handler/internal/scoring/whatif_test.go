package scoring

import (
	"math"
	"testing"
)

// TestSegments are means over what has an answer.
func TestSegments(t *testing.T) {
	policy := func(branch string, percent, without, with float64, empty bool) WhatIfPolicy {
		p := WhatIfPolicy{PolicyID: "p", Branch: branch, Percent: percent, Empty: empty}
		if !empty {
			p.WhatIfDifference = &WhatIfDifference{without, with, with - without, with - without - 0.01, with - without + 0.01}
		}
		return p
	}
	a := &WhatIfAnswer{Results: []WhatIfCustomer{
		{Policies: []WhatIfPolicy{policy("motor", 5, 0.1, 0.2, false), policy("motor", 30, 0, 0, true)}},
		{Policies: []WhatIfPolicy{policy("motor", 5, 0.2, 0.4, false), policy("travel", 5, 0.3, 0.3, false)}},
	}}
	a.segment()
	want := []WhatIfSegment{
		{"", 5, 3, WhatIfDifference{0.2, 0.3, 0.1, 0.09, 0.11}},
		{"motor", 5, 2, WhatIfDifference{0.15, 0.3, 0.15, 0.14, 0.16}},
		{"travel", 5, 1, WhatIfDifference{0.3, 0.3, 0, -0.01, 0.01}},
	}
	if len(a.Segments) != len(want) {
		t.Fatalf("%+v", a.Segments)
	}
	for i, s := range a.Segments {
		w := want[i]
		if s.Branch != w.Branch || s.Percent != w.Percent || s.Policies != w.Policies || math.Abs(s.Without-w.Without)+math.Abs(s.With-w.With)+math.Abs(s.Low-w.Low)+math.Abs(s.High-w.High)+math.Abs(s.Difference-w.Difference) > 2e-6 {
			t.Errorf("%+v, want %+v", s, w)
		}
	}
}
