package scoring

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"time"

	"polis/handler/internal/deflate"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
)

// Stored is a customer's latest scores as they are kept: what the next run compares, in
// binary, and after it, packed, what each engine said, as JSON without the beginning and the
// end that all scores share. A run that finds nothing changed reads the first and leaves
// the second alone: see Glance.
type Stored struct {
	mark    uint64
	changed Set
	has     Set
	key     [len(engineNames)]key
	origin  [len(engineNames)]origin
	body    [len(engineNames)][]byte
}

// key is what is compared of an engine's score.
type key struct {
	value float64
	state uint8 // status and band, and a digest of signals, offer or action
}

// Forms of before are read for as long as history is kept.
const (
	storedFormat  = 4
	unnumbered    = 3 // without the program's number
	plainFormat   = 2 // nor a sum, and packed engine by engine
	unnumberedKey = 8 + 1 + 4 + 8 + 8 + 8
	storedKey     = unnumberedKey + 2
	keysAt        = 1 + 8 + 1 + 1
	plainHead     = keysAt + len(engineNames)*unnumberedKey
	sumBytes      = 4 // of what is packed
	storedHead    = keysAt + len(engineNames)*storedKey + sumBytes
)

// headOf is how long what comes before what engines said is, and each engine's key in it; 0
// where that is no form that is known, or what is there is shorter.
func headOf(b []byte) (head, key int) {
	if len(b) == 0 {
		return 0, 0
	}
	switch b[0] {
	case storedFormat:
		head, key = storedHead, storedKey
	case unnumbered:
		head, key = plainHead+sumBytes, unnumberedKey
	case plainFormat:
		head, key = plainHead, unnumberedKey
	}
	if len(b) < head {
		return 0, 0
	}
	return head, key
}

// The moves that are not worth storing: a score that drifts with the calendar by less
// says the same (design: "when a score is stored").
var tolerance = [len(engineNames)]struct{ absolute, relative float64 }{
	Risk: {absolute: 2}, Churn: {absolute: 0.01}, Clv: {absolute: 10, relative: 0.02}, Nbp: {absolute: 0.01}, Defend: {absolute: 2},
}

// stale is after how many days scores are stored again although nothing changed.
const stale = 30

// AsOf is the newest date that a score is of; no date where there are none.
func (s *Stored) AsOf() portfolio.Date {
	var newest portfolio.Date
	for _, o := range s.origin {
		newest = max(newest, o.asOf)
	}
	return newest
}

// After are the engines whose scores are of a later date than this one.
func (s *Stored) After(asOf portfolio.Date) (later Set) {
	for _, e := range Engines {
		if s.has.Has(e) && s.origin[e].asOf > asOf {
			later |= 1 << e
		}
	}
	return later
}

// Name tells the scores from others of the customer: when they are of, when they were made,
// and by which run. Names are in the order of the dates.
func (s *Stored) Name() string {
	var made int64
	for _, o := range s.origin {
		made = max(made, o.at)
	}
	return fmt.Sprintf("%s %012d %016x", s.AsOf(), made, s.mark)
}

// WrittenBy reports whether the run with the mark wrote the scores.
func (s *Stored) WrittenBy(mark uint64) bool { return s.mark == mark }

// Has reports whether there is a score of the engine.
func (s *Stored) Has(e Engine) bool { return s.has.Has(e) }

// Engines are those of which there is a score.
func (s *Stored) Engines() Set { return s.has }

// AppendJSON appends an engine's score, which must be there, as Sheet.AppendJSON does.
func (s *Stored) AppendJSON(b []byte, e Engine, tenant, customer string) []byte {
	o := s.origin[e]
	return o.close(append(o.open(b, e, tenant, customer), s.body[e]...))
}

// Glance reads of what AppendStored wrote all but what engines said, which is not damaged
// either; nothing of nil.
func Glance(b []byte) (Stored, error) {
	var s Stored
	if b == nil {
		return s, nil
	}
	head, size := headOf(b)
	if head == 0 || b[0] != plainFormat && sumOf(b[head:]) != binary.BigEndian.Uint32(b[head-sumBytes:]) {
		return s, damaged()
	}
	s.mark = binary.BigEndian.Uint64(b[1:])
	s.changed, s.has = Set(b[9]), Set(b[10])
	at := keysAt
	for e := range s.key {
		s.key[e] = key{math.Float64frombits(binary.BigEndian.Uint64(b[at:])), b[at+8]}
		s.origin[e] = origin{
			asOf: portfolio.Date(binary.BigEndian.Uint32(b[at+9:])), at: int64(binary.BigEndian.Uint64(b[at+13:])),
			model: binary.BigEndian.Uint64(b[at+21:]), fingerprint: binary.BigEndian.Uint64(b[at+29:]),
		}
		if size == storedKey {
			s.origin[e].program = binary.BigEndian.Uint16(b[at+unnumberedKey:])
		}
		if !s.origin[e].valid() {
			return Stored{}, damaged()
		}
		at += size
	}
	return s, nil
}

func damaged() error { return fault.New(fault.Internal, "stored scores are damaged") }

// DecodeStored reads what AppendStored wrote; nothing of nil.
func DecodeStored(b []byte) (Stored, error) {
	s, err := Glance(b)
	if b == nil || err != nil {
		return s, err
	}
	head, _ := headOf(b)
	plain := b[0] == plainFormat
	if b = b[head:]; !plain {
		if b, err = unpack(b); err != nil {
			return Stored{}, damaged()
		}
	}
	for e := range s.body {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return Stored{}, damaged()
		}
		s.body[e], b = b[w:w+int(n):w+int(n)], b[w+int(n):]
		if plain { // thousands of vehicles' were packed
			if s.body[e], err = deflate.Unpack(s.body[e], maxBodies); err != nil {
				return Stored{}, damaged()
			}
		}
	}
	if len(b) != 0 {
		return Stored{}, damaged()
	}
	return s, nil
}

// Timeless is stored scores without the times at which they were made, as DecodeStored takes
// them: what two runs that did the same have in common.
func Timeless(b []byte) ([]byte, error) {
	if _, err := DecodeStored(b); err != nil || b == nil {
		return nil, err
	}
	out := bytes.Clone(b)
	_, size := headOf(b)
	for e := range engineNames {
		const before = 8 + 1 + 4 // the value, the state and the date
		clear(out[keysAt+e*size+before:][:8])
	}
	return out, nil
}

// valid keeps damaged dates and times from being shown.
func (o origin) valid() bool {
	const year10000 = 253402300800
	return o.asOf >= 0 && o.asOf.Year() < 10000 && o.at >= 0 && o.at < year10000
}

// keyOf is what is compared of an engine's score.
func (sh *Sheet) keyOf(e Engine) key {
	switch e {
	case Risk:
		k := key{sh.Risk.Score, state(sh.Risk.Status, sh.Risk.Band)}
		for i := range sh.Risk.Care.Triggers {
			k.mix(sh.Risk.Care.Triggers[i].Code)
		}
		return k
	case Churn:
		return key{sh.Churn.Headline[12], state(sh.Churn.Status, sh.Churn.Band)}
	case Clv:
		return key{sh.Clv.Value, state(sh.Clv.Status, sh.Clv.Band)}
	case Nbp:
		k := key{state: state(sh.Nbp.Status, sh.Nbp.Band)}
		if len(sh.Nbp.Offers) > 0 {
			k.value = sh.Nbp.Offers[0].Probability
		}
		for i := range sh.Nbp.Offers {
			k.mix(sh.Nbp.Offers[i].Group.Code)
		}
		k.mix(sh.Nbp.Withheld)
		return k
	}
	k := key{sh.Defend.Priority, state(sh.Defend.Status, sh.Defend.Band)}
	k.mix(sh.Defend.Trigger)
	k.mix(sh.Defend.About)
	k.mix(sh.Defend.Also.Action)
	k.mix(sh.Defend.Also.About)
	return k
}

// mix folds a code into the state. One change in 256 is not seen this way: its score
// waits until it is stale.
func (k *key) mix(code string) {
	for i := range len(code) {
		k.state = (k.state ^ code[i]) * 167
	}
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
// those asked for, if the data, the models, the program, a band or a status changed, a value moved
// by more than its tolerance, or the stored ones are 30 days old. A run that already
// wrote them is told what it found then.
func (sh *Sheet) Changed(old *Stored, set Set, mark uint64) Set {
	if old.mark == mark {
		return old.changed & set
	}
	var changed Set
	for _, e := range Engines {
		o := &old.origin[e]
		if set.Has(e) && (!old.has.Has(e) || o.fingerprint != sh.Fingerprint || o.model != sh.model || o.program != Program ||
			sh.AsOf-o.asOf >= stale || sh.AsOf < o.asOf || sh.keyOf(e).moved(old.key[e], e)) {
			changed |= 1 << e
		}
	}
	return changed
}

// AppendStored appends the form to keep: the engines of set as they are in the sheet,
// the others as they were in old.
func (sh *Sheet) AppendStored(b []byte, old *Stored, set, changed Set, mark uint64, at time.Time) []byte {
	b = append(b, storedFormat)
	b = binary.BigEndian.AppendUint64(b, mark)
	b = append(b, byte(changed), byte(set|old.has))
	for _, e := range Engines {
		k, o := old.key[e], old.origin[e]
		if set.Has(e) {
			k, o = sh.keyOf(e), sh.origin(at)
		}
		b = append(binary.BigEndian.AppendUint64(b, math.Float64bits(k.value)), k.state)
		b = binary.BigEndian.AppendUint32(b, uint32(o.asOf))
		b = binary.BigEndian.AppendUint64(b, uint64(o.at))
		b = binary.BigEndian.AppendUint64(b, o.model)
		b = binary.BigEndian.AppendUint64(b, o.fingerprint)
		b = binary.BigEndian.AppendUint16(b, o.program)
	}
	plain := plains.Get().(*[]byte)
	defer plains.Put(plain)
	said := (*plain)[:0]
	for _, e := range Engines {
		// The length goes before what it is of: four bytes are kept free for it.
		head := len(said)
		if said = append(said, 0, 0, 0, 0); set.Has(e) {
			said = sh.appendBody(said, e)
		} else {
			said = append(said, old.body[e]...)
		}
		n := len(said) - head - 4
		said[head], said[head+1], said[head+2], said[head+3] = byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)|0x80, byte(n>>21)
	}
	*plain = said
	sum := len(b)
	b = appendPacked(append(b, 0, 0, 0, 0), said)
	binary.BigEndian.PutUint32(b[sum:], sumOf(b[sum+sumBytes:]))
	return b
}

// plains are what engines say before it is packed.
var plains = sync.Pool{New: func() any { return new([]byte) }}
