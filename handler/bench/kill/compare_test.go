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
				{"done\x1fr", `{"completed_at":"2027","elapsed_seconds":0,"store":{"retries":0,"x":1},"scored":17}`, `,"_ts":1`},
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
