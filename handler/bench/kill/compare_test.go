package main

import (
	"encoding/json"
	"strings"
	"testing"
)

type doc struct{ key, body, rest string }

// left is what a run left that wrote these documents and sent these messages.
func left(t *testing.T, docs []doc, messages map[string]string) *state {
	t.Helper()
	s := &state{documents: map[string]digest{}, sent: map[string]digest{}, completed: 1}
	for _, d := range docs {
		body, err := json.Marshal([]byte(d.body))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.add("p", `{"id":"x","key":"`+strings.ReplaceAll(d.key, "\x1f", "!1f")+`","body":`+string(body)+d.rest+`}`); err != nil {
			t.Fatal(err)
		}
	}
	for id, body := range messages {
		if err := s.message("events", id, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

const (
	summary = `{"completed_at":"2026-11-26T10:00:00Z","elapsed_seconds":1.5e1,"store":{"retries":3},"scored":17}`
	page    = "list\x1f2026-03-31\x1f0123456789abcdef\x1f00000010"
	export  = `{"export_id":"20261126T100000-abc","status":"completed","expires_at":"2026-12-26","manifest":{"run_id":"r","action_list":{"version":"0123456789abcdef"},"made_at":"x","files":[{"name":"risk.parquet","rows":17,"bytes":5,"sha256":"ab"}],"folder":"f/"}}`
)

// TestWhatDiffers: times, durations and the store's cost may differ between two runs that did
// the same, and nothing else.
func TestWhatDiffers(t *testing.T) {
	want := left(t, []doc{{"done\x1fr", summary, ""}, {page, `[{"scored_at":"a"}]`, ""}}, map[string]string{"1": summary})
	for _, tc := range []struct {
		name     string
		docs     []doc
		messages map[string]string
		equal    bool
	}{
		{"the same", []doc{{"done\x1fr", summary, ""}, {page, `[{"scored_at":"a"}]`, ""}}, map[string]string{"1": summary}, true},
		{
			"at another time", []doc{
				{"done\x1fr", `{"completed_at":"2027","retries_before":100,"elapsed_seconds":0,"store":{"retries":0,"x":1},"scored":17}`, `,"_ts":1`},
				{strings.ReplaceAll(page, "0123", "cdef"), `[{"scored_at":"b"}]`, ""},
			}, map[string]string{"1": strings.ReplaceAll(summary, "10:00", "11:00")}, true,
		},
		{"another number", []doc{{"done\x1fr", strings.ReplaceAll(summary, "17", "18"), ""}, {page, `[{"scored_at":"a"}]`, ""}}, map[string]string{"1": summary}, false},
		{"it expires", []doc{{"done\x1fr", summary, `,"expires":1`}, {page, `[{"scored_at":"a"}]`, ""}}, map[string]string{"1": summary}, false},
		{"one is lost", []doc{{"done\x1fr", summary, ""}}, map[string]string{"1": summary}, false},
		{"one more", []doc{{"done\x1fr", summary, ""}, {page, `[{"scored_at":"a"}]`, ""}, {"part\x1fr", "", ""}}, map[string]string{"1": summary}, false},
		{"no event", []doc{{"done\x1fr", summary, ""}, {page, `[{"scored_at":"a"}]`, ""}}, nil, false},
		{"another event", []doc{{"done\x1fr", summary, ""}, {page, `[{"scored_at":"a"}]`, ""}}, map[string]string{"1": summary, "2": summary}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := left(t, tc.docs, tc.messages).equal(want); (err == nil) != tc.equal {
				t.Error(err)
			}
		})
	}
	twice := left(t, []doc{{"done\x1fr", summary, ""}, {page, `[{"scored_at":"a"}]`, ""}}, map[string]string{"1": summary})
	if err := twice.message("events", "1", []byte(summary)); err != nil || twice.duplicates != 1 || twice.equal(want) != nil {
		t.Errorf("a copy: %v, %d duplicates", err, twice.duplicates)
	}
	if err := twice.message("events", "1", []byte(`{}`)); err == nil {
		t.Error("a copy may say something else")
	}
	if twice.completed = 2; twice.equal(want) == nil {
		t.Error("a run may be completed twice")
	}
}

// TestExports: an export's times and what follows from them may differ, and neither what it is of nor what it holds.
func TestExports(t *testing.T) {
	const key = "export\x1f20261126T100000-abc"
	of := func(key, body, table string) *state {
		s := left(t, []doc{{key, body, `,"expires":1`}}, nil)
		s.exported = map[string]digest{"risk.parquet": digestOf(false, []byte(table))}
		return s
	}
	later := strings.NewReplacer("T10", "T11", "2026-12-26", "2026-12-27", `"x"`, `"y"`, `:5`, `:6`, `"ab"`, `"cd"`, "f/", "g/", "0123", "4567")
	want := of(key, export, "rows")
	for _, tc := range []struct {
		name                string
		key, export, tables string
		equal               bool
	}{
		{"at another time", later.Replace(key), later.Replace(export), "rows", true},
		{"another run's", "export\x1f20261126T100000-abd", export, "rows", false},
		{"of another run", key, strings.ReplaceAll(export, `"r"`, `"q"`), "rows", false},
		{"not made", key, strings.ReplaceAll(export, "completed", "waiting"), "rows", false},
		{"fewer rows", key, strings.ReplaceAll(export, "17", "16"), "rows", false},
		{"other rows", key, export, "other rows", false},
	} {
		if err := of(tc.key, tc.export, tc.tables).equal(want); (err == nil) != tc.equal {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	none := of(key, export, "rows")
	if none.exported = nil; none.equal(want) == nil {
		t.Error("an export may be lost")
	}
}
