package event

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"polis/handler/internal/bus"
)

// TestMessage: the attributes are in the body and in the properties, and say the same.
func TestMessage(t *testing.T) {
	e := Event{
		ID: "t1/r/completed", Tenant: "t1", Type: "polis.run.completed", Subject: "r",
		Time: time.Date(2026, 3, 31, 2, 0, 0, 5, time.UTC), Data: map[string]int{"n": 1},
	}
	m, err := e.Message()
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(m.Body, &body); err != nil {
		t.Fatal(err)
	}
	for name, v := range body {
		if name == "data" || name == "datacontenttype" {
			continue
		}
		if m.Properties[prefix+name] != v {
			t.Errorf("%s is %q in the properties and %q in the body", name, m.Properties[prefix+name], v)
		}
	}
	if m.ID != e.ID || m.Properties[Tenant] != "t1" || m.ContentType != "application/cloudevents+json" || body["data"] == nil {
		t.Errorf("%+v", m)
	}
}

func TestAnswer(t *testing.T) {
	want := bus.Message{
		ID: "t1/risk/q7", CorrelationID: "q7", Body: []byte("{}"), ContentType: "application/json", Subject: "polis.scores",
		Properties: map[string]string{
			"cloudEvents_specversion": "1.0", "cloudEvents_id": "t1/risk/q7", "cloudEvents_source": "/polis/t1", "cloudEvents_type": "polis.scores",
			"cloudEvents_subject": "q7", "tenant": "t1", "engine": "risk",
		},
	}
	if diff := cmp.Diff(want, Answer("t1/risk/q7", "t1", "risk", "q7", []byte("{}"))); diff != "" {
		t.Error(diff)
	}
}
