package deflate

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/fault"
)

func TestUnpackIsWhatWasPacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "body")
		got, err := Unpack(Pack(body), len(body))
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes came back as %d, %v", len(body), len(got), err)
		}
		if len(body) == 0 {
			return
		}
		if _, err := Unpack(Pack(body), len(body)-1); !fault.Is(err, fault.Internal) {
			t.Fatalf("more than is allowed: %v", err)
		}
	})
}

func TestRepetitionIsPacked(t *testing.T) {
	body := []byte(strings.Repeat(`{"status":"open","care":true},`, 1000))
	if n := len(Pack(body)); n > len(body)/10 {
		t.Errorf("%d bytes are packed to %d", len(body), n)
	}
	if got, err := Unpack(body, 1); err != nil || !bytes.Equal(got, body) {
		t.Errorf("what is not packed is changed, %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(Pack([]byte("{}")))
	f.Add([]byte("z"))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if out, err := Unpack(b, 1000); err == nil && Packed(b) && len(out) > 1000 {
			t.Errorf("%d bytes", len(out))
		}
	})
}
