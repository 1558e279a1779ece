package feature

import (
	"slices"
	"strings"
	"unicode"

	"polis/handler/internal/enrichment"
	"polis/handler/internal/portfolio"
)

// What may never be a feature: gender (Directive 2004/113/EC, art. 5, and CJEU C-236/09),
// health, injury and the other special categories (GDPR art. 9), who somebody is, the
// staff who serve a customer, and free text, which may say any of these. A tenant's
// attribute is left out where its key is one of neverKeys, has one of neverWords for a
// word, or one of neverParts anywhere in it: Dutch writes words together. Too much is left
// out rather than too little; ras stays, the breed of a pet.
var (
	neverKeys = []string{
		"m/v", "v/m", "m/f", "f/m", "mv", "m_v", "dob", "gebdat", "vrije_tekst", "free_text", "account_manager", "relatiebeheerder",
	}
	neverWords = []string{
		// gender
		"sex", "man", "woman", "male", "female", "vrouw", "mr", "mrs", "ms", "dhr", "mevr", "mw", "aanhef", "salutation", "pronoun", "pronouns",
		// health and injury
		"ill", "ziek", "sick", "disease", "smoker", "smoking", "smokes", "roker", "rookt", "bmi", "wia", "wao", "drug", "drugs", "alcohol", "doctor", "arts", "patient", "cancer", "kanker",
		// other special categories
		"race", "ethnicity", "union", "vakbond", "dna", "faith", "geloof", "politics", "politiek",
		// who somebody is
		"name", "names", "bsn", "ssn", "iban", "email", "mail", "phone", "telefoon", "address", "adres", "passport", "paspoort", "kenteken", "vin",
		// staff
		"advisor", "adviser", "adviseur", "agent", "employee", "medewerker", "staff", "handler", "behandelaar", "underwriter", "acceptant", "beheerder", "manager", "user", "gebruiker",
		// free text
		"note", "notes", "remark", "remarks", "comment", "comments", "description", "memo", "text", "tekst", "notitie", "notities",
	}
	neverParts = []string{
		"gender", "geslacht", "seksu", "sexual",
		"health", "gezond", "medical", "medisch", "injur", "letsel", "disab", "arbeidsongeschikt", "handicap", "invalid", "illness", "sickness", "ziekte", "verzuim", "diagnos", "pregnan", "zwanger", "medicijn", "medicat", "psych", "genetic", "genetisch", "biometr",
		"ethni", "etnic", "religi", "godsdienst", "nationalit", "huidskleur", "afkomst", "politic", "criminal", "strafrecht",
		"naam", "surname", "firstname", "lastname", "fullname", "username", "burgerservice", "geboortedatum", "birthdate", "birth_date",
		"adviseur", "medewerker", "contactpersoon",
		"opmerking", "omschrijving", "toelichting", "commentaar",
	}
)

// Forbidden reports whether an attribute's key says that it may not be a feature, or that it
// was brought in later and not known when its policy was.
func Forbidden(key string) bool {
	k := strings.ToLower(strings.TrimSpace(key))
	if slices.Contains(neverKeys, k) || strings.HasPrefix(k, enrichment.Prefix) {
		return true
	}
	for _, part := range neverParts {
		if strings.Contains(k, part) {
			return true
		}
	}
	for _, word := range words(key) {
		if slices.Contains(neverWords, word) {
			return true
		}
	}
	return false
}

// words parts a key into its words, in lower case: driverName, driver_name and
// driver-name are two each.
func words(key string) []string {
	var b strings.Builder
	lower := false
	for _, r := range key {
		if lower && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(r)
		if !unicode.IsLetter(r) {
			r = ' '
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Fields(b.String())
}

// delicateCovers are covers whose claims are about health or injury.
var delicateCovers = fold("injury", "bodily_injury", "letsel", "letselschade", "medical", "health", "sickness", "ziekte", "verzuim", "income", "disability")

// Delicate reports whether a claim tells of somebody's health or injury: no feature counts
// it. Of which policy it is may not be known yet.
func Delicate(p *portfolio.PolicyView, c *portfolio.ClaimView) bool {
	if p != nil {
		if b, _ := portfolio.BranchOf(p.Branch); b.LifeOrHealth || b.Name == "accident" {
			return true
		}
	}
	_, listed := delicateCovers.of(c.Cover)
	return listed
}
