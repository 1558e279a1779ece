package portfolio_test

import (
	"reflect"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	. "polis/handler/internal/portfolio"
)

func merge(a, in *Aggregate) (conflicts int) {
	a.Merge(in, func(Table, int) { conflicts++ })
	return conflicts
}

// Importing the same rows twice changes nothing, whatever was stored before.
func TestMergeIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stored, in := someAggregate.Draw(t, "stored"), someAggregate.Draw(t, "in")
		merge(stored, decode(encode(in)))
		once := encode(stored)
		again := decode(once)
		merge(again, decode(encode(in)))
		if diff := cmp.Diff(decode(once), again); diff != "" {
			t.Fatalf("the second time changed:\n%s", diff)
		}
	})
}

// An import adds versions and overwrites nothing.
func TestMergeLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stored, in := someAggregate.Draw(t, "stored"), someAggregate.Draw(t, "in")
		before := decode(encode(stored))
		merge(stored, in)
		has := func(p Policy) bool {
			for i := range stored.Policies {
				if q := &stored.Policies[i]; p.Same(q) && p.Version == q.Version {
					return true
				}
			}
			return false
		}
		for _, p := range before.Policies {
			if !has(p) {
				t.Fatalf("lost %+v", p)
			}
		}
		if len(stored.Contacts) < len(before.Contacts) || len(stored.Claims) < len(before.Claims) || len(stored.Customers) < len(before.Customers) {
			t.Fatal("lost a row")
		}
	})
}

func TestMergeDoesNotShareRows(t *testing.T) {
	in := example()
	var a Aggregate
	merge(&a, in)
	in.Policies[0].AnnualPremium = 1
	in.Contacts[0].Reason = "changed"
	if a.Policies[0].AnnualPremium == 1 || a.Contacts[0].Reason == "changed" {
		t.Error("a change of what was merged changes the aggregate")
	}
}

func TestMergeVersions(t *testing.T) {
	row := func(validFrom, recordedAt string, premium Cents, undated bool) Policy {
		return Policy{ID: "P", AnnualPremium: premium, Version: Version{ValidFrom: date(validFrom), RecordedAt: date(recordedAt), Undated: undated}}
	}
	for _, c := range []struct {
		name            string
		stored, in      []Policy
		want, conflicts int
	}{
		{"a new version", []Policy{row("2024-01-01", "2024-01-01", 1, false)}, []Policy{row("2025-01-01", "2025-01-01", 1, false)}, 2, 0},
		{"the same version", []Policy{row("2024-01-01", "2024-01-01", 1, false)}, []Policy{row("2024-01-01", "2024-01-01", 1, false)}, 1, 0},
		{"another content", []Policy{row("2024-01-01", "2024-01-01", 1, false)}, []Policy{row("2024-01-01", "2024-01-01", 2, false)}, 1, 1},
		{"undated, nothing new", []Policy{row("2024-01-01", "2024-01-01", 1, false)}, []Policy{row("2025-06-01", "2025-06-01", 1, true)}, 1, 0},
		{"undated, changed", []Policy{row("2024-01-01", "2024-01-01", 1, false)}, []Policy{row("2025-06-01", "2025-06-01", 2, true)}, 2, 0},
		{
			"undated, changed back",
			[]Policy{row("2024-01-01", "2024-01-01", 1, true), row("2025-01-01", "2025-01-01", 2, true)},
			[]Policy{row("2025-06-01", "2025-06-01", 1, true)},
			3, 0,
		},
		{
			"undated, an earlier as-of date than what is stored",
			[]Policy{row("2025-01-01", "2025-01-01", 2, true)},
			[]Policy{row("2024-06-01", "2024-06-01", 1, true)},
			2, 0,
		},
		{
			"undated, each from a date of its own, once more a day later",
			[]Policy{row("2023-01-01", "2025-06-01", 1, true), row("2024-01-01", "2025-06-01", 2, true)},
			[]Policy{row("2023-01-01", "2025-06-02", 1, true), row("2024-01-01", "2025-06-02", 2, true)},
			2, 0,
		},
	} {
		a := &Aggregate{Policies: c.stored}
		conflicts := merge(a, &Aggregate{Policies: c.in})
		if len(a.Policies) != c.want || conflicts != c.conflicts {
			t.Errorf("%s: %d versions and %d conflicts, want %d and %d", c.name, len(a.Policies), conflicts, c.want, c.conflicts)
		}
	}
}

func TestMergeContacts(t *testing.T) {
	open := Contact{CustomerID: "C", At: 1_700_000_000, Reason: "complaint"}
	resolved := open
	resolved.ResolvedAt, resolved.Sentiment = open.At+3600, -0.5
	other := Contact{CustomerID: "C", At: 1_600_000_000}
	for _, c := range []struct {
		name             string
		stored, in, want []Contact
	}{
		{"new", []Contact{other}, []Contact{open}, []Contact{other, open}},
		{"known", []Contact{other, open}, []Contact{open}, []Contact{other, open}},
		{"twice at the same time", []Contact{open}, []Contact{open, open}, []Contact{open, open}},
		{"resolved since", []Contact{other, open}, []Contact{other, resolved}, []Contact{other, resolved}},
		{"an older export", []Contact{other, resolved}, []Contact{other, open}, []Contact{other, resolved}},
		{"one of two resolved", []Contact{open, open}, []Contact{open, resolved}, []Contact{open, resolved}},
		{"none in the file", []Contact{open}, nil, []Contact{open}},
	} {
		a := &Aggregate{Contacts: append([]Contact(nil), c.stored...)}
		merge(a, &Aggregate{Contacts: c.in})
		if diff := cmp.Diff(c.want, a.Contacts); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

// TestSameSeesEveryField changes each field of a row in turn: one that Same forgot
// would be a change that no import ever stores.
func TestSameSeesEveryField(t *testing.T) {
	testSame(t, example().Customers[0], (*Customer).Same)
	testSame(t, example().Policies[0], (*Policy).Same)
	testSame(t, example().Claims[0], (*Claim).Same)
}

func testSame[R any](t *testing.T, row R, same func(*R, *R) bool) {
	t.Helper()
	kind := reflect.TypeOf(row)
	for i := range kind.NumField() {
		changed := row
		alter(reflect.ValueOf(&changed).Elem().Field(i))
		name := kind.Field(i).Name
		if got, want := same(&row, &changed), name == "Version"; got != want {
			t.Errorf("%s.%s changed: Same is %t, want %t", kind.Name(), name, got, want)
		}
	}
	// The codec and the encoder of rows must not forget one either.
	for i := range kind.NumField() {
		changed := row
		alter(reflect.ValueOf(&changed).Elem().Field(i))
		if encode(with(row)) == encode(with(changed)) {
			t.Errorf("%s.%s changed: the encoding has not", kind.Name(), kind.Field(i).Name)
		}
	}
}

func with(row any) *Aggregate {
	switch r := row.(type) {
	case Customer:
		return &Aggregate{Customers: []Customer{r}}
	case Policy:
		return &Aggregate{Policies: []Policy{r}}
	case Claim:
		return &Aggregate{Claims: []Claim{r}}
	}
	panic("no such row")
}

func alter(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "!")
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 0.5)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Slice:
		// A copy first: the rows share what their slices hold.
		fresh := reflect.MakeSlice(v.Type(), max(1, v.Len()), max(1, v.Len()))
		reflect.Copy(fresh, v)
		alter(fresh.Index(0).Field(fresh.Index(0).NumField() - 1))
		v.Set(fresh)
	case reflect.Struct:
		alter(v.Field(0))
	}
}

func TestNormalise(t *testing.T) {
	asOf := date("2026-03-31")
	a := &Aggregate{
		Customers: []Customer{{ID: "C"}},
		Policies:  []Policy{{ID: "P", Branch: "Motor", Version: Version{RecordedAt: date("2025-01-01")}}},
		Claims:    []Claim{{ID: "L1"}, {ID: "L2", SettledDate: date("2025-02-01")}},
	}
	a.Normalise(asOf)
	stamped := Version{ValidFrom: asOf, RecordedAt: asOf, Undated: true}
	want := &Aggregate{
		Customers: []Customer{{ID: "C", Segment: Private, Origin: "direct", Version: stamped}},
		Policies:  []Policy{{ID: "P", Branch: "motor", Version: Version{ValidFrom: date("2025-01-01"), RecordedAt: date("2025-01-01")}}},
		Claims: []Claim{
			{ID: "L1", Status: ClaimOpen, Version: stamped},
			{ID: "L2", Status: ClaimClosed, SettledDate: date("2025-02-01"), Version: stamped},
		},
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Error(diff)
	}
	before := encode(a)
	a.Normalise(date("2027-01-01"))
	if encode(a) != before {
		t.Error("normalising again changes what is normal")
	}
}

func TestRelationsAreKeptApart(t *testing.T) {
	for want, c := range map[string]Customer{
		"c:X": {ID: "X"},
		"h:X": {ID: "Y", HouseholdID: "X"},
		"g:X": {ID: "Z", HouseholdID: "H", CompanyGroupID: "X"},
	} {
		if got := c.Relation(); got != want {
			t.Errorf("%+v is of %s, want %s", c, got, want)
		}
	}
}

// Chunks of a run are buckets: they should be of one size, and keys in sequence are
// what administrations number their customers with.
func TestBucketsAreEven(t *testing.T) {
	for _, prefix := range []string{"c:", "h:C-", "customer-2024-"} {
		for _, buckets := range []int{2, 64, 100, 1024} {
			const perBucket = 500
			counts := make([]int, buckets)
			for i := range perBucket * buckets {
				counts[Bucket(prefix+strconv.Itoa(i), buckets)]++
			}
			for b, n := range counts {
				// Six standard deviations of a fair spread.
				if n < perBucket-6*23 || n > perBucket+6*23 {
					t.Errorf("%s: bucket %d of %d has %d keys, want about %d", prefix, b, buckets, n, perBucket)
				}
			}
		}
	}
}

// Where customers lie must not change: what is stored would not be found.
func TestBucketsStayWhereTheyAre(t *testing.T) {
	for key, want := range map[string]int{"": 39, "c:1": 56, "h:H-17": 34, "g:émile": 38} {
		if got := Bucket(key, 64); got != want {
			t.Errorf("%q is in %d, want %d", key, got, want)
		}
		// A partition of an import is a part of a bucket.
		for _, k := range []int{2, 3, 16} {
			if Bucket(key, 64*k)%64 != want {
				t.Errorf("%q: bucket of %d is no part of bucket %d", key, 64*k, want)
			}
		}
	}
}
