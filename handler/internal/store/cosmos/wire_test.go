package cosmos_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"polis/handler/internal/standin"
	"polis/handler/internal/store"
	"polis/handler/internal/store/cosmos"
)

// crossing lets queries cross partitions: the emulator refuses any other that does not name the partition in its text.
type crossing struct{ client *http.Client }

func (c crossing) Do(r *http.Request) (*http.Response, error) {
	if r.Header.Get("x-ms-documentdb-query-enablecrosspartition") != "" {
		r.Header.Set("x-ms-documentdb-query-enablecrosspartition", "True")
	}
	return c.client.Do(r)
}

// TestWire speaks to an emulator of Cosmos DB that somebody else made, of what that one does right: batches that
// create, point reads, and queries of the only partition. What our own fake and the adapter could both have
// wrong in the same way would show here.
func TestWire(t *testing.T) {
	standin.Need(t)
	cert, err := standin.NewCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := standin.CosmosDB(t.Context(), cert, "polis", "documents", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	s, err := cosmos.Open(standin.Token{}, cosmos.Options{Endpoint: p.URL, Database: "polis", Container: "documents", Transport: crossing{cert.Client()}})
	if err != nil {
		t.Fatal(err)
	}
	in := store.Partition{Tenant: "t", Bucket: 7}
	key := func(i int) string { return fmt.Sprintf("b\x1fc:é%03d\x1fa", i) }
	body := func(i int) []byte { return bytes.Repeat([]byte{byte(i), 0, 0xff, '\n'}, 50) }
	var ops []store.Op
	for i := range store.MaxOps {
		ops = append(ops, store.Op{Verb: store.Create, Document: store.Document{Key: key(i), Body: body(i), Expires: time.Now().Add(time.Hour)}})
	}
	if err := s.Write(t.Context(), in, ops); err != nil {
		t.Fatal(err)
	}
	first, err := s.Get(t.Context(), in, key(3))
	if err != nil || !bytes.Equal(first.Body, body(3)) || first.ETag == "" || first.Expires.IsZero() {
		t.Fatalf("what was created: %+v, %v", first, err)
	}
	many, err := s.GetMany(t.Context(), in, []string{key(9), key(100), key(8)})
	if err != nil || len(many) != 2 || many[0].Key != key(8) {
		t.Errorf("%d of many, %v", len(many), err)
	}
	for after, want := range map[string]int{"": store.MaxOps, key(89): 10} {
		var keys []string
		meter := store.NewMeter()
		for d, err := range s.Scan(store.Metered(t.Context(), meter), in, "b\x1f", after) {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, d.Key)
		}
		if len(keys) != want || !slices.IsSorted(keys) || meter.Units() == 0 {
			t.Errorf("after %q: %d documents, %v request units", after, len(keys), meter.Units())
		}
	}
}
