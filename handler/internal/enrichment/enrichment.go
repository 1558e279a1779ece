// Package enrichment is what a house brings to its policies from outside its own
// administration: what the insured thing would cost to rebuild or replace, with who says
// so and as of when. It is kept as attributes of the policy, so that it is scored, shown
// and erased with it.
package enrichment

import (
	"strings"

	"polis/handler/internal/portfolio"
)

// Prefix is that of the attributes that hold it (portfolio.RebuildValue, and its source and
// date). A tenant whose administration knows the value may as well write them into the
// policies table itself.
const Prefix = "enrichment:"

// Reason is the mutation_reason of a policy's version that differs from the one before in
// what was brought only.
const Reason = "enrichment"

// Value is what an insured thing would cost to rebuild or replace.
type Value struct {
	Amount portfolio.Cents
	Source string
	On     portfolio.Date
}

// Of is the value in a policy's attributes; false where there is none with an amount, a
// source and a date: what nobody stands for is no ground to talk to a customer.
func Of(p *portfolio.Policy) (v Value, ok bool) {
	for i := range p.Attributes {
		a := &p.Attributes[i]
		if !strings.HasPrefix(a.Key, Prefix) {
			continue
		}
		switch a.Key {
		case portfolio.RebuildValue:
			v.Amount, _ = portfolio.ParseCents(a.Value)
		case portfolio.RebuildSource:
			v.Source = a.Value
		case portfolio.RebuildDate:
			v.On, _ = portfolio.ParseDate(a.Value)
		}
	}
	return v, v.Amount > 0 && v.Source != "" && v.On != 0
}

// Known is the newest value known of a policy on a date, in whichever of its versions: the
// next export of the policy administration does not know of it, and it holds all the same.
func Known(p *portfolio.PolicyView, asOf portfolio.Date) (newest Value, ok bool) {
	for i := len(p.Versions) - 1; i >= 0; i-- {
		v, has := Of(&p.Versions[i])
		if has && v.On <= asOf && (!ok || v.On > newest.On) {
			newest, ok = v, true
		}
	}
	return newest, ok
}

// Put is a policy's attributes with the value in place of any before. It makes a new
// slice: attributes are shared between versions.
func Put(attributes []portfolio.Attribute, v Value) []portfolio.Attribute {
	out := make([]portfolio.Attribute, 0, len(attributes)+3)
	for _, a := range attributes {
		if !strings.HasPrefix(a.Key, Prefix) {
			out = append(out, a)
		}
	}
	return append(out,
		portfolio.Attribute{Key: portfolio.RebuildValue, Value: v.Amount.String()},
		portfolio.Attribute{Key: portfolio.RebuildDate, Value: v.On.String()},
		portfolio.Attribute{Key: portfolio.RebuildSource, Value: v.Source})
}

// SameBut reports whether two lists of attributes, each by key, are the same apart from
// what was brought.
func SameBut(a, b []portfolio.Attribute) bool {
	for {
		for len(a) > 0 && strings.HasPrefix(a[0].Key, Prefix) {
			a = a[1:]
		}
		for len(b) > 0 && strings.HasPrefix(b[0].Key, Prefix) {
			b = b[1:]
		}
		if len(a) == 0 || len(b) == 0 {
			return len(a) == len(b)
		}
		if a[0] != b[0] {
			return false
		}
		a, b = a[1:], b[1:]
	}
}
