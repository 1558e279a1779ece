package portfolio

import "strings"

// Purpose is what a consent is about, as far as Polis acts on it.
type Purpose uint8

// The purposes. A refusal of what Polis does not know is taken for one of marketing: whoever
// refuses something is rather not called than called.
const (
	UnknownPurpose Purpose = iota
	Marketing
	OtherPurpose // known to be about neither offers nor contact for them
)

// purposes are the codes that houses have, in Dutch, English, German and French: our choice.
var purposes = [...][]string{
	Marketing:    {"marketing", "direct_marketing", "telemarketing", "email_marketing", "newsletter", "nieuwsbrief", "reclame", "advertising", "commercial", "commercieel", "offers", "aanbiedingen", "werbung", "publicite", "prospection"},
	OtherPurpose: {"profiling", "profilering", "service", "analytics", "statistics", "statistiek", "research", "onderzoek", "data_sharing", "third_parties", "derden", "cookies", "privacy", "terms", "voorwaarden"},
}

// PurposeOf is what a consent's purpose is, in any case and with spaces around it.
func PurposeOf(code string) Purpose {
	code = strings.TrimSpace(code)
	for p, codes := range purposes {
		for _, c := range codes {
			if strings.EqualFold(c, code) {
				return Purpose(p)
			}
		}
	}
	return UnknownPurpose
}

// IsCode reports whether two codes are one: case, and spaces around them, do not count.
func IsCode(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }

// AmongCodes reports whether a code that is there is one of a list.
func AmongCodes(list []string, code string) bool {
	code = strings.TrimSpace(code)
	if code == "" {
		return false
	}
	for _, c := range list {
		if IsCode(c, code) {
			return true
		}
	}
	return false
}
