package cosmos

import (
	"cmp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEscapedKeysOrderAsTheirBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		x, y := escape(a), escape(b)
		if cmp.Compare(a, b) != cmp.Compare(x, y) {
			t.Fatalf("%q and %q are %q and %q", a, b, x, y)
		}
		if back, ok := unescape(x); !ok || back != a {
			t.Fatalf("%q came back as %q", a, back)
		}
		if strings.HasPrefix(a, b) != strings.HasPrefix(x, y) || x+past <= x {
			t.Fatalf("prefixes of %q and %q", a, b)
		}
		for i := range len(x) {
			if x[i] < ' ' || x[i] > '~' {
				t.Fatalf("%q is not printable", x)
			}
		}
	})
}

func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"", "a", "!1f", "~c3~a9", "!", "~4", "!41", "~zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if key, ok := unescape(s); ok && escape(key) != s {
			t.Errorf("%q is %q and that is %q", s, key, escape(key))
		}
	})
}

func FuzzReadItem(f *testing.F) {
	f.Add([]byte(`{"key":"a","body":"eA==","expires":1.5e12,"_etag":"\"1\"","marks":"m","more":[1]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if it, err := readItem(b); err == nil {
			_ = it.document()
		}
	})
}
