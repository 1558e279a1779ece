package actions

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"polis/handler/internal/feedback"
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
	first := Make("t", Head{Date: monday, Run: "r1", Due: 2}, nil, []Candidate{call, care}, &none)
	if first.Listed != 2 || first.Items[0].Rank != 1 || first.Items[0].Opened != monday || first.Items[0].Status != feedback.Open {
		t.Fatalf("first list: %+v", first)
	}
	second := Make("t", Head{Date: monday + 1, Run: "r2", Due: 1}, first, []Candidate{call}, &none)
	if second.Items[0].ID != first.Items[0].ID || second.Items[0].Opened != monday {
		t.Errorf("an action still due is a new item: %+v", second.Items[0])
	}
	second.Items[0].Status = feedback.Done
	third := Make("t", Head{Date: monday + 100, Run: "r3", Due: 1}, second, []Candidate{call}, &none)
	if third.Items[0].ID == first.Items[0].ID || third.Items[0].Opened != monday+100 {
		t.Errorf("an action due again after it was done is the old item: %+v", third.Items[0])
	}
	if again := Make("t", Head{Date: monday + 100, Run: "r3", Due: 1}, third, []Candidate{call}, &none); again.Items[0].ID != third.Items[0].ID {
		t.Error("a repeated run makes another list")
	}
}

// TestHeldOut: what is held out is on no list that is shown, lives from list to list as the
// others do, and care is never held out; what is of little use stands last.
func TestHeldOut(t *testing.T) {
	half := feedback.Effects{HoldOut: 0.5}
	var all []Candidate
	for i := range 400 {
		all = append(all, Candidate{Customer: fmt.Sprintf("c%03d", i), Action: "call", Chance: 0.1, Care: i%2 == 0})
	}
	first := Make("t", Head{Date: monday}, nil, all, &half)
	if n := len(first.held); first.Listed != len(first.Items) || first.Listed+n != 400 || n < 60 || n > 140 {
		t.Fatalf("%d of 400 are held out, %d listed", n, first.Listed)
	}
	for _, it := range first.held {
		if all[slices.IndexFunc(all, func(c Candidate) bool { return c.Customer == it.Customer })].Care {
			t.Fatal("what care asks for is held out")
		}
	}
	for i, it := range first.Items {
		if it.Rank != i+1 {
			t.Fatalf("item %d has rank %d", i, it.Rank)
		}
	}
	body, err := first.body()
	if err != nil {
		t.Fatal(err)
	}
	read, err := readList(store.Document{Body: body})
	if err != nil {
		t.Fatal(err)
	}
	second := Make("t", Head{Date: monday + 1}, read, all, &half)
	if len(second.opened) != 0 || !slices.EqualFunc(second.held, first.held, func(a, b Item) bool { return a.ID == b.ID }) {
		t.Error("what is held out on one day is shown, or new, on the next")
	}
	if more := Make("t", Head{Date: monday + 1}, read, all, &feedback.Effects{HoldOut: 0.01}); len(more.held) != len(first.held) {
		t.Error("a lot falls again for what lives on")
	}
	if again := Make("other", Head{Date: monday}, nil, all, &half); slices.EqualFunc(again.held, first.held, func(a, b Item) bool { return a.ID == b.ID }) {
		t.Error("two tenants draw the same lots")
	}
	if shown, err := json.Marshal(first); err != nil || strings.Contains(string(shown), "held") {
		t.Errorf("%v, a list shows what is held out", err)
	}
	if all[1].After = true; all[1].compare(all[3]) <= 0 || all[1].compare(Candidate{After: true, Priority: -1}) >= 0 {
		t.Error("what is of little use stands before others")
	}
}

var none feedback.Effects

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
