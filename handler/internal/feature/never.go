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
// staff who serve a customer, and free text, which may say any of these. This is the second
// line: an attribute is a feature only where it is a known rating factor or a tenant names it
// (see ratingFactors), and what is here even then is none. A key is left out where it is one of
// neverKeys, has one of neverWords for a word, a word that begins with one of neverStarts, or
// one of neverParts anywhere in it: Dutch writes words together. Separators and case do not
// count. Too much is left out rather than too little; ras stays, the breed of a pet.
var (
	neverKeys = []string{
		"mv", "vm", "mvx", "mf", "fm", "mfx", "dob", "gebdat", "vrijetekst", "freetext", "freefield",
	}
	neverWords = []string{
		// gender
		"sex", "man", "men", "woman", "women", "male", "female", "mr", "mrs", "ms", "dhr", "mevr", "mw", "heer", "heren", "aanhef", "salutation", "pronoun", "pronouns",
		// health and injury
		"ill", "sick", "disease", "smokes", "rookt", "bmi", "wia", "wao", "aids", "drug", "drugs", "alcohol", "doctor", "dokter", "arts", "patient", "cancer", "kanker", "hospital", "death", "overleden",
		// other special categories
		"race", "union", "vakbond", "dna", "faith", "geloof", "politics", "politiek",
		// who somebody is
		"name", "names", "initials", "bsn", "ssn", "iban", "email", "mail", "phone", "telefoon", "address", "adres", "street", "straat", "passport", "paspoort", "kenteken", "vin",
		// staff
		"advisor", "adviser", "agent", "broker", "employee", "staff", "handler", "underwriter", "acceptant", "inspector", "consultant", "user", "gebruiker",
		// free text
		"note", "notes", "comment", "comments", "description", "memo", "text", "tekst", "toel", "details",
	}
	neverStarts = []string{
		"seks", "dame", // gender
		"ziek", "roker", "hiv", "operatie", "hartk", "hartaand", // health and injury
		"sofi",                           // who somebody is
		"info", "notit", "remark", "opm", // free text
	}
	neverParts = []string{
		"gender", "geslacht", "sekse", "seksu", "sexual", "vrouw", "mannelijk",
		"health", "gezond", "medic", "medisch", "injur", "letsel", "disab", "arbeidsongeschikt", "handicap", "invalid", "illness", "sickness", "ziekte", "ziekmeld", "ziekenhuis", "verzuim", "diagnos", "pregnan", "zwanger", "psych", "genetic", "genetisch", "biometr",
		"aandoening", "depressi", "nonsmok", "smoker", "smoking", "nietroker", "huisarts", "surgery", "allerg", "diabet", "rolstoel", "wheelchair", "smartengeld",
		"ethni", "etnic", "religi", "godsdienst", "nationalit", "huidskleur", "afkomst", "politic", "criminal", "strafrecht",
		"naam", "surname", "firstname", "lastname", "fullname", "username", "voorletter", "tussenvoegsel", "burgerservice", "geboortedat", "gebdat", "geboorteland", "geboorteplaats", "birthdate", "birthplace", "birthcountry", "countryofbirth", "dateofbirth", "licenceplate", "licenseplate",
		"adviseur", "medewerker", "contactperso", "manager", "beheerder", "behandelaar", "inspecteur", "tussenpersoon", "buitendienst", "binnendienst", "verkoper",
		"opmerking", "omschr", "beschrijving", "toelichting", "commentaar", "bijzonderhe", "aantekening", "vrijveld", "vrijeveld", "vrijetekst", "freetext", "freefield",
	}
)

// Forbidden reports whether an attribute's key says that it may not be a feature, or that it
// was brought in later and not known when its policy was.
func Forbidden(key string) bool {
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(key)), enrichment.Prefix) {
		return true
	}
	list := words(key)
	whole := strings.Join(list, "")
	if slices.Contains(neverKeys, whole) {
		return true
	}
	for _, part := range neverParts {
		if strings.Contains(whole, part) {
			return true
		}
	}
	for _, word := range list {
		if slices.Contains(neverWords, word) {
			return true
		}
		for _, start := range neverStarts {
			if strings.HasPrefix(word, start) {
				return true
			}
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

// delicateCovers are parts of the names of covers whose claims are about health or injury,
// letters alone: houses write bodily_injury, Bodily Injury and letselschade-inzittenden.
var delicateCovers = []string{
	"injur", "letsel", "medic", "medisch", "geneeskund", "health", "gezondheid", "illness", "sickness", "ziekte", "ziekenhuis", "hospitalis", "hospitaliz", "verzuim", "income", "inkomen", "tandarts", "dental",
	"disab", "invalid", "arbeidsongeschikt", "inzittende", "ongevallen", "personalaccident", "death", "overlijden", "fatal", "smartengeld", "painandsuffering", "whiplash", "psych",
}

// delicateAt are they by their first letter, so that one walk along a cover finds any.
var delicateAt = func() (at [26][]string) {
	for _, part := range delicateCovers {
		at[part[0]-'a'] = append(at[part[0]-'a'], part)
	}
	return at
}()

// Delicate reports whether a claim tells of somebody's health or injury: no feature counts
// it. Of which policy it is may not be known yet.
func Delicate(p *portfolio.PolicyView, c *portfolio.ClaimView) bool {
	if p != nil {
		if b, _ := portfolio.BranchOf(p.Branch); b.LifeOrHealth || b.Name == "accident" {
			return true
		}
	}
	return delicateCover(c.Cover)
}

// delicateCover does not allocate for a cover of up to 64 letters.
func delicateCover(cover string) bool {
	var room [64]byte
	letters := room[:0]
	for i := range len(cover) {
		c := cover[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c >= 'a' && c <= 'z' {
			letters = append(letters, c)
		}
	}
	for i, c := range letters {
		for _, part := range delicateAt[c-'a'] {
			if rest := letters[i:]; len(rest) >= len(part) && string(rest[:len(part)]) == part {
				return true
			}
		}
	}
	return false
}
