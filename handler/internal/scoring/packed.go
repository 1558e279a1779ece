package scoring

import (
	_ "embed"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/s2"

	"polis/handler/internal/deflate"
	"polis/handler/internal/fault"
)

// Stored scores are packed: what they say of one customer is mostly what they say of any other,
// and a run writes all that changed and reads all that there is. With a dictionary of what
// scores usually say a customer's 7 KB become 1.5 in less time than it takes to write the
// difference. What is long is packed better without: the scores of a customer and those that
// they supersede are written in one batch (store.MaxBytes).
const (
	byDictionary = 1
	packFrom     = 64 << 10 // bytes from which on scores are long
	maxBodies    = 64 << 20 // bytes of what was packed: more is damage
)

// dictionary1 is what the engines said of two made customers. It never changes: what was
// packed with it is read with it. A better one is another, with a number of its own.
//
//go:embed dictionary1
var dictionary1 []byte

var dictionary = sync.OnceValue(func() *s2.Dict { return s2.MakeDict(dictionary1, nil) })

// appendPacked appends what engines said, packed.
func appendPacked(b, bodies []byte) []byte {
	if len(bodies) > packFrom {
		return append(b, deflate.Pack(bodies)...)
	}
	b = append(b, byDictionary)
	at := len(b)
	if most := s2.MaxEncodedLen(len(bodies)); cap(b)-at < most {
		b = append(make([]byte, 0, at+most), b...)
	}
	return b[:at+len(dictionary().Encode(b[at:cap(b)], bodies))]
}

// unpack is what appendPacked packed.
func unpack(b []byte) ([]byte, error) {
	switch {
	case deflate.Packed(b):
		return deflate.Unpack(b, maxBodies)
	case len(b) == 0 || b[0] != byDictionary:
		return nil, fault.New(fault.Internal, "scores are packed in no known way")
	}
	n, err := s2.DecodedLen(b[1:])
	if err == nil && n > packFrom {
		err = fault.New(fault.Internal, "packed scores are larger than any are")
	}
	if err != nil {
		return nil, err
	}
	return dictionary().Decode(nil, b[1:])
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf tells damage, also where a run does not unpack what it leaves as it is.
func sumOf(packed []byte) uint32 { return crc32.Checksum(packed, castagnoli) }
