package caller_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "polis/handler/internal/caller"
	"polis/handler/internal/fault"
)

func TestKeys(t *testing.T) {
	keys, err := NewKeys([]Key{
		{SHA256: Digest("one"), Tenant: "a", Roles: []Role{ScoresRead}},
		{SHA256: strings.ToUpper(Digest("two")), Tenant: "b", Roles: []Role{Admin}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for header, tenant := range map[string]string{
		"Bearer one": "a", "bearer two": "b", "Bearer  one ": "a",
		"": "", "Bearer": "", "Bearer ": "", "Bearer three": "", "Basic one": "", "one": "", "Bearer one two": "",
		"Bearer " + Digest("one"): "", "Bearer ONE": "",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", header)
		c, err := keys.Authenticate(r)
		if c.Tenant != tenant || (err != nil) != (tenant == "") || err != nil && !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%q: %+v, %v", header, c, err)
		}
		if err != nil && strings.Contains(err.Error(), "three") {
			t.Errorf("%q: the error shows the key: %v", header, err)
		}
	}
	for key, want := range map[string]string{"one": "key-" + Digest("one")[:8], "two": "key-" + Digest("two")[:8]} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		if c, _ := keys.Authenticate(r); c.Subject != want {
			t.Errorf("%s is %q", key, c.Subject)
		}
	}
	if _, err := (Nobody{}).Authenticate(httptest.NewRequest("GET", "/", nil)); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("nobody is let in: %v", err)
	}
}

func TestMay(t *testing.T) {
	reader, admin := Caller{"a", "s", []Role{ScoresRead}}, Caller{"a", "s", []Role{Admin}}
	for _, r := range Roles {
		if reader.May(r) != (r == ScoresRead) || !admin.May(r) || (Caller{}).May(r) {
			t.Errorf("%s: %v %v", r, reader.May(r), admin.May(r))
		}
	}
	if reader.May(Admin) || slices.Contains(Roles, Admin) {
		t.Error("whoever has all the roles is admin")
	}
}

func TestKeysFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	for name, tc := range map[string]struct {
		body string
		ok   bool
	}{
		"good":           {`[{"sha256":"` + Digest("k") + `","tenant":"a","roles":["admin"]}]`, true},
		"none":           {`[]`, true},
		"not JSON":       {`{`, false},
		"no list":        {`{"sha256":"x"}`, false},
		"no digest":      {`[{"tenant":"a"}]`, false},
		"the key itself": {`[{"sha256":"secret","tenant":"a"}]`, false},
		"too short":      {`[{"sha256":"` + Digest("k")[:62] + `","tenant":"a"}]`, false},
		"no tenant":      {`[{"sha256":"` + Digest("k") + `"}]`, false},
	} {
		if err := os.WriteFile(path, []byte(tc.body), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadKeys(path)
		if (err == nil) != tc.ok || err != nil && (!fault.Is(err, fault.Unconfigured) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadKeys(path + ".missing"); !fault.Is(err, fault.Unconfigured) {
		t.Errorf("no file: %v", err)
	}
}
