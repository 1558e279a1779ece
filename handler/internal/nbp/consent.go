package nbp

import (
	"strings"

	"polis/handler/internal/portfolio"
)

// Codes of why a channel may be used for marketing or not.
const (
	consentGiven     = "consent_given"
	consentRefused   = "consent_refused"
	existingCustomer = "existing_customer"
	noConsent        = "no_consent"
	refusedOtherwise = "refused_otherwise"
)

// concerns reports whether a consent says something of offers: one for marketing, and a refusal
// of a purpose that is not known, which fails closed.
func concerns(c *portfolio.Consent) bool {
	p := portfolio.PurposeOf(c.Purpose)
	return p == portfolio.Marketing || p == portfolio.UnknownPurpose && !c.Given
}

// Channel is a way to approach customers.
type Channel struct {
	Name string `json:"name"` // as in consents
	// ExistingCustomers may be approached without consent: own similar products, as long as
	// they have not objected (Telecommunicatiewet art. 11.7, of electronic messages; post is
	// no part of it, and rests on GDPR art. 6(1)(f)). Calls to consumers need consent, of
	// customers too, from 1 July 2026 on.
	ExistingCustomers bool `json:"existing_customers"`
}

// Approach says whether a customer may be approached by a channel, and why.
type Approach struct {
	Channel string
	Allowed bool
	Code    string
	Source  string         // of the consent, as recorded
	On      portfolio.Date // of the consent
}

// approaches says for each channel what the customer's last word on marketing by the
// as-of date was, on that channel or on all; of words of one day a no goes first. Where
// there is no word, existing customers may be approached as the channel has it, unless
// their last word on another channel was no.
func approaches(channels []Channel, v *portfolio.View, customer bool, out []Approach) (_ []Approach, any bool) {
	var said []portfolio.Consent
	if v.Customer != nil {
		said = v.Customer.Consents
	}
	refused := false
	for _, c := range channels {
		a := Approach{Channel: c.Name}
		word := lastWord(said, c.Name, v.AsOf)
		switch {
		case word != nil && word.Given:
			a.Allowed, a.Code = true, consentGiven
		case word != nil:
			a.Code = consentRefused
		case c.ExistingCustomers && customer:
			a.Allowed, a.Code = true, existingCustomer
		default:
			a.Code = noConsent
		}
		if word != nil {
			a.Source, a.On = word.Source, word.On
		}
		out = append(out, a)
	}
	// Also by a channel that the tenant does not use.
	for i := range said {
		if c := &said[i]; concerns(c) && !c.Given && c.On <= v.AsOf && lastWord(said, everywhere(c.Channel), v.AsOf) == c {
			refused = true
		}
	}
	for i := range out {
		if out[i].Code == existingCustomer && refused {
			out[i].Allowed, out[i].Code = false, refusedOtherwise
		}
		any = any || out[i].Allowed
	}
	return out, any
}

// lastWord is the last on marketing by a channel or by all; nil where there is none.
func lastWord(said []portfolio.Consent, channel string, asOf portfolio.Date) (last *portfolio.Consent) {
	for i := range said {
		c := &said[i]
		if !concerns(c) || c.On > asOf || everywhere(c.Channel) != "" && !portfolio.IsCode(c.Channel, channel) {
			continue
		}
		if last == nil || c.On > last.On || c.On == last.On && !c.Given {
			last = c
		}
	}
	return last
}

// allChannels are the codes that stand for all.
var allChannels = []string{"all", "any", "alle", "tous", "*"}

// everywhere is "" for what stands for all channels.
func everywhere(channel string) string {
	channel = strings.TrimSpace(channel)
	if portfolio.AmongCodes(allChannels, channel) {
		return ""
	}
	return channel
}
