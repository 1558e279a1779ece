package sample

import (
	"strings"
	"testing"
)

// TestBookHasWhatBooksHave counts the troubles that a real administration has, in world
// A: each must be there, and none may fill the book.
func TestBookHasWhatBooksHave(t *testing.T) {
	m, s := write(t, Options{Customers: 6000, Seed: 2, Truth: true})
	c, p, l, k := read(t, m, CustomersFile), read(t, m, PoliciesFile), read(t, m, ClaimsFile), read(t, m, ContactsFile)
	truth := read(t, m, TruthCustomersFile)
	n := map[string]int{}
	seen := func(what string, ok bool) {
		if ok {
			n[what]++
		}
	}
	households := map[string]int{}
	for _, r := range c.latest("customer_id") {
		seen("default birth year", c.get(r, "birth_year") == "1900")
		seen("no birth year of a person", c.get(r, "birth_year") == "" && c.get(r, "segment") == "private")
		seen("postcode without letters", len(c.get(r, "postcode")) == 4)
		seen("acquired", c.get(r, "origin") == "acquisition")
		seen("business", c.get(r, "segment") == "business")
		seen("company group", c.get(r, "company_group_id") != "")
		seen("objects to profiling", c.get(r, "objects_to_profiling") == "yes")
		households[c.get(r, "household_id")]++
	}
	for id, members := range households {
		seen("household of several", id != "" && members > 1)
	}
	for _, r := range c.rows {
		seen("moved", c.get(r, "mutation_reason") == "moved")
		seen("left the household", c.get(r, "mutation_reason") == "household")
		seen("heard late", c.date(r, "recorded_at")-c.date(r, "valid_from") > 45)
	}
	ends := map[string]int{}
	for _, r := range p.latest("policy_id") {
		end := p.date(r, "end_date")
		seen("carrier left", p.get(r, "end_reason") == "carrier_left")
		seen("renumbered", p.get(r, "end_reason") == "renumbered")
		seen("died", p.get(r, "end_reason") == "death")
		seen("miscoded", p.get(r, "end_reason") == "other")
		seen("end entered late", end != 0 && p.date(r, "recorded_at")-end > 15)
		if end != 0 && p.get(r, "end_reason") != "renumbered" {
			ends[p.get(r, "customer_id")+p.get(r, "end_date")]++
		}
	}
	for _, policies := range ends {
		seen("several ends on a day", policies > 1)
	}
	for _, r := range p.rows {
		seen("replacement", p.get(r, "mutation_reason") == "replacement")
		seen("offer withdrawn", p.get(r, "mutation_reason") == "withdrawn")
		seen("offer for later", p.date(r, "valid_from") > mustDay(t, DefaultAsOf))
		seen("kilometres not said", p.get(r, "branch") == "motor" && !strings.Contains(p.get(r, "attributes"), "kilometers"))
	}
	storms := map[string]int{}
	for _, r := range l.latest("claim_id") {
		seen("reported after 60 days", l.date(r, "reported_date")-l.date(r, "loss_date") > 60)
		seen("recovered", l.num(r, "recovered") > 0)
		seen("rejected", l.get(r, "status") == "rejected")
		seen("large", l.num(r, "paid")+l.num(r, "reserve") > 20000)
		if l.get(r, "cover") == "storm" {
			storms[l.get(r, "loss_date")]++
		}
	}
	for _, claims := range storms {
		seen("storm day with several claims", claims > 2)
	}
	for _, r := range k.rows {
		seen("complaint", k.get(r, "reason") == "complaint")
		seen("complaint not resolved", k.get(r, "reason") == "complaint" && k.get(r, "resolved_at") == "")
	}
	for _, r := range truth.rows {
		seen("twice under two ids", truth.get(r, "same_person_as") != "")
	}
	for _, want := range []struct {
		what     string
		min, max int // of 6000 customers
	}{
		{"default birth year", 40, 400},
		{"no birth year of a person", 60, 500},
		{"postcode without letters", 300, 1500},
		{"acquired", 250, 900},
		{"business", 300, 1200},
		{"company group", 50, 500},
		{"objects to profiling", 20, 200},
		{"household of several", 800, 2500},
		{"moved", 600, 3000},
		{"left the household", 20, 300},
		{"heard late", 60, 700},
		{"carrier left", 200, 1500},
		{"renumbered", 400, 3000},
		{"died", 60, 900},
		{"miscoded", 60, 500},
		{"end entered late", 200, 1500},
		{"several ends on a day", 300, 2000},
		{"replacement", 300, 4000},
		{"offer withdrawn", 20, 2000},
		{"offer for later", 100, 2000},
		{"kilometres not said", 300, 5000},
		{"reported after 60 days", 40, 400},
		{"recovered", 60, 700},
		{"rejected", 60, 400},
		{"large", 5, 300},
		{"storm day with several claims", 1, 60},
		{"complaint", 200, 4000},
		{"complaint not resolved", 60, 1500},
		{"twice under two ids", 15, 200},
	} {
		if got := n[want.what]; got < want.min || got > want.max {
			t.Errorf("%s: %d times, want %d to %d", want.what, got, want.min, want.max)
		}
	}
	t.Logf("%v in %+v", n, s)
}

// TestHiddenFrailtyLasts: who claimed in the first half claims more in the second, by
// more than branches and exposure would make.
func TestHiddenFrailtyLasts(t *testing.T) {
	again := func(w World) float64 {
		m, _ := write(t, Options{Customers: 6000, Seed: 6, World: w})
		p, l := read(t, m, PoliciesFile), read(t, m, ClaimsFile)
		middle := newWorld(0, mustDay(t, DefaultAsOf), formA{}).edges[history/2]
		var motors []string
		for id, r := range p.latest("policy_id") {
			if p.get(r, "branch") == "motor" && p.get(r, "end_date") == "" && p.date(r, "start_date") < middle-700 {
				motors = append(motors, id)
			}
		}
		before, after := map[string]int{}, map[string]int{}
		for _, r := range l.latest("claim_id") {
			if l.date(r, "loss_date") < middle {
				before[l.get(r, "policy_id")]++
			} else {
				after[l.get(r, "policy_id")]++
			}
		}
		var with, without difference
		for _, id := range motors {
			if before[id] > 0 {
				with.add(true, float64(after[id]), 1)
			} else {
				without.add(true, float64(after[id]), 1)
			}
		}
		return (with.events[1] / with.exposure[1]) / (without.events[1] / without.exposure[1])
	}
	if r := again(A); r < 1.2 {
		t.Errorf("world A: who claimed before claims %.2f times as often", r)
	}
	if r := again(Null); r > 1.35 || r < 0.65 {
		t.Errorf("null world: who claimed before claims %.2f times as often", r)
	}
}
