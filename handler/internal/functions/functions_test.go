package functions

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"polis/handler/internal/bus/sqlitebus"
	"polis/handler/internal/deadletter"
	"polis/handler/internal/event"
	"polis/handler/internal/exports"
	"polis/handler/internal/fault"
	"polis/handler/internal/imports"
	"polis/handler/internal/invoke"
	"polis/handler/internal/run"
	"polis/handler/internal/scoring"
	"polis/infra/estate"
)

// TestFunctionsOfTheFolder holds functions/ to the queue and timer functions of the code,
// both ways, and the settings that they name to the example.
func TestFunctionsOfTheFolder(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	entries, err := os.ReadDir(filepath.Join(root, "functions"))
	if err != nil {
		t.Fatal(err)
	}
	var example struct{ Values map[string]string }
	body, err := os.ReadFile(filepath.Join(root, "local.settings.example.json"))
	if err == nil {
		err = json.Unmarshal(body, &example)
	}
	if err != nil {
		t.Fatal(err)
	}
	code := New(Services{})
	queues, timers := map[string]bool{}, map[string]bool{}
	setting := regexp.MustCompile(`%([A-Z_]+)%`)
	for _, e := range entries {
		body, err := os.ReadFile(filepath.Join(root, "functions", e.Name(), "function.json"))
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			Bindings []struct{ Type, QueueName, Connection string }
		}
		if err := json.Unmarshal(body, &f); err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
		switch b := f.Bindings[0]; b.Type {
		case "serviceBusTrigger":
			queues[e.Name()] = true
			if _, ok := example.Values[b.Connection+"__fullyQualifiedNamespace"]; !ok {
				t.Errorf("%s: the example has no setting for connection %s", e.Name(), b.Connection)
			}
			if Queues()[e.Name()] != b.QueueName {
				t.Errorf("%s receives from %s, the code says from %s", e.Name(), b.QueueName, Queues()[e.Name()])
			}
			if code.Queues[e.Name()] == nil {
				t.Errorf("%s: no queue function in the code", e.Name())
			}
		case "timerTrigger":
			timers[e.Name()] = true
			if code.Timers[e.Name()] == nil {
				t.Errorf("%s: no timer function in the code", e.Name())
			}
		}
		for _, m := range setting.FindAllStringSubmatch(string(body), -1) {
			if example.Values[m[1]] == "" {
				t.Errorf("%s: %s is not in local.settings.example.json", e.Name(), m[1])
			}
		}
	}
	for name := range code.Queues {
		if !queues[name] {
			t.Errorf("queue function %s has no folder", name)
		}
	}
	for name := range code.Timers {
		if !timers[name] {
			t.Errorf("timer function %s has no folder", name)
		}
	}
}

// What Polis sends to itself is read by the version before as well as by the next.
func TestAFieldOfAnotherVersion(t *testing.T) {
	for _, q := range []string{`{"bucket":3,"of_tomorrow":{"a":1}}`, `{"bucket":3}`} {
		bucket := 0
		if err := work(func(_ context.Context, q run.ChunkRequest) error { bucket = q.Bucket; return nil })(t.Context(), invoke.Message{Body: []byte(q)}); err != nil || bucket != 3 {
			t.Errorf("%s: bucket %d, %v", q, bucket, err)
		}
	}
	for _, q := range []string{``, `[]`, `{"bucket":"3"}`, `{"bucket":3} {}`} {
		if err := work(func(context.Context, run.ChunkRequest) error { return nil })(t.Context(), invoke.Message{Body: []byte(q)}); !fault.Is(err, fault.Malformed) {
			t.Errorf("%s: %v", q, err)
		}
	}
}

// TestEstate holds what the code names to what the estate in Azure has, both ways: queues
// and topics that it sends to, queues that its functions receive from, and schedules.
func TestEstate(t *testing.T) {
	needs, err := estate.Load()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{ResultQueue: true, run.ChunkQueue: true, event.Queue: true, imports.Queue: true, exports.Queue: true}
	for _, e := range scoring.Engines {
		want[e.String()+"-requests"] = true
	}
	for _, q := range needs.Bus.Queues {
		if !want[q.Name] {
			t.Errorf("the estate has queue %s, which the code does not know", q.Name)
		}
		delete(want, q.Name)
	}
	for _, topic := range needs.Bus.Topics {
		if !want[topic.Name] {
			t.Errorf("the estate has topic %s, which the code does not know", topic.Name)
		}
		delete(want, topic.Name)
	}
	if days := fmt.Sprintf("P%dD", imports.Patience/(24*time.Hour)); needs.Bus.TimeToLive != days {
		t.Errorf("messages are kept for %s, and imports wait for %s", needs.Bus.TimeToLive, days)
	}
	for name := range want {
		t.Errorf("the estate has neither queue nor topic %s", name)
	}
	// Who sends to what: workers and clocks complete runs too, and ask for what comes after one; clocks ask again
	// for what was not sent for, and workers for what failed for a passing reason. Who uses the command line starts runs as the API does.
	sent := map[string][]string{imports.Queue: {"api", "clock", "work"}, exports.Queue: {"api", "clock", "work"}, run.ChunkQueue: {"api", "clock", "custodians", "work"}}
	for _, q := range needs.Bus.Queues {
		want := sent[q.Name]
		if want == nil {
			want = []string{"integrations", "work"}
		}
		if !slices.Equal(q.SentBy, want) {
			t.Errorf("the estate lets %v send to %s, the code has %v do it", q.SentBy, q.Name, want)
		}
	}
	if needs.Bus.DuplicateWindow != fmt.Sprintf("PT%.0fM", sqlitebus.DuplicateWindow.Minutes()) {
		t.Errorf("the estate remembers ids for %s, the embedded bus for %s", needs.Bus.DuplicateWindow, sqlitebus.DuplicateWindow)
	}
	kept, expires, loads := false, false, false
	for _, p := range needs.Blobs[0].Prefixes {
		if p.Name == deadletter.Prefix && time.Duration(p.KeepDays)*24*time.Hour <= exports.Keep { // who is erased may stand in both
			kept = true
		}
		if p.Name == exports.Prefix && time.Duration(p.KeepDays)*24*time.Hour == exports.Keep {
			expires = true
		}
		if p.Name == "imports/" && time.Duration(p.KeepDays)*24*time.Hour == imports.Keep {
			loads = true
		}
	}
	if !kept {
		t.Errorf("the estate does not delete blobs below %s after %s", deadletter.Prefix, exports.Keep)
	}
	if !loads {
		t.Errorf("the estate does not delete blobs of imports after %s", imports.Keep)
	}
	if !expires {
		t.Errorf("the estate does not delete blobs below %s after %s", exports.Prefix, exports.Keep)
	}
}
