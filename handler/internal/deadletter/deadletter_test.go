package deadletter_test

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"polis/handler/internal/blob/folder"
	. "polis/handler/internal/deadletter"
	"polis/handler/internal/invoke"
)

// TestLetters: what was sent is kept to the byte with the reason, once a message.
func TestLetters(t *testing.T) {
	blobs, err := folder.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer blobs.Close()
	noon := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	at := noon
	s := New(blobs, func() time.Time { return at })
	torn := []byte("{\"tenant\":\xff\x00")
	for _, l := range []Letter{
		{Function: "RiskRequests", Message: "1", Reason: "is not JSON", Body: torn},
		{Function: "RiskRequests", Message: "1", Reason: "is still not JSON", Body: torn}, // delivered again
		{Function: "RiskRequests", Message: "2", Reason: "no such tenant", Body: torn},
		{Function: "ChurnRequests", Message: "1", Reason: "is empty"},
	} {
		if err := s.Put(t.Context(), l.Function, invoke.Message{ID: l.Message, Body: l.Body}, l.Reason); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second)
	}
	got := map[string][]Letter{}
	for info, err := range blobs.List(t.Context(), Prefix) {
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := blobs.Open(t.Context(), info.Name)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil || r.Close() != nil {
			t.Fatal(err)
		}
		var l Letter
		if err := json.Unmarshal(body, &l); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(info.Name, Prefix+l.Function+"/") {
			t.Errorf("a letter of %s is called %s", l.Function, info.Name)
		}
		got[l.Function+" "+l.Message] = append(got[l.Function+" "+l.Message], l)
	}
	want := map[string][]Letter{
		"RiskRequests 1":  {{"RiskRequests", "1", "is still not JSON", noon.Add(time.Second), torn}},
		"RiskRequests 2":  {{"RiskRequests", "2", "no such tenant", noon.Add(2 * time.Second), torn}},
		"ChurnRequests 1": {{"ChurnRequests", "1", "is empty", noon.Add(3 * time.Second), nil}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
