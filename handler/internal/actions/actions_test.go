package actions

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

var monday = portfolio.MustDate(2026, 3, 2)

func TestTopKeepsTheFirst(t *testing.T) {
	for _, n := range []int{0, 1, MaxItems - 1, MaxItems, MaxItems + 1, 5 * MaxItems} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(n), 1))
			all := make([]Candidate, n)
			for i := range all {
				// Few priorities, so that ties are common.
				all[i] = Candidate{Customer: fmt.Sprintf("c%05d", i), Priority: float64(r.IntN(50))}
			}
			want := slices.Clone(all)
			slices.SortFunc(want, Candidate.compare)
			want = want[:min(n, MaxItems)]
			for range 3 {
				r.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
				var top Top
				for _, c := range all {
					top.Add(c)
				}
				if got := top.Ranked(); !slices.Equal(got, want) {
					t.Fatal("the kept ones depend on the order in which they came")
				}
			}
		})
	}
}

func TestMakeKeepsWhatIsStillDue(t *testing.T) {
	call := Candidate{Customer: "c1", Relation: "c:c1", Action: "call", Priority: 2}
	care := Candidate{Customer: "c2", Relation: "c:c2", Action: "care", Priority: 1}
	first := Make(Head{Date: monday, Run: "r1", Due: 2}, nil, []Candidate{call, care})
	if first.Listed != 2 || first.Items[0].Rank != 1 || first.Items[0].Opened != monday || first.Items[0].Status != Open {
		t.Fatalf("first list: %+v", first)
	}
	second := Make(Head{Date: monday + 1, Run: "r2", Due: 1}, first, []Candidate{call})
	if second.Items[0].ID != first.Items[0].ID || second.Items[0].Opened != monday {
		t.Errorf("an action still due is a new item: %+v", second.Items[0])
	}
	second.Items[0].Status = Done
	third := Make(Head{Date: monday + 100, Run: "r3", Due: 1}, second, []Candidate{call})
	if third.Items[0].ID == first.Items[0].ID || third.Items[0].Opened != monday+100 {
		t.Errorf("an action due again after it was done is the old item: %+v", third.Items[0])
	}
	if again := Make(Head{Date: monday + 100, Run: "r3", Due: 1}, third, []Candidate{call}); again.Items[0].ID != third.Items[0].ID {
		t.Error("a repeated run makes another list")
	}
}

func TestQuiet(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    Outcome
		days int // after the outcome
		want bool
	}{
		{"done: not again at once", Outcome{Status: Done, On: monday}, 1, true},
		{"done: on the last quiet day", Outcome{Status: Done, On: monday}, 89, true},
		{"done: again after a quarter", Outcome{Status: Done, On: monday}, 90, false},
		{"dismissed: half a year", Outcome{Status: Dismissed, On: monday}, 179, true},
		{"not useful: a year", Outcome{Status: NotUseful, On: monday}, 364, true},
		{"declined: something else after a quarter", Outcome{Status: Declined, On: monday}, 90, false},
		{"snoozed: until its day", Outcome{Status: Snoozed, On: monday, Until: monday + 7}, 6, true},
		{"snoozed: on its day", Outcome{Status: Snoozed, On: monday, Until: monday + 7}, 7, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := Feedback{"call": tc.o}
			if got := f.Quiet("call", monday+portfolio.Date(tc.days)); got != tc.want {
				t.Errorf("quiet = %v", got)
			}
			if f.Quiet("care", monday+1) {
				t.Error("quiet about an action that nobody judged")
			}
		})
	}
}

func TestListsAreOneDocument(t *testing.T) {
	l := &List{Head: Head{Date: monday}}
	big, err := json.Marshal(string(make([]byte, 1000)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range MaxItems {
		l.Items = append(l.Items, Item{ID: fmt.Sprint(i), Rank: i + 1, Score: big})
	}
	ops, err := l.Ops(time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, op := range ops {
		size += len(op.Body)
	}
	if size > store.MaxBytes {
		t.Errorf("a list of %d bytes does not fit in a batch", size)
	}
	if len(l.Items) == 0 || l.Listed != len(l.Items) || !slices.IsSortedFunc(l.Items, func(x, y Item) int { return cmp.Compare(x.Rank, y.Rank) }) {
		t.Error("the list's end is not what was left off")
	}
}
