package enrichment

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

// Table is values by policy, and by postcode and branch.
type Table struct {
	policies  map[string]Value
	postcodes map[place]Value
}

type place struct{ postcode, branch string }

// columns are those that a table can have, in any order.
var columns = []string{"policy_id", "postcode", "branch", "value", "source", "date"}

// Read reads a CSV with a heading; comma or semicolon, as the heading has. The columns
// value, source and date must be there, and policy_id or both postcode and branch. A line
// gives the value of a policy, or of all policies of a branch of customers in a postcode;
// of two lines for the same the one with the later date counts. Dates may not lie after
// asOf. What cannot be read is fault.Malformed, what breaks a rule fault.Invalid; both name
// file, line and column, and never a value.
func Read(name string, r io.Reader, asOf portfolio.Date) (*Table, error) {
	in := bufio.NewReader(r)
	if head, err := in.Peek(3); err == nil && bytes.Equal(head, []byte("\ufeff")) { // spreadsheets put it there
		_, _ = in.Discard(3) // it was peeked at
	}
	d := &decoder{name: name, asOf: asOf, table: &Table{map[string]Value{}, map[place]Value{}}}
	line, err := in.Peek(in.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.Wrap(fault.Malformed, err, "reading %s", name)
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	rows := csv.NewReader(in)
	rows.ReuseRecord = true
	if bytes.Count(line, []byte(";")) > bytes.Count(line, []byte(",")) {
		rows.Comma = ';'
	}
	head, err := rows.Read()
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "%s: reading the heading", name)
	}
	if err := d.heading(head); err != nil {
		return nil, err
	}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return d.table, nil
		}
		if err != nil {
			return nil, fault.Wrap(fault.Malformed, err, "reading %s", name)
		}
		d.line, _ = rows.FieldPos(0)
		if err := d.row(row); err != nil {
			return nil, err
		}
	}
}

type decoder struct {
	name  string
	asOf  portfolio.Date
	line  int
	at    [6]int // of columns; −1: not there
	table *Table
}

func (d *decoder) heading(head []string) error {
	for i := range d.at {
		d.at[i] = -1
	}
	for i, h := range head {
		c := slices.Index(columns, strings.ToLower(strings.TrimSpace(h)))
		switch {
		case c < 0:
			return fault.New(fault.Malformed, "%s line 1: column %d is none of %s", d.name, i+1, strings.Join(columns, ", "))
		case d.at[c] >= 0:
			return fault.New(fault.Malformed, "%s line 1: column %s is there twice", d.name, columns[c])
		}
		d.at[c] = i
	}
	for c := 3; c < 6; c++ {
		if d.at[c] < 0 {
			return fault.New(fault.Malformed, "%s line 1: column %s is missing", d.name, columns[c])
		}
	}
	if d.at[0] < 0 && (d.at[1] < 0 || d.at[2] < 0) {
		return fault.New(fault.Malformed, "%s line 1: column policy_id is missing, and so is postcode or branch", d.name)
	}
	return nil
}

// wrong is an error about a column of the line.
func (d *decoder) wrong(column, rule string) error {
	return fault.New(fault.Invalid, "%s line %d: %s %s", d.name, d.line, column, rule)
}

func (d *decoder) row(row []string) error {
	var f [6]string
	for c, i := range d.at {
		if i >= 0 {
			f[c] = strings.TrimSpace(row[i])
			if !utf8.ValidString(f[c]) {
				return d.wrong(columns[c], "is not UTF-8")
			}
		}
	}
	id, postcode, branch := f[0], Postcode(f[1]), strings.ToLower(f[2])
	v := Value{Source: strings.Clone(f[4])}
	var ok bool
	if v.Amount, ok = portfolio.ParseCents(f[3]); !ok || v.Amount <= 0 {
		return d.wrong("value", "is not an amount above 0 such as 412000 or 412000.50")
	}
	if v.Source == "" || len(v.Source) > 200 || strings.IndexFunc(v.Source, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0 {
		return d.wrong("source", "is not a text of 1 to 200 characters")
	}
	switch v.On, ok = portfolio.ParseDate(f[5]); {
	case !ok:
		return d.wrong("date", "is not an ISO 8601 date such as 2026-03-31")
	case v.On > d.asOf:
		return d.wrong("date", "is after the as-of date")
	}
	switch {
	case id != "" && postcode != "":
		return d.wrong("postcode", "stands beside a policy_id")
	case id != "" && !portfolio.ValidID(id):
		return d.wrong("policy_id", "is no id")
	case id != "":
		keep(d.table.policies, strings.Clone(id), v)
	case postcode == "":
		return d.wrong("policy_id", "is required, or a postcode")
	case portfolio.BranchIndex(branch) < 0:
		return d.wrong("branch", "is no branch, which a postcode needs")
	default:
		keep(d.table.postcodes, place{strings.Clone(postcode), strings.Clone(branch)}, v)
	}
	return nil
}

// keep keeps the newer of two values.
func keep[K comparable](m map[K]Value, key K, v Value) {
	if before, ok := m[key]; !ok || v.On >= before.On {
		m[key] = v
	}
}

// Postcode is a postcode in the form in which tables are looked up: without spaces, in
// upper case.
func Postcode(s string) string { return strings.ToUpper(strings.ReplaceAll(s, " ", "")) }

// Len is how many values the table has.
func (t *Table) Len() int { return len(t.policies) + len(t.postcodes) }

// Of is the value of a policy of a customer in a postcode; its own goes before that of the
// postcode.
func (t *Table) Of(policy, branch, postcode string) (Value, bool) {
	if v, ok := t.policies[policy]; ok {
		return v, true
	}
	if len(t.postcodes) == 0 || postcode == "" {
		return Value{}, false
	}
	v, ok := t.postcodes[place{Postcode(postcode), branch}]
	return v, ok
}

// Carry gives the rows of an import that say nothing of when they were recorded what is
// known of their policies from before: an export that knows nothing of it would take it
// away. Both are sorted as an aggregate is.
func Carry(rows, stored []portfolio.Policy) {
	for i := range rows {
		p := &rows[i]
		if _, has := Of(p); has || !p.Undated {
			continue
		}
		if v, ok := newest(stored, p.ID); ok {
			p.Attributes = Put(p.Attributes, v)
		}
	}
}

// newest is the newest value of a policy in any of its versions.
func newest(rows []portfolio.Policy, id string) (v Value, ok bool) {
	i, _ := slices.BinarySearchFunc(rows, id, func(p portfolio.Policy, id string) int { return strings.Compare(p.ID, id) })
	for ; i < len(rows) && rows[i].ID == id; i++ {
		if w, has := Of(&rows[i]); has && (!ok || w.On >= v.On) {
			v, ok = w, true
		}
	}
	return v, ok
}

// Add adds what the table says of a customer's policies in force on the date, each as a
// version of its own that is recorded then. A policy of which the same is known gets none,
// so the same table twice changes nothing.
func (t *Table) Add(a *portfolio.Aggregate, asOf portfolio.Date) {
	c := a.Latest()
	if c == nil {
		return
	}
	n := len(a.Policies)
	for from := 0; from < n; {
		to := from + 1
		for to < n && a.Policies[to].ID == a.Policies[from].ID {
			to++
		}
		p := &a.Policies[to-1]
		// The one that holds now, and not a renewal that was entered ahead.
		for i := to - 1; i >= from && p.ValidFrom > asOf; i-- {
			p = &a.Policies[i]
		}
		v, ok := t.Of(p.ID, p.Branch, c.Postcode)
		known, has := newest(a.Policies[from:to], p.ID)
		if ok && (!has || known != v && known.On <= v.On) && (p.EndDate == 0 || p.EndDate > asOf) {
			q := *p
			q.Attributes = Put(p.Attributes, v)
			q.Version = portfolio.Version{ValidFrom: p.ValidFrom, RecordedAt: max(asOf, p.RecordedAt), Undated: true, Reason: Reason}
			a.Policies = append(a.Policies, q)
		}
		from = to
	}
	if len(a.Policies) > n {
		a.Sort()
	}
}
