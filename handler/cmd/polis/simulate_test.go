package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"polis/handler/internal/simulate"
)

func TestSimulate(t *testing.T) {
	code, stdout, stderr := polis(t, "", "simulate", "--customers", "20000,1000", "--instances", "4")
	if code != 0 || !strings.Contains(stdout, "done after") || !strings.Contains(stdout, "longest chunk") {
		t.Errorf("exit code %d: %s %s", code, stdout, stderr)
	}
	code, stdout, stderr = polis(t, "", "simulate", "--customers", "20000,1000", "--buckets", "8,4", "--width", "2", "--json")
	var out struct {
		Settings simulate.Settings
		Result   simulate.Result
	}
	if err := json.Unmarshal([]byte(stdout), &out); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v: %s", code, err, stderr)
	}
	if out.Settings.Width != 2 || len(out.Result.Tenants) != 2 || out.Result.Tenants[0].Most != 2 || !out.Result.Done {
		t.Errorf("%+v", out)
	}
	if code, _, stderr = polis(t, "", "simulate", "--buckets", "8,4"); code != 2 || !strings.Contains(stderr, "--buckets") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if code, _, stderr = polis(t, "", "simulate", "--concurrency", "0"); code != 3 || !strings.Contains(stderr, "concurrency") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

var update = flag.Bool("update", false, "write the rows of docs/scale.md anew")

var rowForm = regexp.MustCompile("(?m)^\\| `polis (simulate[^`]*)` \\|.*$")

// TestScalePage holds the rows of docs/scale.md to what their commands say.
func TestScalePage(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "scale.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	got := rowForm.ReplaceAllStringFunc(string(page), func(row string) string {
		rows++
		command := rowForm.FindStringSubmatch(row)[1]
		code, stdout, stderr := polis(t, "", append(strings.Fields(command), "--json")...)
		var out struct{ Result simulate.Result }
		if err := json.Unmarshal([]byte(stdout), &out); err != nil || code != 0 {
			t.Fatalf("%s: exit code %d, %v: %s", command, code, err, stderr)
		}
		r := &out.Result
		var after []string
		for _, tn := range r.Tenants {
			if tn.Seconds == 0 {
				after = append(after, "**never**")
				continue
			}
			after = append(after, seconds(tn.Seconds).Round(time.Second).String())
		}
		return fmt.Sprintf("| `polis %s` | %s | %.0f%% | %.3gM | %d | %d | %s |", command, strings.Join(after, ", "), 100*r.Busy, r.Units/1e6, r.Retries, r.GivenUp,
			seconds(r.Longest).Round(time.Second))
	})
	if rows < 20 {
		t.Errorf("the page has %d rows", rows)
	}
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(page) {
		t.Error("docs/scale.md is not what polis simulate says; go test -run TestScalePage -update writes its rows anew")
	}
}
