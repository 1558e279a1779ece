package main

import (
	"strings"
	"testing"
)

// TestFind: what is looked for is found wherever it stands in a line, and nothing else is.
func TestFind(t *testing.T) {
	p := &personal{words: map[string]string{}, tokens: []string{"polis_dev_secret"}}
	if err := p.table("customers.csv", strings.NewReader("customer_id,birth_year,postcode,region\nC00000007-1,1958,9770 JT,Drenthe\n"), columns["customers.csv"]); err != nil {
		t.Fatal(err)
	}
	for line, found := range map[string]bool{
		`{"level":"info","ms":1958,"status":200,"message":"ok"}`:                   false,
		`{"level":"info","ms":1958.25,"time":"1958-01-01T00:00:00Z"}`:              false,
		`{"message":"{\"ms\":1958.1,\"message\":\"request\"}"}`:                    false,
		`{"invocation":"4b8ce33c-1958-4c19-9c54-92e349dbb4c8"}`:                    false,
		`{"message":"19580 and 01958"}`:                                            false,
		`{"message":"region Drenthe"}`:                                             false,
		`{"message":"born 1958"}`:                                                  true,
		`{"ms":"1958"}`:                                                            true,
		`{"size":1958}`:                                                            true,
		`{"message":"{\"message\":\"birth_year: 1958\"}"}`:                         true,
		`{"message":"{\"new\":{\"deep\":[1958]}}"}`:                                true,
		`{"error":"customer C00000007-1 is damaged"}`:                              true,
		`{"route":"GET /api/v1/customers/C00000007-1"}`:                            true,
		`panic: 9770 JT`:                                                           true,
		`{"message":"postcode=9770JT"}`:                                            true,
		`{"message":"9770"}`:                                                       false,
		`{"message":"Bearer polis_dev_secret"}`:                                    true,
		`{"message":"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln is no good token"}`: true,
	} {
		if got := p.find(line); (got != "") != found {
			t.Errorf("%s: found %q", line, got)
		}
	}
}
