package scoring

import (
	"encoding/binary"
	"math"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
)

// Stored is a customer's latest scores as they are kept: what the next run compares, in
// binary, and after it each engine's score as JSON, as it will be shown. A run that
// finds nothing changed reads the first and leaves the second alone.
type Stored struct {
	asOf        portfolio.Date
	mark        uint64
	changed     Set
	fingerprint uint64
	model       uint64
	has         Set
	key         [len(engineNames)]key
	json        [len(engineNames)][]byte
}

// key is what is compared of an engine's score.
type key struct {
	value float64
	state uint8 // status and band, and the action for defend
}

const (
	storedFormat = 1
	storedHead   = 1 + 4 + 8 + 1 + 8 + 8 + 1 + len(engineNames)*9
)

// The moves that are not worth storing: a score that drifts with the calendar by less
// says the same (design: "when a score is stored").
var tolerance = [len(engineNames)]struct{ absolute, relative float64 }{
	Risk: {absolute: 2}, Churn: {absolute: 0.01}, Clv: {absolute: 10, relative: 0.02}, Nbp: {absolute: 0.01}, Defend: {absolute: 2},
}

// stale is after how many days scores are stored again although nothing changed.
const stale = 30

// AsOf is the date that the scores are of; no date where there are none.
func (s *Stored) AsOf() portfolio.Date { return s.asOf }

// WrittenBy reports whether the run with the mark wrote the scores.
func (s *Stored) WrittenBy(mark uint64) bool { return s.mark == mark }

// JSON is an engine's score; nil where there is none.
func (s *Stored) JSON(e Engine) []byte { return s.json[e] }

// DecodeStored reads what AppendStored wrote; nothing for nil. The JSON is part of b.
func DecodeStored(b []byte) (Stored, error) {
	var s Stored
	if b == nil {
		return s, nil
	}
	bad := fault.New(fault.Internal, "stored scores are damaged")
	if len(b) < storedHead || b[0] != storedFormat {
		return s, bad
	}
	s.asOf = portfolio.Date(binary.BigEndian.Uint32(b[1:]))
	s.mark = binary.BigEndian.Uint64(b[5:])
	s.changed = Set(b[13])
	s.fingerprint = binary.BigEndian.Uint64(b[14:])
	s.model = binary.BigEndian.Uint64(b[22:])
	s.has = Set(b[30])
	at := 31
	for e := range s.key {
		s.key[e] = key{math.Float64frombits(binary.BigEndian.Uint64(b[at:])), b[at+8]}
		at += 9
	}
	b = b[storedHead:]
	for e := range s.json {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return Stored{}, bad
		}
		if n > 0 {
			s.json[e] = b[w : w+int(n) : w+int(n)]
		}
		b = b[w+int(n):]
	}
	if len(b) != 0 {
		return Stored{}, bad
	}
	return s, nil
}

// keyOf is what is compared of an engine's score.
func (sh *Sheet) keyOf(e Engine) key {
	switch e {
	case Risk:
		return key{sh.Risk.Score, state(sh.Risk.Status, sh.Risk.Band) ^ uint8(len(sh.Risk.Signals)<<5) ^ uint8(len(sh.Risk.Gaps)<<6)}
	case Churn:
		return key{sh.Churn.Lapsed[12], state(sh.Churn.Status, sh.Churn.Band)}
	case Clv:
		return key{sh.Clv.Value, state(sh.Clv.Status, sh.Clv.Band)}
	case Nbp:
		k := key{state: state(sh.Nbp.Status, sh.Nbp.Band)}
		if len(sh.Nbp.Offers) > 0 {
			k.value = sh.Nbp.Offers[0].Probability
			k.state ^= sh.Nbp.Offers[0].Branch[0] << 5
		}
		return k
	}
	k := key{sh.Defend.Priority, state(sh.Defend.Status, sh.Defend.Band)}
	for _, c := range []byte(sh.Defend.Trigger) {
		k.state = k.state*31 + c
	}
	return k
}

func state(s score.Status, b score.Band) uint8 {
	var n uint8
	switch s {
	case score.NoPolicies:
		n = 1
	case score.Objected:
		n = 2
	case score.NotInScope:
		n = 3
	}
	switch b {
	case score.Medium:
		return n<<2 | 1
	case score.High:
		return n<<2 | 2
	case score.VeryHigh:
		return n<<2 | 3
	}
	return n << 2
}

func (k key) moved(old key, e Engine) bool {
	t := tolerance[e]
	return k.state != old.state || math.Abs(k.value-old.value) > max(t.absolute, t.relative*math.Abs(old.value))
}

// Changed is the set of engines whose scores must be stored by the run with the mark:
// those asked for, if the data, the models, a band or a status changed, a value moved
// by more than its tolerance, or the stored ones are 30 days old. A run that already
// wrote them is told what it found then.
func (sh *Sheet) Changed(old *Stored, set Set, mark uint64) Set {
	if old.mark == mark {
		return old.changed & set
	}
	if old.asOf == 0 || old.fingerprint != sh.Fingerprint || old.model != sh.modelMark || sh.AsOf-old.asOf >= stale || sh.AsOf < old.asOf {
		return set
	}
	var changed Set
	for _, e := range Engines {
		if set.Has(e) && (!old.has.Has(e) || sh.keyOf(e).moved(old.key[e], e)) {
			changed |= 1 << e
		}
	}
	return changed
}

// AppendStored appends the form to keep: the engines of set as they are in the sheet,
// the others as they were in old.
func (sh *Sheet) AppendStored(b []byte, tenant string, old *Stored, set, changed Set, mark uint64, at time.Time) []byte {
	b = append(b, storedFormat)
	b = binary.BigEndian.AppendUint32(b, uint32(sh.AsOf))
	b = binary.BigEndian.AppendUint64(b, mark)
	b = append(b, byte(changed))
	b = binary.BigEndian.AppendUint64(b, sh.Fingerprint)
	b = binary.BigEndian.AppendUint64(b, sh.modelMark)
	b = append(b, byte(set|old.has))
	for _, e := range Engines {
		k := old.key[e]
		if set.Has(e) {
			k = sh.keyOf(e)
		}
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(k.value))
		b = append(b, k.state)
	}
	for _, e := range Engines {
		if !set.Has(e) {
			b = binary.AppendUvarint(b, uint64(len(old.json[e])))
			b = append(b, old.json[e]...)
			continue
		}
		// The length goes before what it is of: three bytes are kept free for it.
		at0 := len(b)
		b = append(b, 0x80, 0x80, 0)
		b = sh.AppendJSON(b, e, tenant, at)
		n := len(b) - at0 - 3
		b[at0], b[at0+1], b[at0+2] = byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)
	}
	return b
}
