package hazard

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"polis/handler/internal/model"
)

// TestPeriodsAtRisk says which periods a subject counts in, and what it is in each.
func TestPeriodsAtRisk(t *testing.T) {
	m := &Model{
		causes: []Cause{{Name: "lapse"}, {Name: "death"}},
		fields: []model.Field{{Name: "age"}, {Name: "month"}, {Name: "sex", Kind: model.Category}, {Name: "tenure"}},
		rolls:  []Roll{{Field: "age", By: 1, Every: 2}, {Field: "month", By: 1, Every: 1, Low: 1, High: 4}},
		last:   100,
	}
	if err := m.checkShape(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name            string
		entry, duration float64
		cause           int
		want            []string // tenure: outcome, age, month
	}{
		{"ends with a period", 0, 3, 1, []string{"1: 0 30 2", "2: 0 30.5 3", "3: 1 31 1"}},
		{"ends within a period", 0, 2.3, 1, []string{"1: 0 30 2", "2: 0 30.5 3", "3: 1 31 1"}},
		{"ends at once", 0, 0.01, 1, []string{"1: 1 30 2"}},
		{"ends by another cause", 0, 2, 2, []string{"1: 0 30 2", "2: 0 30.5 3"}},
		{"lost sight of after a period", 0, 2, 0, []string{"1: 0 30 2", "2: 0 30.5 3"}},
		{"lost sight of within a period", 0, 2.5, 0, []string{"1: 0 30 2", "2: 0 30.5 3", "3: 0 31 1 by half"}},
		{"lost sight of in the first", 0, 0.5, 0, []string{"1: 0 30 2 by half"}},
		{"watched from a later period", 2, 4, 1, []string{"3: 0 30 2", "4: 1 30.5 3"}},
		{"watched from within a period", 1.5, 4, 1, []string{"3: 0 30.25 2.5", "4: 1 30.75 3.5"}},
		{"watched for less than a period", 1.5, 1.9, 1, nil},
		{"watched and lost sight of in a period", 1.2, 1.9, 0, nil},
		{"watched and lost sight of in the next", 1.2, 2.5, 0, []string{"3: 0 30.4 2.8 by half"}},
	} {
		s := Subject{
			Row:      model.Row{Num: []float64{30, 2, math.NaN()}, Cat: []string{"", "", "f"}},
			Duration: c.duration, Entry: c.entry, Cause: c.cause, Weight: 2, Time: 1999, Group: "g",
		}
		if err := m.checkSubject(&s); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var got []string
		err := m.periods(one(s), 1)(t.Context(), func(r *model.Case) error {
			line := fmt.Sprintf("%v: %v %v %v", r.Num[3], r.Y, r.Num[0], r.Num[1])
			if r.Weight == 1 {
				line += " by half"
			} else if r.Weight != 2 {
				t.Errorf("%s: a weight of %v", c.name, r.Weight)
			}
			got = append(got, line)
			if r.Exposure != 1 || r.Time != 1999 || r.Group != "g" || r.Cat[2] != "f" || !math.IsNaN(r.Num[2]) {
				t.Errorf("%s: %+v", c.name, r)
			}
			return nil
		})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func one(subjects ...Subject) Subjects {
	return func(_ context.Context, do func(*Subject) error) error {
		for i := range subjects {
			if err := do(&subjects[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestASubjectIsAGroup where it is not in one.
func TestASubjectIsAGroup(t *testing.T) {
	m := &Model{causes: []Cause{{Name: "lapse"}}, fields: []model.Field{{Name: "tenure"}}}
	groups := map[string]int{}
	alone, household := Subject{Duration: 3, Weight: 1}, Subject{Duration: 2, Weight: 1, Group: "h"}
	if err := m.periods(one(alone, household, alone, household), 1)(t.Context(), func(r *model.Case) error {
		groups[r.Group]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(groups) != 3 || groups["h"] != 4 {
		t.Errorf("groups and their periods: %v", groups)
	}
}

func TestRolls(t *testing.T) {
	for _, c := range []struct {
		roll             Roll
		v, periods, want float64
	}{
		{Roll{By: 1, Every: 12}, 30, 24, 32},
		{Roll{By: 1, Every: 49}, 30, 49, 31},
		{Roll{By: 1, Every: 12}, math.NaN(), 24, math.NaN()},
		{Roll{By: 1, Every: 1, Low: 1, High: 13}, 11, 1, 12},
		{Roll{By: 1, Every: 1, Low: 1, High: 13}, 11, 2, 1},
		{Roll{By: 1, Every: 1, Low: 1, High: 13}, 11, 38, 1},
		{Roll{By: -365, Every: 4, Low: 0, High: 365}, 100, 1, 373.75 - 365},
		{Roll{By: -365, Every: 4, Low: 0, High: 365}, 100, 2, 282.5},
		{Roll{By: -365, Every: 12, Low: 0, High: 365}, 0, 12, 0},
		{Roll{By: -1e-20, Every: 1, Low: 0, High: 365}, 0, 1, 0},
	} {
		if got := c.roll.at(c.v, c.periods); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%v from %v, %v periods on: %v, want %v", &c.roll, c.v, c.periods, got, c.want)
		}
	}
}
