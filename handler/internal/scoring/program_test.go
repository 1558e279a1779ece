package scoring

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// made is what testdata keeps of scores that a program made with the models beside it.
type made struct {
	Program int    `json:"program"`
	SHA256  string `json:"sha256"` // of the scores
}

// digestOf is of what all engines say of every case at the edge, and of a couple, with models.
func digestOf(t *testing.T, m *Models) string {
	t.Helper()
	s, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	add := func(members []Subject) {
		sheets := s.Relation(members, asOf, NewSet(Engines...))
		for i := range sheets {
			for _, e := range Engines {
				k := sheets[i].keyOf(e)
				h.Write(binary.BigEndian.AppendUint64([]byte{k.state}, math.Float64bits(k.value)))
				h.Write(sheets[i].appendBody(nil, e))
			}
		}
	}
	add(couple())
	for _, e := range edges(t) {
		add(subjects(e.members...))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TestAnotherProgramHasAnotherNumber scores with models that do not change. Where a score is
// another, decisions of before are no longer made again, and must not be taken for those of
// rows that were changed: Program is to be raised by one, and go test -update to be run.
func TestAnotherProgramHasAnotherNumber(t *testing.T) {
	models, said := filepath.Join("testdata", "program.models"), filepath.Join("testdata", "program.json")
	var was made
	if body, err := os.ReadFile(said); err != nil && !*update {
		t.Fatal(err)
	} else if err == nil {
		if err := json.Unmarshal(body, &was); err != nil {
			t.Fatal(err)
		}
	}
	body, err := os.ReadFile(models)
	if err != nil && !*update {
		t.Fatal(err)
	}
	now := made{Program: Program}
	m, err := Parse(body)
	if err == nil {
		now.SHA256 = digestOf(t, m)
	}
	switch {
	case now.SHA256 == was.SHA256 && now.Program == was.Program:
		return
	case now.SHA256 != was.SHA256 && Program <= was.Program:
		t.Fatalf("scores of the same rows and models are not what program %d made, or its models can no longer be read (%v): raise Program", was.Program, err)
	case !*update:
		t.Fatalf("Program is %d, and %s knows %d: go test -update", Program, said, was.Program)
	}
	if now.SHA256 == "" { // the file has another form by now: those that it is read from are made anew
		m = learnt(t)
		m.Clv.Freeze([]float64{-200, -100, 0, 50, 100, 200, 400, 800, 1600}, []float64{0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64})
		var buf bytes.Buffer
		if err := m.Save(&buf); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(models, buf.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		now.SHA256 = digestOf(t, m)
	}
	out, err := json.MarshalIndent(now, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(said, append(out, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
