// Package cosmosfake plays the part of Azure Cosmos DB's REST interface that Polis uses, for
// tests and for a laptop: one container with a hierarchical partition key, point reads,
// queries over an ordered range of one partition, and transactional batches.
//
// What it is strict about, as the service is: a query sees one partition; a batch is done
// whole or not at all; an ETag changes with every write; a continuation is good for its query;
// batches beyond 100 operations and requests beyond 2 MB are refused; an item whose
// time to live has passed is not there; without a bearer token nothing is.
//
// What it does not do: other queries, triggers, several regions, stale reads, throughput that
// runs out by itself (Faults does that), and it charges request units by the published
// table (see charge.go), not by what the service measures.
package cosmosfake

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of the service.
const (
	maxRequest = 2 << 20
	maxOps     = 100
	maxPage    = 4 << 20 // bytes of a page of a query
)

// Fault is what goes wrong with a request. The zero value is nothing.
type Fault struct {
	Status     int           // answered instead of what was asked for
	RetryAfter time.Duration // said with it
	Drop       bool          // the connection is closed without an answer
	Hang       bool          // no answer until the client gives up
	After      bool          // but first, what was asked for is done
}

// Account is the fake service. Its zero value is ready to be used.
type Account struct {
	Now    func() time.Time            // default time.Now
	Tokens func(token string) bool     // which bearer tokens are good; default all
	Faults func(*http.Request) Fault   // default none
	Asked  func(op string, ru float64) // told of each request that was answered
	Wrote  func(partition, key string) // told of each item that a batch wrote, by its field key

	mu         sync.Mutex
	partitions map[string]*partition
	writes     int64
}

// partition is a logical partition: its items by id, and their ids by key.
type partition struct{ items map[string]*item }

type item struct {
	fields map[string]json.RawMessage
	size   int
	etag   string
	until  time.Time // zero: for ever
}

func (i *item) text(name string) string {
	var s string
	_ = json.Unmarshal(i.fields[name], &s) // another type is no text
	return s
}

// Partition are the items of a partition by id, as JSON: what a test compares.
func (a *Account) Partition(key string) map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[string]string{}
	if p := a.partitions[key]; p != nil {
		for id, i := range p.items {
			b, err := json.Marshal(i.fields)
			if err != nil {
				panic(err) // it was read from JSON
			}
			out[id] = string(b)
		}
	}
	return out
}

// State is all that an account holds at a moment.
type State struct{ partitions map[string]*partition }

// State is what the account holds now; what is written later is not in it.
func (a *Account) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return State{maps.Clone(a.partitions)} // a write replaces a partition
}

// Restore makes the account hold what it held then.
func (a *Account) Restore(s State) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.partitions = maps.Clone(s.partitions)
}

// Partitions are the keys of all partitions, as JSON arrays.
func (a *Account) Partitions() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.partitions))
}

func (a *Account) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// ServeHTTP answers as the service would.
func (a *Account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var f Fault
	if a.Faults != nil && r.URL.Path != "/" {
		f = a.Faults(r)
	}
	out := http.ResponseWriter(w)
	if f.Drop || f.Hang || f.Status != 0 {
		out = discard{http.Header{}}
	}
	if f == (Fault{}) || f.After {
		a.answer(out, r)
	}
	switch {
	case f.Hang:
		// Only a server that has read the request sees its client go.
		_, _ = io.Copy(io.Discard, r.Body) // nobody is told
		<-r.Context().Done()
	case f.Drop:
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		if f.RetryAfter > 0 {
			w.Header().Set("x-ms-retry-after-ms", strconv.FormatInt(f.RetryAfter.Milliseconds(), 10))
		}
		fail(w, f.Status, "a fault on purpose")
	}
}

// discard is a connection that nobody listens to.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

func fail(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"code": http.StatusText(status), "message": message}) // the client may have gone
}

func (a *Account) answer(w http.ResponseWriter, r *http.Request) {
	token, signed := strings.CutPrefix(r.Header.Get("Authorization"), "type=aad&ver=1.0&sig=")
	if !signed || token == "" || (a.Tokens != nil && !a.Tokens(token)) {
		fail(w, http.StatusUnauthorized, "no token that is good here")
		return
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/" && r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"fake","writableLocations":[],"readableLocations":[],"enableMultipleWriteLocations":false,"userConsistencyPolicy":{"defaultConsistencyLevel":"BoundedStaleness"}}`) // the client may have gone
	case len(path) == 5 && path[0] == "dbs" && path[2] == "colls" && path[4] == "docs" && r.Method == http.MethodPost:
		a.documents(w, r)
	case len(path) == 6 && path[0] == "dbs" && path[2] == "colls" && path[4] == "docs" && r.Method == http.MethodGet:
		a.read(w, r, path[5])
	default:
		fail(w, http.StatusNotImplemented, "this is not played here")
	}
}

// documents answers what is posted to the container: a query or a batch.
func (a *Account) documents(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxRequest))
	switch {
	case err != nil:
		fail(w, http.StatusRequestEntityTooLarge, "the request is larger than 2 MB")
	case strings.EqualFold(r.Header.Get("x-ms-cosmos-is-batch-request"), "true"):
		a.batch(w, r, body)
	case strings.EqualFold(r.Header.Get("x-ms-documentdb-query"), "true"):
		a.query(w, r, body)
	default:
		fail(w, http.StatusNotImplemented, "single writes are not played here")
	}
}

// keyOf is the request's partition key; false where it is not a whole one.
func keyOf(r *http.Request) (string, bool) {
	var parts []any
	key := r.Header.Get("x-ms-documentdb-partitionkey")
	if json.Unmarshal([]byte(key), &parts) != nil || len(parts) != 2 {
		return "", false
	}
	tenant, ok := parts[0].(string)
	bucket, number := parts[1].(float64)
	return string(keyJSON(tenant, bucket)), ok && number
}

func keyJSON(tenant string, bucket float64) []byte {
	b, err := json.Marshal([]any{tenant, bucket})
	if err != nil {
		panic(err) // a string and a number
	}
	return b
}

// live is the item of an id, unless its time is over.
func (p *partition) live(id string, now time.Time) *item {
	if p == nil {
		return nil
	}
	i := p.items[id]
	if i == nil || (!i.until.IsZero() && !i.until.After(now)) {
		return nil
	}
	return i
}

func (a *Account) charged(w http.ResponseWriter, op string, ru float64) {
	w.Header().Set("x-ms-request-charge", strconv.FormatFloat(ru, 'f', 2, 64))
	w.Header().Set("Content-Type", "application/json")
	if a.Asked != nil {
		a.Asked(op, ru)
	}
}

func (a *Account) read(w http.ResponseWriter, r *http.Request, id string) {
	key, ok := keyOf(r)
	if !ok {
		fail(w, http.StatusBadRequest, "a read needs the whole partition key")
		return
	}
	a.mu.Lock()
	i := a.partitions[key].live(id, a.now())
	a.mu.Unlock()
	if i == nil {
		a.charged(w, "read", fresh(r, ReadUnits(0)))
		fail(w, http.StatusNotFound, "no such item")
		return
	}
	a.charged(w, "read", fresh(r, ReadUnits(i.size)))
	w.Header().Set("etag", i.etag)
	_ = json.NewEncoder(w).Encode(i.fields) // the client may have gone
}

// operation is one of a batch.
type operation struct {
	Type    string          `json:"operationType"`
	ID      string          `json:"id"`
	IfMatch *string         `json:"ifMatch"`
	Body    json.RawMessage `json:"resourceBody"`
}

type result struct {
	Status int     `json:"statusCode"`
	Charge float64 `json:"requestCharge"`
	ETag   string  `json:"eTag,omitempty"`
}

func (a *Account) batch(w http.ResponseWriter, r *http.Request, body []byte) {
	key, ok := keyOf(r)
	var ops []operation
	if !ok || json.Unmarshal(body, &ops) != nil || len(ops) == 0 || len(ops) > maxOps {
		fail(w, http.StatusBadRequest, "a batch is 1 to 100 operations of one partition")
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	p := &partition{items: map[string]*item{}}
	if old := a.partitions[key]; old != nil {
		p.items = maps.Clone(old.items)
	}
	results := make([]result, len(ops))
	var written []*item
	total := 0.0
	for n, op := range ops {
		status, made := a.apply(p, key, op, now)
		results[n] = result{Status: status, Charge: WriteUnits(len(op.Body))}
		if made != nil {
			results[n].ETag = made.etag
			written = append(written, made)
		}
		total += results[n].Charge
		if status >= 400 {
			for other := range results {
				if other != n {
					results[other] = result{Status: http.StatusFailedDependency}
				}
			}
			a.charged(w, "batch", total)
			w.WriteHeader(http.StatusMultiStatus)
			_ = json.NewEncoder(w).Encode(results) // the client may have gone
			return
		}
	}
	if a.partitions == nil {
		a.partitions = map[string]*partition{}
	}
	a.partitions[key] = p
	a.charged(w, "batch", total)
	for _, m := range written {
		if a.Wrote != nil {
			a.Wrote(key, m.text("key"))
		}
	}
	_ = json.NewEncoder(w).Encode(results) // the client may have gone
}

// apply does an operation to the partition, and returns its status.
func (a *Account) apply(p *partition, key string, op operation, now time.Time) (int, *item) {
	id := op.ID
	var made *item
	if op.Type != "Delete" {
		made = &item{size: len(op.Body)}
		if json.Unmarshal(op.Body, &made.fields) != nil {
			return http.StatusBadRequest, nil
		}
		var tenant string
		var bucket, ttl float64
		if json.Unmarshal(made.fields["tenant"], &tenant) != nil || json.Unmarshal(made.fields["bucket"], &bucket) != nil || string(keyJSON(tenant, bucket)) != key {
			return http.StatusBadRequest, nil // the item is of another partition
		}
		if body := made.text("id"); body == "" || strings.ContainsAny(body, `/\?#`) || len(body) > 1023 || (id != "" && id != body) {
			return http.StatusBadRequest, nil
		}
		id = made.text("id")
		if raw, ok := made.fields["ttl"]; ok {
			if json.Unmarshal(raw, &ttl) != nil || ttl != float64(int(ttl)) || ttl == 0 || ttl < -1 {
				return http.StatusBadRequest, nil
			}
			if ttl > 0 {
				made.until = now.Truncate(time.Second).Add(time.Duration(ttl) * time.Second)
			}
		}
		a.writes++
		made.etag = fmt.Sprintf(`"%08x-0000-0d00-0000-%012x"`, now.Unix(), a.writes)
		made.fields["_etag"] = json.RawMessage(strconv.Quote(made.etag))
		made.fields["_ts"] = json.RawMessage(strconv.FormatInt(now.Unix(), 10))
	}
	there := p.live(id, now)
	switch {
	case op.Type == "Create" && there != nil:
		return http.StatusConflict, nil
	case (op.Type == "Replace" || op.Type == "Delete") && there == nil:
		return http.StatusNotFound, nil
	case op.IfMatch != nil && (there == nil || there.etag != *op.IfMatch):
		return http.StatusPreconditionFailed, nil
	}
	switch op.Type {
	case "Create":
		p.items[id] = made
		return http.StatusCreated, made
	case "Replace", "Upsert":
		p.items[id] = made
		if there == nil {
			return http.StatusCreated, made
		}
		return http.StatusOK, made
	case "Delete":
		delete(p.items, id)
		return http.StatusNoContent, nil
	}
	return http.StatusBadRequest, nil
}
