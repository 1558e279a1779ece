package functions

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"
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
