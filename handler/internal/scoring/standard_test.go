package scoring

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The settings that Polis comes with are embedded as a line of a models' file: go test -update
// writes it anew. Models that were trained with other ones keep theirs.
func TestStandardSettings(t *testing.T) {
	want, err := settingsLine(DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("standard.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(standard, want) {
		t.Error("standard.json is not what DefaultSettings are; go test -update writes it anew")
	}
	if s := DefaultSettings(); s.Check() != nil {
		t.Errorf("models with the standard settings are read without checking these: %v", s.Check())
	}
	read, err := readSettings(bytes.TrimSpace(want))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := readSettings(append(bytes.TrimSpace(want), ' ')) // any other line is read
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(read, parsed); diff != "" {
		t.Errorf("the settings that are known and those that are read differ:\n%s", diff)
	}
}
