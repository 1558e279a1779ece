package feature

import (
	_ "embed"
	"strings"

	"polis/handler/internal/enrichment"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/vocabulary"
)

//go:embed words.csv
var wordsTable string

// never is the table of words by which something is known for what may never be a feature:
// gender (Directive 2004/113/EC, art. 5, and CJEU C-236/09), health, injury and the other special
// categories (GDPR art. 9), who somebody is, the staff who serve a customer, and free text,
// which may say any of these. This is the second line: an attribute is a feature only where it
// is a known rating factor or a tenant names it (see ratingFactors), and what is here even then
// is none. Too much is left out rather than too little; ras stays, the breed of a pet.
var never = vocabulary.Embedded("words.csv", wordsTable)

var neverKeys, neverValues, neverCovers, firstNames = never.For("keys"), never.For("values"), never.For("covers"), never.For("first_names")

// ReadWords reads the table of words, which the first to look for one would else do.
func ReadWords() { never.Entries() }

// Forbidden reports whether an attribute's key says that it may not be a feature, or that it
// was brought in later and not known when its policy was.
func Forbidden(key string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(key)), enrichment.Prefix) || neverKeys.Find(key) != nil
}

// ForbiddenValue reports whether a value of an attribute, whatever its key, says what may
// never be a feature.
func ForbiddenValue(value string) bool { return neverValues.Find(value) != nil }

// Delicate reports whether a claim tells of somebody's health or injury: no feature counts
// it. Of which policy it is may not be known yet. It does not allocate for a cover that was
// met before.
func Delicate(p *portfolio.PolicyView, c *portfolio.ClaimView) bool {
	if p != nil {
		if b, _ := portfolio.BranchOf(p.Branch); b.LifeOrHealth || b.Name == "accident" {
			return true
		}
	}
	return neverCovers.Find(c.Cover) != nil
}
