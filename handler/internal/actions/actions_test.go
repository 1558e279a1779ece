package actions

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/deflate"
	"polis/handler/internal/fault"
	"polis/handler/internal/feedback"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
)

var monday = portfolio.MustDate(2026, 3, 2)

func TestTopKeepsTheFirst(t *testing.T) {
	for _, n := range []int{0, 1, MaxCommercial - 1, MaxCommercial, MaxCommercial + 1, 5 * MaxCommercial} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(n), 1))
			all := make([]Candidate, n)
			for i := range all {
				// Few priorities, so that ties are common.
				all[i] = Candidate{Customer: fmt.Sprintf("c%05d", i), Priority: float64(r.IntN(50))}
			}
			want := slices.Clone(all)
			slices.SortFunc(want, Candidate.compare)
			want = want[:min(n, MaxCommercial)]
			for range 3 {
				r.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
				if got := topOf(all...).Ranked(); !same(got, want) {
					t.Fatal("the kept ones depend on the order in which they came")
				}
			}
		})
	}
}

func TestMakeKeepsWhatIsStillDue(t *testing.T) {
	call := Candidate{Customer: "c1", Relation: "c:c1", Action: "call", Priority: 2}
	care := Candidate{Customer: "c2", Relation: "c:c2", Action: "care", Priority: 1}
	first := Make("t", Head{Date: monday, Run: "r1"}, nil, topOf(call, care), &none)
	if first.Listed != 2 || first.Items[0].Rank != 1 || first.Items[0].Opened != monday || first.Items[0].Status != feedback.Open {
		t.Fatalf("first list: %+v", first)
	}
	second := Make("t", Head{Date: monday + 1, Run: "r2"}, first, topOf(call), &none)
	if second.Items[0].ID != first.Items[0].ID || second.Items[0].Opened != monday {
		t.Errorf("an action still due is a new item: %+v", second.Items[0])
	}
	second.Items[0].Status = feedback.Done
	third := Make("t", Head{Date: monday + 100, Run: "r3"}, second, topOf(call), &none)
	if third.Items[0].ID == first.Items[0].ID || third.Items[0].Opened != monday+100 {
		t.Errorf("an action due again after it was done is the old item: %+v", third.Items[0])
	}
	if again := Make("t", Head{Date: monday + 100, Run: "r3"}, third, topOf(call), &none); again.Items[0].ID != third.Items[0].ID {
		t.Error("a repeated run makes another list")
	}
}

// TestWhatAnItemIs: an item is about something, and where that changes it is another, which what
// is kept with the customer says too.
func TestWhatAnItemIs(t *testing.T) {
	advice := func(about string) *Top {
		return topOf(Candidate{Customer: "c1", Relation: "c:c1", Part: Advice, Action: "coverage_advice", About: about})
	}
	first := Make("t", Head{Date: monday, Run: "r1"}, nil, advice("liability"), &none)
	second := Make("t", Head{Date: monday + 1, Run: "r2"}, first, advice("contents"), &none)
	if it := second.Items[0]; it.ID == first.Items[0].ID || it.Opened != monday+1 || len(second.opened) != 1 || second.opened[0].About != "contents" {
		t.Errorf("what is about something else is the old item: %+v, suggested %+v", it, second.opened)
	}
	if same := Make("t", Head{Date: monday, Run: "r2"}, first, advice("contents"), &none); same.Items[0].ID == first.Items[0].ID {
		t.Error("two items of one day have one id")
	}
}

// TestWhatComesBackIsAnotherItem: what is new brings an item back on the day of the reply too,
// and the reply to that one is not the reply to the first.
func TestWhatComesBackIsAnotherItem(t *testing.T) {
	care := func(claims int, news ...string) *Top {
		return topOf(Candidate{Customer: "c1", Relation: "c:c1", Part: Care, Action: "care_review", Cause: feedback.Cause{Rules: []string{"claims"}, Claims: claims}, New: news})
	}
	first := Make("t", Head{Date: monday, Run: "r1"}, nil, care(3), &none)
	first.Items[0].Status = feedback.Done
	second := Make("t", Head{Date: monday, Run: "r1"}, first, care(4, "new_claim"), &none)
	it := second.Items[0]
	if it.ID == first.Items[0].ID || it.Status != feedback.Open || len(second.opened) != 1 || second.opened[0].Item != it.ID || second.opened[0].Cause.Claims != 4 {
		t.Errorf("a fourth claim brings back %+v, suggested %+v", it, second.opened)
	}
	if again := Make("t", Head{Date: monday, Run: "r1"}, second, care(4, "new_claim"), &none); again.Items[0].ID != it.ID {
		t.Error("a repeated run makes another item")
	}
	second.Items[0].Judgement = "helpful"
	if judged := Make("t", Head{Date: monday, Run: "r1"}, second, care(5, "new_claim"), &none); judged.Items[0].ID == it.ID || judged.Items[0].Judgement != "" {
		t.Errorf("what is new brings back what was judged before it: %+v", judged.Items[0])
	}
	second.Items[0].Status = feedback.Done
	if third := Make("t", Head{Date: monday, Run: "r1"}, second, care(5, "new_claim"), &none); third.Items[0].ID == it.ID || third.Items[0].ID == first.Items[0].ID {
		t.Error("a fifth claim brings back an item that was replied to")
	}
}

// TestItemsOfOld: those of a list from before an item's id said what it is about live on by the
// id they have. Where it was opened for something else, what is said of it is kept under what
// it is about now.
func TestItemsOfOld(t *testing.T) {
	l := newLists(t)
	tenant := book.Tenant{ID: "t", Buckets: 1}
	err := l.book.CreateTenant(t.Context(), tenant)
	if err == nil {
		a := portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c1"}}}
		a.Normalise(monday)
		err = l.book.Put(t.Context(), tenant, &a, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"suggestions":[{"item_id":"0123456789abcdef","action":"coverage_advice","about":"liability","opened_on":"2026-02-27"}]}`)
	of := []book.Who{{Relation: "c:c1", ID: "c1"}}
	if err := l.book.ChangeFeedback(t.Context(), tenant, of, func(int, []byte) ([]byte, error) { return body, nil }); err != nil {
		t.Fatal(err)
	}
	old := &List{Head: Head{Date: monday - 1, Run: "r1"}, Items: []Item{{
		ID: "0123456789abcdef", Rank: 1, Customer: "c1", Relation: "c:c1", Part: Advice, Action: "coverage_advice", About: "contents", Opened: monday - 3, Status: feedback.Open,
	}}}
	l.write(old)
	before := l.latest()
	due := Candidate{Customer: "c1", Relation: "c:c1", Part: Advice, Action: "coverage_advice", About: "contents", Due: monday + 30}
	next := Make("t", Head{Date: monday, Run: "r2"}, before, topOf(due), &none)
	if it := next.Items[0]; it.ID != "0123456789abcdef" || it.Opened != monday-3 || it.Due != monday+30 || len(next.opened) > 0 {
		t.Errorf("an old item lives on as %+v, suggested anew %+v", it, next.opened)
	}
	l.write(next)
	if _, err := l.Record(t.Context(), tenant, monday, "0123456789abcdef", feedback.Reply{Outcome: feedback.Declined, At: monday.Time()}); err != nil {
		t.Fatal(err)
	}
	r, err := l.book.Customer(t.Context(), tenant, "c1")
	if err != nil {
		t.Fatal(err)
	}
	h, err := feedback.Read(r.Feedback)
	if err != nil || len(h.Suggestions) != 2 {
		t.Fatalf("%v, kept is %+v", err, h)
	}
	for about := range h.Declines() {
		if about != "contents" {
			t.Errorf("what was said of contents declines %s", about)
		}
	}
	if s := h.Find("0123456789abcdef", "liability"); s == nil || len(s.Replies) > 0 {
		t.Errorf("liability was suggested, and nothing said of it: %+v", s)
	}
}

// TestDueDatesStay: what is still due is due when it was at first, or sooner, and stands in
// the list by that; what is suggested anew has a date of its own.
func TestDueDatesStay(t *testing.T) {
	of := func(on portfolio.Date, customer string, days int) Candidate {
		return Candidate{Customer: customer, Part: Care, Action: "care", Priority: 80, Due: on + portfolio.Date(days)}
	}
	night := func(on portfolio.Date, before *List, all ...Candidate) *List {
		t.Helper()
		return Make("t", Head{Date: on}, before, topOf(all...), &none)
	}
	first := night(monday, nil, of(monday, "b", 7), of(monday, "c", 7))
	second := night(monday+1, first, of(monday+1, "a", 7), of(monday+1, "b", 7), of(monday+1, "c", 1))
	for i, want := range []struct {
		customer string
		due      portfolio.Date
	}{{"c", monday + 2}, {"b", monday + 7}, {"a", monday + 8}} {
		if it := second.Items[i]; it.Customer != want.customer || it.Due != want.due {
			t.Errorf("place %d: %s, due on %s; want %s on %s", i, it.Customer, it.Due, want.customer, want.due)
		}
	}
	third := night(monday+30, second, of(monday+30, "b", 7))
	if it := third.Items[0]; it.Due != monday+7 {
		t.Errorf("a month later what was due on %s is due on %s", monday+7, it.Due)
	}
	third.Items[0].Status = feedback.Done
	if it := night(monday+90, third, of(monday+90, "b", 7)).Items[0]; it.Due != monday+97 {
		t.Errorf("what is due again after it was done is due on %s", it.Due)
	}
}

// TestHeldOut: what is held out is on no list that is shown, lives from list to list as the
// others do, and care is never held out; what is of little use stands last.
func TestHeldOut(t *testing.T) {
	half := feedback.Settings{Effects: feedback.Effects{HoldOut: 0.5}}
	var all []Candidate
	for i := range 400 {
		all = append(all, Candidate{Customer: fmt.Sprintf("c%03d", i), Part: []Part{Care, Advice, Commercial, Commercial}[i%4], Action: "call", Chance: 0.1})
	}
	first := Make("t", Head{Date: monday}, nil, topOf(all...), &half)
	if n := len(first.held); first.Listed != len(first.Items) || first.Listed+n != 400 || n < 60 || n > 140 {
		t.Fatalf("%d of 400 are held out, %d listed", n, first.Listed)
	}
	for _, it := range first.held {
		if all[slices.IndexFunc(all, func(c Candidate) bool { return c.Customer == it.Customer })].Part.Owed() {
			t.Fatal("what care asks for is held out")
		}
	}
	for i, it := range first.Items {
		if it.Rank != i+1 {
			t.Fatalf("item %d has rank %d", i, it.Rank)
		}
	}
	lists := newLists(t)
	lists.write(first)
	read := lists.latest()
	second := Make("t", Head{Date: monday + 1}, read, topOf(all...), &half)
	if len(second.opened) != 0 || !slices.EqualFunc(second.held, first.held, func(a, b Item) bool { return a.ID == b.ID }) {
		t.Error("what is held out on one day is shown, or new, on the next")
	}
	if more := Make("t", Head{Date: monday + 1}, read, topOf(all...), &feedback.Settings{Effects: feedback.Effects{HoldOut: 0.01}}); len(more.held) != len(first.held) {
		t.Error("a lot falls again for what lives on")
	}
	if again := Make("other", Head{Date: monday}, nil, topOf(all...), &half); slices.EqualFunc(again.held, first.held, func(a, b Item) bool { return a.ID == b.ID }) {
		t.Error("two tenants draw the same lots")
	}
	if shown, err := json.Marshal(first); err != nil || strings.Contains(string(shown), "held") {
		t.Errorf("%v, a list shows what is held out", err)
	}
	if all[2].After = true; all[2].compare(all[3]) <= 0 || all[2].compare(all[1]) <= 0 || all[2].compare(Candidate{After: true, Priority: -1}) >= 0 {
		t.Error("what is of little use stands before others")
	}
}

var none feedback.Settings

// lists are lists and the store they are in.
type lists struct {
	*Lists
	t    *testing.T
	docs store.Store
}

func newLists(t *testing.T) *lists {
	t.Helper()
	docs, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.WithClock(func() time.Time { return monday.Time() }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { docs.Close() })
	return &lists{New(book.New(docs), docs), t, docs}
}

// pages stores a list's pages, and returns the write of its head.
func (l *lists) pages(list *List) store.Op {
	l.t.Helper()
	p, err := newPager(list.Head)
	must(l.t, err)
	defer p.close()
	for it := range list.drafted() {
		must(l.t, p.add(it))
	}
	must(l.t, p.end())
	list.Head = p.Head
	op, err := l.Lists.write(l.t.Context(), "t", p, monday.Time())
	must(l.t, err)
	return op
}

// write stores a list's pages and its head.
func (l *lists) write(list *List) {
	l.t.Helper()
	op := l.pages(list)
	must(l.t, l.docs.Write(l.t.Context(), shared("t"), []store.Op{op}))
}

// latest is the newest list, without scores.
func (l *lists) latest() *List {
	l.t.Helper()
	h, err := l.Newest(l.t.Context(), "t")
	must(l.t, err)
	list := &List{Head: h}
	for p, err := range l.from(l.t.Context(), "t", &h, 0) {
		must(l.t, err)
		for i := range p.items {
			list.put(&p.items[i])
		}
	}
	return list
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// many is a list of care for n customers and commercial actions for as many, with scores.
func many(n int, run string) *List {
	top := NewTop(&feedback.List{MaxAdvice: 500})
	for i := range n {
		top.Add(Candidate{Customer: fmt.Sprintf("a%05d", i), Action: "call", Priority: 99})
		top.Add(Candidate{Customer: fmt.Sprintf("b%05d", i), Action: "care", Priority: 1, Part: Care})
	}
	l := Make("t", Head{Date: monday, Run: run, Count: Count{Due: 2 * n}, Care: Count{Due: n}, Commercial: Count{Due: n}}, nil, top, &none)
	for i := range l.Items {
		l.Items[i].Score = json.RawMessage(`{"draft":"` + strings.Repeat("x", 1000) + `"}`)
	}
	return l
}

// TestCareIsNeverCutOff: however much care asks for, all of it is on the list and before
// anything commercial, of which the list has no more than the bound.
func TestCareIsNeverCutOff(t *testing.T) {
	l := newLists(t)
	const n = 3000
	l.write(many(n, "r"))
	h, err := l.Newest(t.Context(), "t")
	if err != nil || h.Care != (Count{n, n}) || h.Commercial != (Count{n, MaxCommercial}) || h.Count != (Count{2 * n, n + MaxCommercial}) {
		t.Fatalf("%v, %+v", err, h)
	}
	for _, most := range []int{1, 70, 1000, 2 * n} {
		seen := 0
		if most == 1 {
			seen = n - 2
		}
		for more := true; more; {
			var items []Item
			if items, more, err = l.Items(t.Context(), "t", &h, "", seen, most); err != nil || len(items) == 0 || len(items) > most {
				t.Fatalf("%v, %d items by %d after %d", err, len(items), most, seen)
			}
			for _, it := range items {
				if seen++; it.Rank != seen || (it.Part == Care) != (seen <= n) {
					t.Fatalf("item %d: %+v", seen, it)
				}
			}
			if most == 1 && seen == n+2 {
				seen = n + MaxCommercial
				break
			}
		}
		if seen != n+MaxCommercial {
			t.Errorf("by %d: %d items", most, seen)
		}
	}
	if items, more, err := l.Items(t.Context(), "t", &h, "", n+MaxCommercial, 10); err != nil || more || len(items) > 0 {
		t.Errorf("%v, beyond the end are %d items", err, len(items))
	}
	for d, err := range l.docs.Scan(t.Context(), shared("t"), pageKey, "") {
		plain, failed := deflate.Unpack(d.Body, 2*pageBytes)
		if err != nil || failed != nil || len(d.Body) > len(plain)/5 {
			t.Errorf("%v, %v, a page of %d bytes is %d", err, failed, len(plain), len(d.Body))
		}
	}
}

// TestAListIsTheOldOrTheNew: until the head is written the old list is there whole, and a
// list that is written again finds its pages as people left them.
func TestAListIsTheOldOrTheNew(t *testing.T) {
	l := newLists(t)
	l.write(many(300, "old"))
	old := l.latest()
	next := many(400, "new")
	l.pages(next) // and killed before the head
	now := l.latest()
	if now.Head != old.Head || len(now.Items) != 600 {
		t.Errorf("without its head a list shows %d items, %+v", len(now.Items), now.Head)
	}
	l.write(next)
	h := next.Head
	p, it, err := l.find(t.Context(), "t", &h, next.Items[500].ID)
	if err != nil {
		t.Fatal(err)
	}
	if it.Status = feedback.Done; l.replace(t.Context(), "t", p) != nil {
		t.Fatal("a page cannot be replaced")
	}
	if err := l.replace(t.Context(), "t", p); !fault.Is(err, fault.Conflict) {
		t.Errorf("a page that somebody changed is replaced: %v", err)
	}
	l.write(many(400, "new"))
	if now = l.latest(); now.Run != "new" || len(now.Items) != 800 || now.Items[500].Status != feedback.Done {
		t.Errorf("%d items, one that was done is %s", len(now.Items), now.Items[500].Status)
	}
	gone := now.Items[500].Customer
	care := slices.IndexFunc(now.Items, func(it Item) bool { return it.Part == Care })
	for i, left := range map[int]bool{0: now.Items[0].Part == Care, care: true, len(now.Items) - 1: now.Items[len(now.Items)-1].Part == Care} {
		if err := l.Withdraw(t.Context(), "t", now.Items[i].Customer); err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.find(t.Context(), "t", &now.Head, now.Items[i].ID); (err == nil) != left {
			t.Errorf("item %d, of %s, once its customer objects: %v", i, now.Items[i].Part, err)
		}
	}
	if err := l.Forget(t.Context(), "t", gone); err != nil {
		t.Fatal(err)
	}
	for d, err := range l.docs.Scan(t.Context(), shared("t"), "", "") {
		plain, failed := deflate.Unpack(d.Body, maxPage)
		if err != nil || failed != nil || strings.Contains(string(plain), gone) {
			t.Errorf("%v, %v, an erased customer is in %q", err, failed, d.Key)
		}
	}
	if items, more, err := l.Items(t.Context(), "t", &h, "", 499, 2); err != nil || !more || items[0].Rank != 500 || items[1].Rank != 502 {
		t.Errorf("%v, after one was erased the next are %+v", err, items)
	}
}

// TestSnoozingHasABound: to put off is no way to take somebody off the list.
func TestSnoozingHasABound(t *testing.T) {
	bound := feedback.Defaults().Snooze
	for part, most := range map[Part]int{Commercial: bound.Days, Advice: bound.CareDays, Care: bound.CareDays} {
		it := Item{Part: part, Opened: monday}
		r := feedback.Reply{Outcome: feedback.Snoozed, Until: monday + portfolio.Date(most), At: monday.Time()}
		if err := it.takes(&r, &bound); err != nil {
			t.Errorf("%s: %v", part, err)
		}
		r.Until++
		var f *fault.Error
		if err := it.takes(&r, &bound); !errors.As(err, &f) || len(f.Fields) != 1 || f.Fields[0].Pointer != "/until" {
			t.Errorf("%s, a day beyond %d: %v", part, most, err)
		}
	}
}

// TestCareIsOrderedBySeverityAndDueDate: and by nothing else that a candidate has.
func TestCareIsOrderedBySeverityAndDueDate(t *testing.T) {
	want := []Candidate{
		{Customer: "z", Priority: 90, Due: monday + 1, Part: Care},
		{Customer: "y", Priority: 90, Due: monday + 7, Part: Care},
		{Customer: "w", Priority: 75, Due: monday + 1, Part: Care},
		{Customer: "x", Priority: 75, Due: monday + 1, Part: Care},
		{Customer: "b", Priority: 100, Due: monday + 9},
		{Customer: "a", Priority: 99, Due: monday},
		{Customer: "c", Priority: 100, Due: monday, After: true},
	}
	top := NewTop(&feedback.List{MaxAdvice: 500})
	for _, c := range want {
		top.Add(c)
	}
	if got := top.Ranked(); !same(got, want) {
		t.Errorf("%+v", got)
	}
}

func same(a, b []Candidate) bool {
	return slices.EqualFunc(a, b, func(c, d Candidate) bool { return reflect.DeepEqual(c, d) })
}

func topOf(all ...Candidate) *Top {
	top := NewTop(&feedback.List{MaxAdvice: 500})
	for _, c := range all {
		top.Add(c)
	}
	return top
}

// TestAdviceHasPlacesOfItsOwn: as many as the settings say and the most severe, whatever is due
// in commerce; what is urgent stands before commerce and the rest behind it, and by no lot or
// judgement is any of it put off.
func TestAdviceHasPlacesOfItsOwn(t *testing.T) {
	f := feedback.Defaults()
	f.List.MaxAdvice, f.Effects.HoldOut = 300, 0.5
	const urgent = 100
	top := NewTop(&f.List)
	for i := range 2 * MaxCommercial {
		top.Add(Candidate{Customer: fmt.Sprintf("a%05d", i), Part: Advice, Action: "coverage_advice", Priority: 30, Severity: float64(i), Urgent: i >= 2*MaxCommercial-urgent})
		top.Add(Candidate{Customer: fmt.Sprintf("c%05d", i), Part: Commercial, Action: "call", Priority: 60})
		top.Add(Candidate{Customer: fmt.Sprintf("d%05d", i), Part: Commercial, Action: "offer", Priority: 90, After: true})
	}
	top.Add(Candidate{Customer: "care", Part: Care, Action: "care", Priority: 1})
	l := Make("t", Head{Date: monday}, nil, top, &f)
	if l.Care.Listed != 1 || l.Advice.Listed != 300 || l.Commercial.Listed < 150 || l.Commercial.Listed > 350 {
		t.Errorf("head %+v", l.Head)
	}
	last := 2.0 * MaxCommercial
	for i, it := range l.Items {
		want := Advice
		switch {
		case i == 0:
			want = Care
		case i > urgent && i <= urgent+l.Commercial.Listed:
			want = Commercial
		}
		if it.Part != want {
			t.Fatalf("place %d: %+v", i, it)
		}
		if want == Advice {
			if last--; it.Customer != fmt.Sprintf("a%05d", int(last)) {
				t.Fatalf("place %d has %s, not the next most severe", i, it.Customer)
			}
		}
	}
	lists := newLists(t)
	lists.write(l)
	for part, n := range map[Part]int{Care: 1, Advice: 300, Commercial: l.Commercial.Listed, "": l.Listed} {
		seen, after := 0, 0
		for more := true; more; {
			var items []Item
			var err error
			if items, more, err = lists.Items(t.Context(), "t", &l.Head, part, after, 70); err != nil || len(items) == 0 {
				t.Fatalf("%q: %v, %d items after %d", part, err, len(items), after)
			}
			for _, it := range items {
				if seen++; part != "" && it.Part != part || it.Rank <= after {
					t.Fatalf("%q after %d: %+v", part, after, it)
				}
				after = it.Rank
			}
		}
		if seen != n {
			t.Errorf("%d of %q, want %d", seen, part, n)
		}
	}
}

// TestAdviceBesideCommerce: what goes along with something commercial is named with it, and
// stands alone where that is held out or has no place.
func TestAdviceBesideCommerce(t *testing.T) {
	f := feedback.Defaults()
	f.List.MaxAdvice, f.Effects.HoldOut = 5000, 0.5
	const n = 3 * MaxCommercial
	made := func(order []int) *List {
		top := NewTop(&f.List)
		for _, i := range order {
			top.Add(Candidate{
				Customer: fmt.Sprintf("c%05d", i), Part: Commercial, Action: "call", Priority: float64(i % 90),
				Also: Also{Action: "coverage_advice", About: "liability", Severity: float64(i % 40)},
			})
		}
		return Make("t", Head{Date: monday}, nil, top, &f)
	}
	r := rand.New(rand.NewPCG(1, 2))
	l := made(r.Perm(n))
	if l.Listed != n || len(l.held) == 0 || l.Commercial.Listed+len(l.held) != MaxCommercial {
		t.Fatalf("%+v, %d held out", l.Head, len(l.held))
	}
	seen := map[string]bool{}
	for i := range l.Items {
		it := &l.Items[i]
		named := it.Part == Commercial && slices.Equal(it.Also, []Beside{{"coverage_advice", "liability"}})
		alone := it.Part == Advice && it.Instead() && it.Action == "coverage_advice" && it.About == "liability"
		if !named && !alone || seen[it.Customer] {
			t.Fatalf("%+v", it)
		}
		seen[it.Customer] = true
	}
	if again := made(r.Perm(n)); !slices.EqualFunc(l.Items, again.Items, func(a, b Item) bool { return a.ID == b.ID }) {
		t.Error("the list depends on the order in which candidates came")
	}
}
