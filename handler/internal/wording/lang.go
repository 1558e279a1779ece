package wording

import (
	"strconv"
	"strings"
)

// Choose is the language that a request asks for: by ?lang=, else by Accept-Language (RFC
// 9110, 12.5.4). It reports false where it asks for none. A language that Polis does not
// speak is answered in English.
func Choose(query, accept string) (Lang, bool) {
	if query != "" {
		return spoken(query), true
	}
	if strings.TrimSpace(accept) == "" {
		return EN, false
	}
	best, weight := EN, 0.0
	for _, item := range strings.Split(accept, ",") {
		tag, params, _ := strings.Cut(item, ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			if f, err := strconv.ParseFloat(v, 64); err == nil {
				q = f
			}
		}
		switch l := spoken(tag); {
		case l == EN && !isTag(tag, "en"): // another language, or any: what is left over
		case q > weight:
			best, weight = l, q
		}
	}
	return best, true
}

func spoken(tag string) Lang {
	if isTag(tag, "nl") {
		return NL
	}
	return EN
}

// isTag reports whether a tag is of a language, whatever the country.
func isTag(tag, lang string) bool {
	head, _, _ := strings.Cut(strings.TrimSpace(tag), "-")
	return strings.EqualFold(head, lang)
}
