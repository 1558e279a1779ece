package cosmos

import (
	"crypto/sha256"
	"encoding/base64"
)

const hexDigits = "0123456789abcdef"

// escape turns a key into printable ASCII that orders as the key's bytes do: Cosmos DB
// does not say how it orders other characters. What is not plain is written as two hex
// digits after a sign that stands before all plain ones, or after them.
func escape(key string) string {
	plain := true
	for i := range len(key) {
		plain = plain && isPlain(key[i])
	}
	if plain {
		return key
	}
	out := make([]byte, 0, len(key)+16)
	for i := range len(key) {
		switch c := key[i]; {
		case isPlain(c):
			out = append(out, c)
		case c <= '!':
			out = append(out, '!', hexDigits[c>>4], hexDigits[c&15])
		default:
			out = append(out, '~', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(out)
}

func isPlain(c byte) bool { return c > '!' && c < '~' }

// unescape is the key that was escaped, and whether it is one.
func unescape(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if isPlain(s[i]) {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		high, low := digit(s[i+1]), digit(s[i+2])
		c := high<<4 | low
		if high > 15 || low > 15 || isPlain(c) || (s[i] == '!') != (c <= '!') {
			return "", false
		}
		out = append(out, c)
		i += 2
	}
	return string(out), true
}

func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}

// past is greater than any escaped key.
const past = "\x7f"

// idOf is a key's id in Cosmos DB, which allows fewer characters there, and fewer of them,
// than a key has.
func idOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
