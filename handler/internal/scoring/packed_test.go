package scoring

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
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

// unnumberedOf is the beginning of stored scores as it was before programs had numbers.
func unnumberedOf(now []byte, format byte) []byte {
	b := append([]byte{format}, now[1:keysAt]...)
	for e := range Engines {
		b = append(b, now[keysAt+e*storedKey:][:unnumberedKey]...)
	}
	return b
}

// TestScoresOfBefore: what was stored before programs had numbers, and before scores were packed
// with a dictionary, is read, since it is kept for as long as history is; a run makes it anew.
func TestScoresOfBefore(t *testing.T) {
	every := NewSet(Engines...)
	sh := &newScorer(t).Relation(couple(), asOf, every)[0]
	now := sh.AppendStored(nil, &Stored{}, every, every, 7, noon)
	want, err := DecodeStored(now)
	if err != nil {
		t.Fatal(err)
	}
	plain := unnumberedOf(now, plainFormat)
	for _, e := range Engines {
		body := sh.appendBody(nil, e)
		if e == Clv { // as of a fleet
			body = deflate.Pack(body)
		}
		plain = append(binary.AppendUvarint(plain, uint64(len(body))), body...)
	}
	for name, old := range map[string][]byte{"plain": plain, "packed": append(unnumberedOf(now, unnumbered), now[storedHead-sumBytes:]...)} {
		got, err := DecodeStored(old)
		if err != nil || got.Name() != want.Name() || sh.Changed(&got, every, 8) != every {
			t.Fatalf("%s, %v: %s, not %s", name, err, got.Name(), want.Name())
		}
		for _, e := range Engines {
			a, b := got.AppendJSON(nil, e, "t", "c"), want.AppendJSON(nil, e, "t", "c")
			b = bytes.Replace(b, fmt.Appendf(nil, `,"program_version":%d`, Program), nil, 1)
			b = bytes.Replace(b, []byte(want.Decision(e, "t", "c")), []byte(got.Decision(e, "t", "c")), 1)
			if !bytes.Equal(a, b) || got.Program(e) != 0 || want.Program(e) != Program {
				t.Errorf("%s: %s says %s, not %s", name, e, a, b)
			}
			if !sh.Reproduces(&got, e) || got.Decision(e, "t", "c") == want.Decision(e, "t", "c") {
				t.Errorf("%s: %s of another program is no decision of its own, or is not made again", name, e)
			}
		}
		for n := range old {
			if _, err := DecodeStored(old[:n]); n > 0 && err == nil {
				t.Errorf("%s: %d of %d bytes are read", name, n, len(old))
			}
		}
		timeless, err := Timeless(old)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := DecodeStored(timeless); err != nil || !again.ScoredAt(Defend).IsZero() && again.ScoredAt(Defend).Unix() != 0 || again.AsOf() != want.AsOf() {
			t.Errorf("%s: without its times it is %+v, %v", name, again, err)
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
