package portfolio

import (
	"encoding/json"
	"strconv"

	"polis/handler/internal/fault"
)

// Given is which of an aggregate's required fields are there in JSON, of those whose empty
// value is a value too: a premium of 0, a consent that is refused, an attribute without a
// value. Decoded rows do not tell them from a field that is null or left out; of all other
// required fields the empty value breaks a rule.
type Given struct {
	Customers []struct {
		Consents []struct {
			Given given `json:"given"`
		} `json:"consents"`
	} `json:"customers"`
	Policies []struct {
		AnnualPremium given `json:"annual_premium"`
		Attributes    []struct {
			Value given `json:"value"`
		} `json:"attributes"`
	} `json:"policies"`
}

// given is whether a field has a value.
type given bool

// UnmarshalJSON takes any value; null is none.
func (g *given) UnmarshalJSON(b []byte) error {
	*g = string(b) != "null"
	return nil
}

// Note has Check report what is not given. The aggregate is of the same JSON.
func (a *Aggregate) Note(g *Given) {
	a.Absent = nil
	need := func(there given, list string, row int, within string, i int, field string) {
		if there {
			return
		}
		at := "/" + list + "/" + strconv.Itoa(row) + "/"
		if within != "" {
			at += within + "/" + strconv.Itoa(i) + "/"
		}
		a.Absent = append(a.Absent, fault.Field{Pointer: at + field, Detail: "is required"})
	}
	for row, c := range g.Customers {
		for i, s := range c.Consents {
			need(s.Given, "customers", row, "consents", i, "given")
		}
	}
	for row, p := range g.Policies {
		need(p.AnnualPremium, "policies", row, "", 0, "annual_premium")
		for i, s := range p.Attributes {
			need(s.Value, "policies", row, "attributes", i, "value")
		}
	}
}

// Unsure reports whether a field has an empty value that may stand for one that was not given.
func (a *Aggregate) Unsure() bool {
	for i := range a.Customers {
		for _, c := range a.Customers[i].Consents {
			if !c.Given {
				return true
			}
		}
	}
	for i := range a.Policies {
		if a.Policies[i].AnnualPremium == 0 {
			return true
		}
		for _, v := range a.Policies[i].Attributes {
			if v.Value == "" {
				return true
			}
		}
	}
	return false
}

// NoteGiven looks in the JSON that the aggregate was decoded from for what is not given. Most
// have no empty value, and are not read a second time.
func (a *Aggregate) NoteGiven(body []byte) error {
	if !a.Unsure() {
		return nil
	}
	var g Given
	if err := json.Unmarshal(body, &g); err != nil {
		return fault.Wrap(fault.Malformed, err, "looking for required fields")
	}
	a.Note(&g)
	return nil
}
