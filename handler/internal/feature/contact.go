package feature

import "strings"

// Contacts are counted by what they were about and how they were had. Both are a house's
// own codes: those below are known, in Dutch and English, whatever their case.

type reasonKind uint8

const (
	otherReason reasonKind = iota
	complaint
	question
	claim
	change
	advice
	reasonKinds
)

type channelKind uint8

const (
	otherChannel channelKind = iota
	phone
	mail
	online
	visit
	channelKinds
)

var reasonCodes = [reasonKinds][]string{
	complaint: {"complaint", "klacht"},
	question:  {"question", "vraag", "information", "informatie", "invoice", "factuur", "document", "payment", "betaling"},
	claim:     {"claim", "schade", "schademelding"},
	change:    {"change", "wijziging", "mutation", "mutatie", "verhuizing", "relocation", "cancellation", "opzegging"},
	advice:    {"advice", "advies", "review", "onderhoud", "quote", "offerte"},
}

var channelCodes = [channelKinds][]string{
	phone:  {"phone", "telephone", "telefoon", "call", "gebeld"},
	mail:   {"email", "e-mail", "mail", "letter", "brief", "post"},
	online: {"chat", "app", "portal", "portaal", "web", "website", "whatsapp", "online"},
	visit:  {"office", "kantoor", "visit", "bezoek", "meeting", "afspraak"},
}

var reasons, channels = kinds(reasonCodes[:]), kinds(channelCodes[:])

// IsComplaint reports whether a contact's reason is a complaint.
func IsComplaint(reason string) bool { return reasonOf(reason) == complaint }

func reasonOf(code string) reasonKind {
	k, _ := reasons.of(code)
	return reasonKind(k)
}

func channelOf(code string) channelKind {
	k, _ := channels.of(code)
	return channelKind(k)
}

// codes maps codes in lower case to a kind.
type codes map[string]uint8

func kinds(lists [][]string) codes {
	m := codes{}
	for k, list := range lists {
		for _, c := range list {
			m[c] = uint8(k)
		}
	}
	return m
}

// of finds a code whatever its case and the spaces around it. It does not allocate.
func (m codes) of(code string) (uint8, bool) {
	code = strings.TrimSpace(code)
	var low [32]byte
	if len(code) == 0 || len(code) > len(low) {
		return 0, false
	}
	for i := range len(code) {
		c := code[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	k, ok := m[string(low[:len(code)])]
	return k, ok
}
