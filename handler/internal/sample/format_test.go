package sample

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// known reads the field names of a table from docs/tables.md: the format is written
// there, not here.
func known(t *testing.T, table string) map[string]bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "tables.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "\n## "+table+"\n")
	if !ok {
		t.Fatalf("docs/tables.md has no section %s", table)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	out := map[string]bool{"valid_from": true, "recorded_at": true, "mutation_reason": true}
	for line := range strings.Lines(rest) {
		cell, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		if !ok || !strings.HasPrefix(line, "| ") {
			continue
		}
		for name := range strings.SplitSeq(cell, ",") {
			out[strings.Trim(name, " *")] = true
		}
	}
	return out
}

func TestColumnsAreInTheDocs(t *testing.T) {
	for table, header := range map[string]string{
		"customers": customersHeader, "policies": policiesHeader, "claims": claimsHeader, "contacts": contactsHeader,
	} {
		fields := known(t, table)
		for name := range strings.SplitSeq(strings.TrimSpace(header), ",") {
			if !fields[name] {
				t.Errorf("%s: docs/tables.md does not know %s", table, name)
			}
		}
	}
}

var (
	postcode = regexp.MustCompile(`^[1-9][0-9]{3}( [A-Z]{2})?$`)
	consent  = regexp.MustCompile(`^(marketing:(email|phone):(yes|no):(web|phone):\d{4}-\d\d-\d\d)?$`)
	instant  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:00Z$`)
	amount   = regexp.MustCompile(`^\d+(\.\d\d)?$`)
)

// TestEveryRowKeepsTheRules checks every field of books of all worlds, on as-of dates
// that are hard on calendars.
func TestEveryRowKeepsTheRules(t *testing.T) {
	for _, o := range []Options{{World: A}, {World: B, AsOf: "2024-02-29"}, {World: Null, AsOf: "2025-12-31"}} {
		o.Customers, o.Seed = 1200, 9
		m, s := write(t, o)
		if o.AsOf == "" {
			o.AsOf = DefaultAsOf
		}
		asOf := mustDay(t, o.AsOf)
		c, p, l, k := read(t, m, CustomersFile), read(t, m, PoliciesFile), read(t, m, ClaimsFile), read(t, m, ContactsFile)
		if len(c.rows) != s.CustomerRows || len(p.rows) != s.PolicyRows || len(l.rows) != s.ClaimRows || len(k.rows) != s.Contacts {
			t.Errorf("the summary %+v does not count the rows", s)
		}
		versions(t, c, "customer_id", asOf)
		versions(t, p, "policy_id", asOf)
		versions(t, l, "claim_id", asOf)
		customers := c.latest("customer_id")
		policies := p.latest("policy_id")
		for _, r := range c.rows {
			birth := c.num(r, "birth_year")
			check(t, c, r, "birth_year", c.get(r, "birth_year") == "" || birth >= 1900 && birth <= float64(asOf.year()))
			check(t, c, r, "postcode", postcode.MatchString(c.get(r, "postcode")))
			check(t, c, r, "consents", consent.MatchString(c.get(r, "consents")))
			check(t, c, r, "acquired_on", (c.date(r, "acquired_on") != 0) == (c.get(r, "origin") == "acquisition"))
			check(t, c, r, "household_id", c.get(r, "household_id") == "" || c.get(r, "segment") == "private")
		}
		for _, r := range p.rows {
			start, end := p.date(r, "start_date"), p.date(r, "end_date")
			check(t, p, r, "customer_id", customers[p.get(r, "customer_id")] != nil)
			check(t, p, r, "end_date", (end != 0) == (p.get(r, "status") == "ended") && (end == 0 || end >= start))
			check(t, p, r, "end_reason", (end != 0) == (p.get(r, "end_reason") != ""))
			check(t, p, r, "start_date", start > civilDay(1930, 1, 1))
			check(t, p, r, "contract_end", p.date(r, "contract_end") >= start)
			check(t, p, r, "annual_premium", amount.MatchString(p.get(r, "annual_premium")) && p.num(r, "annual_premium") > 5)
			check(t, p, r, "commission_rate", p.num(r, "commission_rate") > 0 && p.num(r, "commission_rate") < 1)
			check(t, p, r, "payment_frequency", slices.Contains([]float64{1, 2, 4, 12}, p.num(r, "payment_frequency")))
			for pair := range strings.SplitSeq(p.get(r, "attributes"), "|") {
				check(t, p, r, "attributes", pair == "" || strings.Count(pair, "=") == 1)
			}
		}
		for _, r := range l.rows {
			loss, reported, settled := l.date(r, "loss_date"), l.date(r, "reported_date"), l.date(r, "settled_date")
			of := policies[l.get(r, "policy_id")]
			if of == nil {
				t.Fatal("a claim on a policy that is not there")
			}
			end := p.date(of, "end_date")
			check(t, l, r, "customer_id", l.get(r, "customer_id") == p.get(of, "customer_id"))
			check(t, l, r, "loss_date", loss <= asOf && loss >= p.date(of, "start_date") && (end == 0 || loss < end))
			check(t, l, r, "reported_date", reported >= loss && reported <= l.date(r, "recorded_at"))
			check(t, l, r, "settled_date", (settled == 0) == (l.get(r, "status") == "open") && (settled == 0 || settled >= reported && settled <= asOf))
			for _, field := range []string{"paid", "reserve", "recovered"} {
				check(t, l, r, field, amount.MatchString(l.get(r, field)))
			}
			check(t, l, r, "at_fault", slices.Contains([]string{"", "yes", "no"}, l.get(r, "at_fault")))
		}
		for _, r := range k.rows {
			at, resolved := k.get(r, "contacted_at"), k.get(r, "resolved_at")
			check(t, k, r, "customer_id", customers[r[0]] != nil)
			check(t, k, r, "contacted_at", instant.MatchString(at) && mustDay(t, at[:10]) <= asOf)
			check(t, k, r, "resolved_at", resolved == "" || instant.MatchString(resolved) && resolved >= at && mustDay(t, resolved[:10]) <= asOf)
			check(t, k, r, "sentiment", abs(k.num(r, "sentiment")) <= 1)
			check(t, k, r, "direction", k.get(r, "direction") == "in" || k.get(r, "direction") == "out")
		}
	}
}

func check(t *testing.T, of *table, row []string, field string, ok bool) {
	t.Helper()
	if !ok {
		t.Fatalf("%s: %s breaks its rule: %s", of.name, field, strings.Join(row, ","))
	}
}

// versions checks that an id's versions are recorded one after the other, by the as-of
// date, and none twice.
func versions(t *testing.T, of *table, id string, asOf day) {
	t.Helper()
	seen := map[string]bool{}
	last := map[string]day{}
	for _, r := range of.rows {
		key, recorded := of.get(r, id), of.date(r, "recorded_at")
		check(t, of, r, "recorded_at", recorded <= asOf && recorded >= last[key])
		last[key] = recorded
		version := key + of.get(r, "recorded_at") + of.get(r, "valid_from")
		check(t, of, r, "valid_from", !seen[version] && of.date(r, "valid_from") != 0)
		seen[version] = true
	}
}

// TestEndedStaysEnded: the newest version by validity of a policy that has ended says so
// on every later date, though an offer may have been announced before.
func TestEndedStaysEnded(t *testing.T) {
	m, _ := write(t, Options{Customers: 3000, Seed: 4})
	p := read(t, m, PoliciesFile)
	ended, offered := map[string]day{}, map[string]day{}
	for _, r := range p.rows {
		id := p.get(r, "policy_id")
		if end := p.date(r, "end_date"); end != 0 {
			ended[id] = max(ended[id], p.date(r, "valid_from"))
		} else {
			offered[id] = max(offered[id], p.date(r, "valid_from"))
		}
	}
	for id, from := range ended {
		if offered[id] > from {
			t.Errorf("policy %s is in force again by an offer that was withdrawn", id)
		}
	}
}

func TestDates(t *testing.T) {
	for _, s := range []string{"1970-01-01", "2024-02-29", "1999-12-31", "2100-03-01"} {
		d := mustDay(t, s)
		if got := string(d.append(nil)); got != s {
			t.Errorf("%s comes back as %s", s, got)
		}
	}
	for d := civilDay(1900, 1, 1); d < civilDay(2101, 1, 1); d++ {
		if y, m, dd := d.ymd(); civilDay(y, m, dd) != d {
			t.Fatalf("day %d does not come back", d)
		}
	}
	if got := string(mustDay(t, "2024-01-31").addMonths(1).append(nil)); got != "2024-02-29" {
		t.Errorf("a month after 31 January 2024 is %s", got)
	}
	for _, s := range []string{"", "2026-2-1", "2026-02-30", "2026-13-01", "1899-01-01", "2026-01-01x", "abcd-ef-gh", "2026+01+01"} {
		if _, err := parseDay(s); err == nil {
			t.Errorf("%q is taken for a date", s)
		}
	}
}

func FuzzParseDay(f *testing.F) {
	for _, s := range []string{"2026-03-31", "2026-02-30", "", "0000-00-00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := parseDay(s); err == nil && string(d.append(nil)) != s {
			t.Errorf("%q is read as %s", s, d.append(nil))
		}
	})
}
