package portfolio_test

import (
	"encoding/json"
	"strings"
	"testing"

	. "polis/handler/internal/portfolio"
)

// TestARateOfZeroIsOne: what is given is kept, and what is not given stays so, in JSON and
// in the store.
func TestARateOfZeroIsOne(t *testing.T) {
	for text, want := range map[string]Rate{
		`{"policy_id":"P"}`:                          {},
		`{"policy_id":"P","commission_rate":null}`:   {},
		`{"policy_id":"P","commission_rate":0}`:      RateOf(0),
		`{"policy_id":"P","commission_rate":-0.0}`:   RateOf(0),
		`{"policy_id":"P","commission_rate":0.125}`:  RateOf(0.125),
		`{"policy_id":"P","commission_rate":1.5e-1}`: RateOf(0.15),
	} {
		var p Policy
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		if p.CommissionRate != want {
			t.Errorf("%s is %+v, want %+v", text, p.CommissionRate, want)
		}
		out, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(out), `"commission_rate":`); got != want.Given {
			t.Errorf("%s comes back as %s", text, out)
		}
		stored := decode(encode(&Aggregate{Customers: []Customer{{ID: "C"}}, Policies: []Policy{p}}))
		if got := stored.Policies[0].CommissionRate; got != want {
			t.Errorf("%s is stored as %+v", text, got)
		}
	}
	var p Policy
	if err := json.Unmarshal([]byte(`{"commission_rate":"a lot"}`), &p); err == nil || !strings.Contains(err.Error(), "commission_rate") || strings.Contains(err.Error(), "a lot") {
		t.Errorf("a text for a rate: %v", err)
	}
	if a, b := (Policy{}), (Policy{CommissionRate: RateOf(0)}); a.Same(&b) {
		t.Error("no rate and a rate of 0 say the same")
	}
}

// TestOlderDocumentsAreRead: in what was stored before a rate of 0 was told from none, a 0
// is none, and all else is as it was.
func TestOlderDocumentsAreRead(t *testing.T) {
	const older = "\x01\x01\x00\x02\x00\x00\x00\x02C\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00ƌ-ƌ-\x00\x00" +
		"\x04P1\x01\x14disabilityƌ-\x00\x00\x00\x00\x00\x00\x00\x00\xc0\x9a\f\x00\x00\x00\x00\factive\x00\x00ƌ-ƌ-\x00\x00" +
		"\x04P2\x01\nmotorƌ-\x00\x00\x00\x00\x00\x00\x00\x00\xa0\x8d\x06\x01\xc3\xf5(\\\x8f\xc2\xc5?\x00\x00\x00\a\x00\x00ƌ-ƌ-\x00\x00"
	a := decode(older)
	if a.Policies[0].CommissionRate.Given || a.Policies[1].CommissionRate != RateOf(0.17) || a.Policies[1].AnnualPremium != 500_00 {
		t.Errorf("%+v", a.Policies)
	}
	if encode(a) != older {
		t.Error("and what says the same has other bytes now")
	}
}
