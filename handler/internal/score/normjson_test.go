package score

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"polis/handler/internal/fault"
)

// TestNormsAreReadAsTheyAreWritten, to the bit.
func TestNormsAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOf(rapid.String(), rapid.Custom(func(t *rapid.T) (n Norm) {
			if q := rapid.SliceOfN(rapid.Float64(), 0, 21).Draw(t, "quantiles"); len(q) > 0 {
				n.Quantiles = q
			}
			n.Common, n.Share = rapid.String().Draw(t, "common"), rapid.Float64Range(0, 1).Draw(t, "share")
			return n
		})).Draw(t, "norms")
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var plain map[string]Norm
		var got Norms
		if err := json.Unmarshal(b, &plain); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Norms(plain), got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestNormsRefuse(t *testing.T) {
	var n Norms
	for _, bad := range []string{`[]`, `{"age":1}`, `{"age":{"quantiles":["a"]}}`, `{"age":{"common":1}}`, `{"age":{"quantiles":[1e999]}}`} {
		if err := json.Unmarshal([]byte(bad), &n); !fault.Is(err, fault.Malformed) {
			t.Errorf("%s is read: %v", bad, err)
		}
	}
	if err := json.Unmarshal([]byte(`null`), &n); err != nil {
		t.Error(err)
	}
	if err := json.Unmarshal([]byte(`{"age":{"later":[{}],"share":0.5}}`), &n); err != nil || n["age"].Share != 0.5 {
		t.Errorf("what a later program adds: %v, %v", n, err)
	}
}
