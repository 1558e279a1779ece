package portfolio

import "testing"

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
	a.KeepObjection(before)
	if !objectsOn(a, 250) {
		t.Error("an objection is lost")
	}
	n := len(a.Customers)
	if a.KeepObjection(before); len(a.Customers) != n {
		t.Error("it is kept twice")
	}
	plain := objector()
	if plain.SetObjection(Objection{Source: "phone"}, 250) {
		t.Error("what was never said is withdrawn")
	}
	plain.KeepObjection(objector())
	if len(plain.Customers) != 2 {
		t.Error("something is kept of nothing")
	}
}
