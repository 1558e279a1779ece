package made

import (
	"slices"
	"strings"
	"testing"

	"polis/handler/internal/portfolio"
	"polis/handler/internal/sample"
)

// TestImport: a made book is there with every relation once, whichever way it is read.
func TestImport(t *testing.T) {
	dir := t.TempDir()
	o := sample.Options{Customers: 200, Seed: 1, AsOf: sample.DefaultAsOf, Dir: dir}
	if _, err := sample.Write(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	asOf, _ := portfolio.ParseDate(o.AsOf)
	b, err := Import(t.Context(), dir, t.TempDir(), 4, asOf)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	all, err := b.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, members := range all {
		for _, a := range members {
			ids = append(ids, a.ID())
		}
	}
	first := func(key string) bool { return key < "h:C000001" }
	n := 0
	for _, keep := range []func(string) bool{first, func(key string) bool { return !first(key) }} {
		for members, err := range Source(b.Relations, keep)(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(members)
		}
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != o.Customers || n != o.Customers {
		t.Errorf("%d customers, %d in two parts, of %d", len(ids), n, o.Customers)
	}
	if _, err := Import(t.Context(), t.TempDir(), t.TempDir(), 4, asOf); err == nil {
		t.Error("a folder without tables is taken in")
	}
}

// TestRead: rows are read by name, and what is no number ends the reading.
func TestRead(t *testing.T) {
	sum := 0.0
	add := func(r *Row) error { sum += r.Number("b"); return nil }
	if err := Read(strings.NewReader("a,b\nx,1\ny,2.5\n"), add); err != nil || sum != 3.5 {
		t.Errorf("%v, %v", sum, err)
	}
	if err := Read(strings.NewReader("a,b\nx,many\ny,1\n"), add); err == nil || sum != 3.5 {
		t.Errorf("%v, %v", sum, err)
	}
}
