package deadletter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"polis/handler/internal/blob/folder"
	"polis/handler/internal/bus"
	. "polis/handler/internal/deadletter"
	"polis/handler/internal/fault"
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
		"RiskRequests 1":  {{Function: "RiskRequests", Message: "1", Reason: "is still not JSON", At: noon.Add(time.Second), Body: torn}},
		"RiskRequests 2":  {{Function: "RiskRequests", Message: "2", Reason: "no such tenant", At: noon.Add(2 * time.Second), Body: torn}},
		"ChurnRequests 1": {{Function: "ChurnRequests", Message: "1", Reason: "is empty", At: noon.Add(3 * time.Second)}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// Put back they are as they were sent, under other ids, and not kept any more.
	var out sent
	if n, err := s.Replay(t.Context(), "RiskRequests", "risk-requests", &out); n != 2 || err != nil {
		t.Errorf("%d put back, %v", n, err)
	}
	if len(out) != 2 || out[0].ID == out[1].ID || len(out[0].ID) < 10 || !bytes.Equal(out[0].Body, torn) || !bytes.Equal(out[1].Body, torn) {
		t.Errorf("put back: %+v", out)
	}
	left := 0
	for _, err := range blobs.List(t.Context(), Prefix) {
		if left++; err != nil {
			t.Fatal(err)
		}
	}
	if left != 1 {
		t.Errorf("%d letters are left, want another function's", left)
	}
	// One that cannot be sent stays.
	if n, err := s.Replay(t.Context(), "ChurnRequests", "churn-requests", broken{}); n != 0 || err == nil {
		t.Errorf("%d put back on a bus that is down, %v", n, err)
	}
	for l, err := range s.List(t.Context(), "ChurnRequests") {
		if left--; err != nil || l.Reason != "is empty" {
			t.Errorf("%+v, %v", l, err)
		}
	}
	if left != 0 {
		t.Error("a letter is lost")
	}
}

type sent []bus.Message

func (s *sent) Send(_ context.Context, _ string, msgs ...bus.Message) error {
	*s = append(*s, msgs...)
	return nil
}

type broken struct{}

func (broken) Send(context.Context, string, ...bus.Message) error {
	return fault.New(fault.Unavailable, "out of order")
}
