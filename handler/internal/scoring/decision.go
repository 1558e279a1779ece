package scoring

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"math"
	"time"

	"polis/handler/internal/portfolio"
)

// A decision's id says where to look for it: the hash of its customer's id, by which the
// book finds the customer, the date and the engine. A digest of what else made the score
// tells it from others of that day: the same customer, engine, date, model, program and data
// give the same id, others another.
const (
	decisionDigest = 7 // bytes: 56 bits tell apart the scores of one customer and day
	decisionBytes  = 8 + 4 + 1 + decisionDigest
)

var base = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// DecisionRef is what a decision's id says by itself.
type DecisionRef struct {
	Customer uint64 // portfolio.Hash of its id
	AsOf     portfolio.Date
	Engine   Engine
}

// ParseDecision reads a decision's id; false for what is none.
func ParseDecision(id string) (DecisionRef, bool) {
	var b [decisionBytes]byte
	if len(id) != base.EncodedLen(decisionBytes) {
		return DecisionRef{}, false
	}
	if n, err := base.Decode(b[:], []byte(id)); err != nil || n != decisionBytes || int(b[12]) >= len(Engines) {
		return DecisionRef{}, false
	}
	r := DecisionRef{binary.BigEndian.Uint64(b[:]), portfolio.Date(binary.BigEndian.Uint32(b[8:])), Engine(b[12])}
	return r, r.AsOf >= 0 && r.AsOf.Year() < 10000
}

// decisionID appends the name of a decision.
func (o origin) decisionID(dst []byte, e Engine, tenant, customer string) []byte {
	var buf [256]byte
	b := append(buf[:0], tenant...)
	b = append(append(b, 0x1f), customer...)
	b = append(b, 0x1f, byte(e))
	b = binary.BigEndian.AppendUint32(b, uint32(o.asOf))
	b = binary.BigEndian.AppendUint64(b, o.fingerprint)
	b = binary.BigEndian.AppendUint64(b, o.model)
	if o.program != 0 { // ids of before there were numbers stay what they were
		b = binary.BigEndian.AppendUint16(b, o.program)
	}
	sum := sha256.Sum256(b)
	b = binary.BigEndian.AppendUint64(b[:0], portfolio.Hash(customer))
	b = append(binary.BigEndian.AppendUint32(b, uint32(o.asOf)), byte(e))
	return base.AppendEncode(dst, append(b, sum[:decisionDigest]...))
}

// Decision is the id of an engine's score, which must be there.
func (s *Stored) Decision(e Engine, tenant, customer string) string {
	return string(s.origin[e].decisionID(nil, e, tenant, customer))
}

// Decision is the id of an engine's score.
func (sh *Sheet) Decision(e Engine, tenant string) string {
	return string(sh.origin(time.Time{}).decisionID(nil, e, tenant, sh.Customer))
}

// Model is the version of the models that made an engine's score, which must be there.
func (s *Stored) Model(e Engine) string { return string(appendHex(nil, s.origin[e].model)) }

// Program is the number of the program that made an engine's score, which must be there.
func (s *Stored) Program(e Engine) int { return int(s.origin[e].program) }

// ScoredAt is when an engine's score, which must be there, was made.
func (s *Stored) ScoredAt(e Engine) time.Time { return time.Unix(s.origin[e].at, 0).UTC() }

// MadeBy reports whether a score was made by a time.
func (s *Stored) MadeBy(at time.Time) bool {
	for _, e := range Engines {
		if s.has.Has(e) && s.origin[e].at <= at.Unix() {
			return true
		}
	}
	return false
}

// MadeOf reports whether an engine's score, which must be there, was made of the data with the
// fingerprint.
func (s *Stored) MadeOf(e Engine, fingerprint uint64) bool {
	return s.origin[e].fingerprint == fingerprint
}

// Reproduces reports whether the sheet says of an engine what was stored, to the bit: the
// number that is compared between runs in all its digits, and all that is shown but for
// whether somebody left the relation since.
func (sh *Sheet) Reproduces(s *Stored, e Engine) bool {
	k, old := sh.keyOf(e), s.key[e]
	return k.state == old.state && math.Float64bits(k.value) == math.Float64bits(old.value) &&
		bytes.Equal(sayings(sh.appendBody(nil, e)), sayings(s.body[e]))
}
