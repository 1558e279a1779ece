package scoring

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"pgregory.net/rapid"

	"polis/handler/internal/deflate"
)

// TestTheDictionaryStays: stored scores are read with the dictionary that they were packed with.
func TestTheDictionaryStays(t *testing.T) {
	sum := sha256.Sum256(dictionary1)
	if got, want := hex.EncodeToString(sum[:]), "7fe11cf5e39908a450356b52c11c470bc9527a37e2de1927f8472cf017e661e4"; got != want {
		t.Errorf("dictionary1 has the sum %s, and had %s: a new one needs a number of its own", got, want)
	}
}

func TestPacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		said := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "said")
		from := rapid.IntRange(0, len(dictionary1)-1).Draw(t, "from")
		said = append(said, dictionary1[from:from+rapid.IntRange(0, len(dictionary1)-from).Draw(t, "n")]...)
		said = bytes.Repeat(said, rapid.IntRange(1, 12).Draw(t, "times"))
		before := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "before")
		b := appendPacked(bytes.Clone(before), said)
		got, err := unpack(b[len(before):])
		if err != nil || !bytes.HasPrefix(b, before) || !bytes.Equal(got, said) {
			t.Fatalf("%d bytes come back as %d, %v", len(said), len(got), err)
		}
	})
}

func TestScoresArePacked(t *testing.T) {
	sh := &newScorer(t).Relation(couple(), asOf, NewSet(Engines...))[0]
	every := NewSet(Engines...)
	plain := 0
	for _, e := range Engines {
		plain += len(sh.appendBody(nil, e))
	}
	if n := len(sh.AppendStored(nil, &Stored{}, every, every, 1, noon)); n > plain/3 {
		t.Errorf("%d bytes are stored in %d", plain, n)
	}
}

// TestPlainScores: what was stored before scores were packed with a dictionary is read, since it
// is kept for as long as history is.
func TestPlainScores(t *testing.T) {
	every := NewSet(Engines...)
	sh := &newScorer(t).Relation(couple(), asOf, every)[0]
	now := sh.AppendStored(nil, &Stored{}, every, every, 7, noon)
	want, err := DecodeStored(now)
	if err != nil {
		t.Fatal(err)
	}
	plain := bytes.Clone(now[:plainHead])
	plain[0] = plainFormat
	for _, e := range Engines {
		body := sh.appendBody(nil, e)
		if e == Clv { // as of a fleet
			body = deflate.Pack(body)
		}
		plain = append(binary.AppendUvarint(plain, uint64(len(body))), body...)
	}
	got, err := DecodeStored(plain)
	if err != nil || got.Name() != want.Name() || sh.Changed(&got, every, 8) != 0 {
		t.Fatalf("%v: %s, not %s", err, got.Name(), want.Name())
	}
	for _, e := range Engines {
		if a, b := got.AppendJSON(nil, e, "t", "c"), want.AppendJSON(nil, e, "t", "c"); !bytes.Equal(a, b) {
			t.Errorf("%s says %s, not %s", e, a, b)
		}
	}
	for n := range plain {
		if _, err := DecodeStored(plain[:n]); n > 0 && err == nil {
			t.Errorf("%d of %d bytes are read", n, len(plain))
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	long := append([]byte{byDictionary}, s2.Encode(nil, []byte(strings.Repeat("a", packFrom+1)))...)
	for name, bad := range map[string][]byte{"nothing": {}, "another way": {9, 1}, "no end": {byDictionary, 9}, "more than there are": long} {
		if _, err := unpack(bad); err == nil {
			t.Errorf("%s is unpacked", name)
		}
	}
}
