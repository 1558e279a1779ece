package portfolio_test

import (
	"testing"

	. "polis/handler/internal/portfolio"
)

func objector() *Aggregate {
	a := &Aggregate{Customers: []Customer{
		{ID: "c", BirthYear: 1970, Version: Version{RecordedAt: 100, ValidFrom: 100}},
		{ID: "c", BirthYear: 1970, Postcode: "1234AB", Version: Version{RecordedAt: 200, ValidFrom: 300}}, // moves house later
	}}
	a.Sort()
	return a
}

func objectsOn(a *Aggregate, on Date) bool {
	var v View
	v.Reset(a, on, DefaultEnds)
	return v.Customer != nil && v.Customer.Objects
}

func TestObjections(t *testing.T) {
	a := objector()
	if _, ok := a.Objection(); ok {
		t.Error("somebody who said nothing said something")
	}
	if !a.SetObjection(Objection{Objects: true, Since: 240, Source: "letter"}, 250) || a.SetObjection(Objection{Objects: true, Since: 260, Source: "phone"}, 260) {
		t.Error("an objection counts once")
	}
	if o, ok := a.Objection(); !ok || !o.Objects || o.Source != "letter" {
		t.Errorf("%+v", o)
	}
	for on, want := range map[Date]bool{249: false, 250: true, 299: true, 300: true, 1000: true} {
		if objectsOn(a, on) != want {
			t.Errorf("on %d: objects %v", on, !want)
		}
	}
	var v View
	if v.Reset(a, 400, DefaultEnds); v.Customer.Postcode != "1234AB" {
		t.Error("an objection undoes a change of address")
	}

	// Tonight's export knows nothing of it.
	in := &Aggregate{Customers: []Customer{{ID: "c", BirthYear: 1970, Postcode: "9999ZZ"}}}
	in.Normalise(500)
	for range 2 {
		a.Merge(in, func(Table, int) { t.Error("a conflict") })
	}
	if v.Reset(a, 500, DefaultEnds); !v.Customer.Objects || v.Customer.Postcode != "9999ZZ" {
		t.Errorf("after an import: %+v", v.Customer)
	}

	if !a.SetObjection(Objection{Source: "portal", Since: 510}, 510) || objectsOn(a, 510) || !objectsOn(a, 509) {
		t.Error("a withdrawal does not hold, or holds too soon")
	}
	if !a.SetObjection(Objection{Objects: true, Source: "portal", Since: 510}, 510) || !objectsOn(a, 510) {
		t.Error("an objection on the day of its withdrawal does not hold")
	}
	var enc Encoder
	b, err := new(Decoder).Decode(enc.Append(nil, a))
	if err != nil || !objectsOn(b, 510) {
		t.Errorf("it is not stored: %v", err)
	}
}

func TestAReplacedCustomerStillObjects(t *testing.T) {
	before := objector()
	before.SetObjection(Objection{Objects: true, Since: 240, Source: "letter"}, 250)
	a := objector()
	if a.KeepObjections(before); !objectsOn(a, 250) || len(a.Customers) != 2 {
		t.Error("an objection is lost, or rows are added")
	}
	plain := objector()
	if plain.SetObjection(Objection{Source: "phone"}, 250) {
		t.Error("what was never said is withdrawn")
	}
}

// TestRowsDoNotSpeakForTheCustomer: whatever callers write, in whatever words, what the
// customer told us stands.
func TestRowsDoNotSpeakForTheCustomer(t *testing.T) {
	for _, reason := range []string{"", "objection withdrawn: x", "objection to profiling: email", "objection to profiling: "} {
		for _, v := range []Version{{RecordedAt: 250, ValidFrom: 240}, {RecordedAt: 250, ValidFrom: 250}, {RecordedAt: 251, ValidFrom: 270}, {RecordedAt: 400, ValidFrom: 100, Undated: true}} {
			v.Reason = reason
			told := objector()
			told.SetObjection(Objection{Objects: true, Since: 240, Source: "letter"}, 250)
			row := Customer{ID: "c", BirthYear: 1970, Version: v}

			replaced := &Aggregate{Customers: []Customer{row}}
			replaced.Normalise(400)
			replaced.KeepObjections(told)
			imported := decode(encode(told))
			in := &Aggregate{Customers: []Customer{row}}
			in.Normalise(400)
			imported.Merge(in, func(Table, int) {})
			plain := &Aggregate{Customers: []Customer{row}}
			plain.Normalise(400)
			for name, a := range map[string]*Aggregate{"replaced": replaced, "imported": imported} {
				a = decode(encode(a))
				if o, ok := a.Objection(); !objectsOn(a, 500) || !ok || o != (Objection{true, 240, 250, "letter"}) {
					t.Errorf("%s, %+v: objects %v, %+v", name, v, objectsOn(a, 500), o)
				}
			}
			if o, ok := decode(encode(plain)).Objection(); ok {
				t.Errorf("%+v: a row makes %+v", v, o)
			}
		}
	}
}

// TestARowObjectsAgain: an administration that comes to say so after a withdrawal counts.
func TestARowObjectsAgain(t *testing.T) {
	a := objector()
	a.Customers[0].Objects = true
	if !objectsOn(a, 250) || !a.SetObjection(Objection{Source: "phone", Since: 250}, 250) || objectsOn(a, 250) {
		t.Error("what the row says is not withdrawn")
	}
	a.Customers = append(a.Customers, Customer{ID: "c", Objects: true, Version: Version{RecordedAt: 400, ValidFrom: 400}})
	a.Sort()
	if objectsOn(a, 399) || !objectsOn(a, 400) {
		t.Error("a later row that objects does not count, or too soon")
	}
}

// TestObjectionsOfBefore: what was stored while objections were rows is read as it was meant,
// and stays so once it is written anew.
func TestObjectionsOfBefore(t *testing.T) {
	old := objector()
	row := old.Customers[0]
	row.Objects, row.Version = true, Version{RecordedAt: 250, ValidFrom: 240, Reason: "objection to profiling: letter"}
	old.Customers = append(old.Customers, row)
	old.Sort()
	body := []byte(encode(old))
	if body[0] != 2 || body[len(body)-1] != 0 {
		t.Fatal("rows that seem to tell of an objection are not marked as telling of none")
	}
	body = body[:len(body)-1]
	body[0] = 1 // as it was written then
	a := decode(string(body))
	if o, ok := a.Objection(); !ok || o != (Objection{true, 240, 250, "letter"}) {
		t.Fatalf("%+v", o)
	}
	in := &Aggregate{Customers: []Customer{{ID: "c", BirthYear: 1970, Version: Version{Reason: "objection withdrawn: x"}}}}
	in.Normalise(300)
	a.Merge(in, func(Table, int) {})
	if b := decode(encode(a)); !objectsOn(b, 500) {
		t.Error("it is undone")
	}
}
