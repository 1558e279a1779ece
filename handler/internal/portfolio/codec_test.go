package portfolio_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	. "polis/handler/internal/portfolio"
)

func TestCodecRoundTrip(t *testing.T) {
	var (
		enc Encoder
		dec Decoder
		buf []byte
	)
	rapid.Check(t, func(t *rapid.T) {
		a := someAggregate.Draw(t, "aggregate")
		a.Objections = rapid.SliceOfN(someObjection, 0, 2).Draw(t, "objections")
		buf = enc.Append(buf[:0], a)
		// The buffers of earlier aggregates must not shine through.
		got, err := dec.Decode(buf)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("round trip:\n%s", diff)
		}
		if string(buf) != encode(got) {
			t.Fatal("what was decoded encodes to other bytes")
		}
	})
}

// Equal content has equal bytes, in whatever order its rows came: that is how an
// import knows that a customer did not change.
func TestBytesAreCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := someAggregate.Draw(t, "aggregate")
		b := decode(encode(a))
		b.Policies = rapid.Permutation(b.Policies).Draw(t, "policies")
		b.Claims = rapid.Permutation(b.Claims).Draw(t, "claims")
		b.Contacts = rapid.Permutation(b.Contacts).Draw(t, "contacts")
		b.Customers = rapid.Permutation(b.Customers).Draw(t, "customers")
		for i := range b.Policies {
			b.Policies[i].Attributes = rapid.Permutation(b.Policies[i].Attributes).Draw(t, "attributes")
		}
		b.Sort()
		if encode(a) != encode(b) {
			t.Fatalf("not canonical:\n%s", cmp.Diff(a, b))
		}
	})
}

func TestJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := someAggregate.Draw(t, "aggregate")
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var b Aggregate
		if err := json.Unmarshal(text, &b); err != nil {
			t.Fatal(err)
		}
		if encode(a) != encode(&b) {
			t.Fatalf("through JSON:\n%s", cmp.Diff(a, &b))
		}
	})
}

func TestRowsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := someAggregate.Draw(t, "aggregate")
		var (
			enc RowEncoder
			dec RowDecoder
			got Aggregate
		)
		add := func(table Table, row []byte) {
			if err := dec.Add(&got, table, "C", string(row)); err != nil {
				t.Fatal(err)
			}
			if err := dec.Add(new(Aggregate), table, "C", string(row[:len(row)-1])); err == nil {
				t.Fatal("a cut row is decoded")
			}
		}
		for i := range a.Customers {
			add(Customers, enc.Customer(nil, &a.Customers[i]))
		}
		for i := range a.Policies {
			add(Policies, enc.Policy(nil, &a.Policies[i]))
		}
		for i := range a.Claims {
			add(Claims, enc.Claim(nil, &a.Claims[i]))
		}
		for i := range a.Contacts {
			add(Contacts, enc.Contact(nil, &a.Contacts[i]))
		}
		if diff := cmp.Diff(a, &got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("round trip:\n%s", diff)
		}
	})
}

func TestDamagedAggregates(t *testing.T) {
	good := encode(example())
	for n := range len(good) {
		if _, err := new(Decoder).Decode([]byte(good[:n])); err == nil {
			t.Fatalf("the first %d of %d bytes are decoded", n, len(good))
		}
	}
	if _, err := new(Decoder).Decode([]byte(good + "\x00")); err == nil {
		t.Error("an aggregate with a byte too many is decoded")
	}
	if _, err := new(Decoder).Decode([]byte("\x03" + good[1:])); err == nil {
		t.Error("an aggregate of an unknown format is decoded")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(encode(example())))
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x01\x01\x05\x06\x02x"))
	f.Add([]byte("\x01\xff\xff\xff\xff\x7f\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := new(Decoder).Decode(b)
		if err != nil {
			return
		}
		again := encode(a)
		if got := encode(decode(again)); got != again {
			t.Error("decoding and encoding does not settle")
		}
	})
}

// example is a customer of the usual size.
func example() *Aggregate {
	a := &Aggregate{}
	for i := range 2 {
		a.Customers = append(a.Customers, Customer{
			ID: "C-000123", BirthYear: 1971, Postcode: "1234 AB", Region: "Utrecht", Segment: Private, HouseholdID: "H-17", Origin: "broker",
			AdvisorID: "A3", Consents: []Consent{{Purpose: "marketing", Channel: "email", Given: i == 0, Source: "web", On: date("2021-05-01")}},
			Version: Version{ValidFrom: date("2020-01-01") + Date(i), RecordedAt: date("2020-01-01") + Date(i)},
		})
	}
	for i := range 10 {
		a.Policies = append(a.Policies, Policy{
			ID: "P-000" + string(rune('1'+i/5)), CustomerID: "C-000123", Branch: []string{"motor", "contents"}[i/5], StartDate: date("2019-03-01"),
			ContractEnd: date("2027-03-01"), NoticeMonths: 1, Product: "All-in", Carrier: "Noorder", Channel: "mandated",
			AnnualPremium: Cents(51234 + i), CommissionRate: RateOf(0.2), SumInsured: 2_500_000, Deductible: 15000, PaymentFrequency: 12, Status: Active,
			Attributes: []Attribute{{"bm", "14"}, {"fuel", "petrol"}, {"km", "15000"}},
			Version:    Version{ValidFrom: date("2020-03-01") + Date(365*(i%5)), RecordedAt: date("2020-02-11") + Date(365*(i%5)), Reason: "indexation"},
		})
	}
	for i := range 2 {
		a.Claims = append(a.Claims, Claim{
			ID: "L-7", PolicyID: "P-0001", CustomerID: "C-000123", LossDate: date("2022-11-11"), ReportedDate: date("2022-11-14"), Cover: "liability",
			AtFault: AtFault, Paid: Cents(90000 * i), Reserve: Cents(120000 * (1 - i)), Status: []Status{ClaimOpen, ClaimClosed}[i],
			Version: Version{ValidFrom: date("2022-11-14") + Date(90*i), RecordedAt: date("2022-11-14") + Date(90*i)},
		})
	}
	for i := range 4 {
		a.Contacts = append(a.Contacts, Contact{CustomerID: "C-000123", At: Instant(1_600_000_000 + 9_999_999*i), Direction: "in", Channel: "phone", Reason: "question", Employee: "E9"})
	}
	return a
}

func BenchmarkEncode(b *testing.B) {
	a := example()
	var (
		enc Encoder
		buf []byte
	)
	b.ReportAllocs()
	for b.Loop() {
		buf = enc.Append(buf[:0], a)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecode(b *testing.B) {
	buf := []byte(encode(example()))
	var dec Decoder
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dec.Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeJSON(b *testing.B) {
	a := example()
	b.ReportAllocs()
	for b.Loop() {
		text, err := json.Marshal(a)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(text)))
	}
}

func BenchmarkDecodeJSON(b *testing.B) {
	text, err := json.Marshal(example())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var a Aggregate
		if err := json.Unmarshal(text, &a); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkView(b *testing.B) {
	a := example()
	var v View
	b.ReportAllocs()
	for b.Loop() {
		v.Reset(a, date("2026-03-31"), DefaultEnds)
	}
}

// A nightly run decodes and views every customer: what is reused must be.
func TestDecodingAndViewingDoNotAllocate(t *testing.T) {
	a := example()
	for i := range a.Claims {
		a.Claims[i].RecordedAt, a.Claims[i].Undated = date("2026-01-01")+Date(i), true
	}
	buf := []byte(encode(a))
	var (
		dec Decoder
		v   View
	)
	n := testing.AllocsPerRun(100, func() {
		a, err := dec.Decode(buf)
		if err != nil {
			t.Fatal(err)
		}
		v.Reset(a, date("2025-03-31"), DefaultEnds)
	})
	if n > 1 {
		t.Errorf("%v allocations a customer, want the one copy of its bytes", n)
	}
}
