// Package storetest holds what every store.Store must do, as tests.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// Clock is a clock that a test sets. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock is a clock at a fixed instant, at a whole second: stores keep times of
// expiry to the second at least.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)}
}

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Run tests a store. The function opens an empty one that tells time by the clock; the
// suite closes it.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) store.Store) {
	for name, test := range map[string]func(*suite){
		"get":               testGet,
		"get many":          testGetMany,
		"put":               testPut,
		"create":            testCreate,
		"replace":           testReplace,
		"delete":            testDelete,
		"etags":             testETags,
		"keys":              testKeys,
		"bodies":            testBodies,
		"limits":            testLimits,
		"atomic":            testAtomic,
		"isolation":         testIsolation,
		"scan order":        testScanOrder,
		"scan bounds":       testScanBounds,
		"scan pages":        testScanPages,
		"scan owns":         testScanOwns,
		"scan and write":    testScanAndWrite,
		"scan abandoned":    testScanAbandoned,
		"expiry":            testExpiry,
		"cancelled":         testCancelled,
		"one create wins":   testOneCreateWins,
		"counting":          testCounting,
		"batches are whole": testBatchesAreWhole,
		"model":             testModel,
	} {
		t.Run(name, func(t *testing.T) {
			clock := NewClock()
			s := &suite{T: t, store: open(t, clock.Now), clock: clock, p: store.Partition{Tenant: "t1", Bucket: 3}}
			t.Cleanup(func() {
				if err := s.store.Close(); err != nil {
					t.Errorf("closing: %v", err)
				}
			})
			test(s)
		})
	}
}

type suite struct {
	*testing.T
	store store.Store
	clock *Clock
	p     store.Partition
}

func op(verb store.Verb, key, body string) store.Op {
	return store.Op{Verb: verb, Document: store.Document{Key: key, Body: []byte(body)}}
}

func (s *suite) write(ops ...store.Op) {
	s.Helper()
	if err := s.store.Write(s.Context(), s.p, ops); err != nil {
		s.Fatalf("writing: %v", err)
	}
}

// fails wants a write to fail with a kind.
func (s *suite) fails(kind fault.Kind, ops ...store.Op) {
	s.Helper()
	if err := s.store.Write(s.Context(), s.p, ops); !fault.Is(err, kind) {
		s.Fatalf("the write gave %v, want a fault of kind %v", err, kind)
	}
}

func (s *suite) get(key string) store.Document {
	s.Helper()
	d, err := s.store.Get(s.Context(), s.p, key)
	if err != nil {
		s.Fatalf("reading %q: %v", key, err)
	}
	return d
}

// holds wants the partition to hold just these keys and bodies, in this order.
func (s *suite) holds(want ...string) {
	s.Helper()
	if got := s.scan("", ""); !slices.Equal(got, want) {
		s.Fatalf("the partition holds %q, want %q", got, want)
	}
}

func (s *suite) scan(prefix, after string) []string {
	s.Helper()
	var got []string
	for d, err := range s.store.Scan(s.Context(), s.p, prefix, after) {
		if err != nil {
			s.Fatalf("scanning: %v", err)
		}
		got = append(got, d.Key+"="+string(d.Body))
	}
	return got
}

func testGet(s *suite) {
	if _, err := s.store.Get(s.Context(), s.p, "a"); !fault.Is(err, fault.NotFound) {
		s.Errorf("a missing document: %v", err)
	}
	s.write(op(store.Put, "a", "1"))
	d := s.get("a")
	if d.Key != "a" || string(d.Body) != "1" || d.ETag == "" || !d.Expires.IsZero() {
		s.Errorf("got %+v", d)
	}
	for _, key := range []string{"A", "a ", "", "a\x00"} {
		if _, err := s.store.Get(s.Context(), s.p, key); !fault.Is(err, fault.NotFound) {
			s.Errorf("%q beside \"a\": %v", key, err)
		}
	}
}

func testGetMany(s *suite) {
	s.write(op(store.Put, "a", "1"), op(store.Put, "b\x1fé", "2"), op(store.Put, "c", "3"), op(store.Put, "d", "4"))
	late := op(store.Put, "e", "5")
	late.Expires = s.clock.Now().Add(time.Second)
	s.write(late)
	s.clock.Advance(time.Minute)
	docs, err := s.store.GetMany(s.Context(), s.p, []string{"c", "missing", "b\x1fé", "e", "", "a", "a"})
	if err != nil {
		s.Fatal(err)
	}
	var got []string
	for _, d := range docs {
		if one := s.get(d.Key); d.ETag != one.ETag {
			s.Errorf("%q has the ETag %q here and %q there", d.Key, d.ETag, one.ETag)
		}
		got = append(got, d.Key+"="+string(d.Body))
	}
	if diff := cmp.Diff([]string{"a=1", "b\x1fé=2", "c=3"}, got); diff != "" {
		s.Error(diff)
	}
	if docs, err := s.store.GetMany(s.Context(), s.p, nil); err != nil || len(docs) > 0 {
		s.Errorf("nothing was asked for: %d documents, %v", len(docs), err)
	}
	if docs, err := s.store.GetMany(s.Context(), store.Partition{Tenant: "t2", Bucket: 3}, []string{"a"}); err != nil || len(docs) > 0 {
		s.Errorf("another partition has %d of the documents, %v", len(docs), err)
	}
	if _, err := s.store.GetMany(s.Context(), s.p, make([]string, store.MaxOps+1)); !fault.Is(err, fault.Invalid) {
		s.Errorf("more than are read at once: %v", err)
	}
}

func testPut(s *suite) {
	s.write(op(store.Put, "a", "1"), op(store.Put, "b", "2"))
	s.write(op(store.Put, "a", "3"))
	s.holds("a=3", "b=2")
	s.write()
	s.holds("a=3", "b=2")
}

func testCreate(s *suite) {
	s.write(op(store.Create, "a", "1"))
	s.fails(fault.Conflict, op(store.Create, "a", "2"))
	s.holds("a=1")
	s.write(op(store.Delete, "a", ""))
	s.write(op(store.Create, "a", "3"))
	s.holds("a=3")
}

func testReplace(s *suite) {
	replace := func(key, body, etag string) store.Op {
		o := op(store.Replace, key, body)
		o.ETag = etag
		return o
	}
	s.write(op(store.Put, "a", "1"))
	first := s.get("a").ETag
	s.write(replace("a", "2", first))
	s.fails(fault.Conflict, replace("a", "3", first))
	for _, etag := range []string{"", "no etag", "-1", "0"} {
		s.fails(fault.Conflict, replace("a", "3", etag))
	}
	s.fails(fault.Conflict, replace("missing", "3", first))
	s.holds("a=2")
}

func testDelete(s *suite) {
	s.write(op(store.Delete, "a", ""))
	s.write(op(store.Put, "a", "1"), op(store.Put, "b", "2"))
	s.write(op(store.Delete, "a", ""), op(store.Delete, "c", ""))
	s.holds("b=2")
}

func testETags(s *suite) {
	seen := map[string]bool{}
	changed := func(what string) {
		s.Helper()
		d := s.get("a")
		if seen[d.ETag] {
			s.Errorf("after %s the document has an ETag that it had before", what)
		}
		seen[d.ETag] = true
		for scanned, err := range s.store.Scan(s.Context(), s.p, "", "") {
			if err != nil || scanned.ETag != d.ETag {
				s.Errorf("a scan tells the ETag %q, Get tells %q (%v)", scanned.ETag, d.ETag, err)
			}
		}
		if s.get("a").ETag != d.ETag {
			s.Error("the ETag changes with nothing written")
		}
	}
	s.write(op(store.Create, "a", "1"))
	changed("a create")
	s.write(op(store.Put, "a", "1"))
	changed("a put of the same body")
	// One who read the document before it was deleted must not overwrite the new one.
	s.write(op(store.Delete, "a", ""))
	s.write(op(store.Create, "a", "1"))
	changed("a delete and a create")
	o := op(store.Replace, "a", "1")
	o.ETag = s.get("a").ETag
	s.write(o)
	changed("a replace")
}

// oddKeys are in bytewise order.
var oddKeys = []string{
	"\x01", "\x1f", " ", " leading", "!", `"`, "#", "%", "%00", "%2F", "*", "..", "/", "/a", "?q=1", "A", "B", `\`, "_",
	"a", "a\x1fb", "a\x1fb\x1fc", "a b", "a%b", "a/b", "a_b", "aa", "ab", "b", "trailing ", "~", "\x7f", "é", "e\u0301",
	"ÿ", "ῼ", "€", "\ufffd", "\uffff", "𝄞", "\U0010ffff",
}

func testKeys(s *suite) {
	keys := append(slices.Clone(oddKeys), strings.Repeat("k", store.MaxKey))
	slices.Sort(keys)
	for _, key := range keys {
		s.write(op(store.Create, key, "body of "+key))
	}
	for _, key := range keys {
		if d := s.get(key); d.Key != key || string(d.Body) != "body of "+key {
			s.Errorf("%q came back as %q with %q", key, d.Key, d.Body)
		}
	}
	var got []string
	for d, err := range s.store.Scan(s.Context(), s.p, "", "") {
		if err != nil {
			s.Fatal(err)
		}
		got = append(got, d.Key)
	}
	if diff := cmp.Diff(keys, got); diff != "" {
		s.Errorf("keys in the order of a scan (-want +got):\n%s", diff)
	}
	for _, prefix := range keys {
		want := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !strings.HasPrefix(k, prefix) })
		got := s.scan(prefix, "")
		for i := range got {
			got[i], _, _ = strings.Cut(got[i], "=body of")
		}
		if !slices.Equal(got, want) {
			s.Errorf("prefix %q: got %q, want %q", prefix, got, want)
		}
	}
}

func testBodies(s *suite) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	const key = "a"
	for _, body := range [][]byte{nil, {}, {0}, all, bytes.Repeat(all, 100), bytes.Repeat(all, (store.MaxBytes-len(key))/256), make([]byte, store.MaxBytes-len(key))} {
		s.write(store.Op{Document: store.Document{Key: key, Body: body}})
		if got := s.get(key).Body; !bytes.Equal(got, body) {
			s.Errorf("a body of %d bytes came back as %d other bytes", len(body), len(got))
		}
		for d, err := range s.store.Scan(s.Context(), s.p, "", "") {
			if err != nil || !bytes.Equal(d.Body, body) {
				s.Errorf("a body of %d bytes was scanned as %d other bytes (%v)", len(body), len(d.Body), err)
			}
		}
	}
	// The store must not hold on to what the caller gave it.
	body := []byte("before")
	s.write(store.Op{Document: store.Document{Key: key, Body: body}})
	copy(body, "after!")
	s.holds("a=before")
}

func testLimits(s *suite) {
	batch := func(n, size int) []store.Op {
		ops := make([]store.Op, n)
		for i := range ops {
			ops[i] = op(store.Put, fmt.Sprintf("k%04d", i), strings.Repeat("x", size))
		}
		return ops
	}
	s.fails(fault.Invalid, batch(store.MaxOps+1, 1)...)
	s.fails(fault.Invalid, batch(2, store.MaxBytes/2)...)
	s.fails(fault.Invalid, op(store.Put, "a", "1"), op(store.Put, "", "2"))
	s.fails(fault.Invalid, op(store.Put, strings.Repeat("k", store.MaxKey+1), "1"))
	s.fails(fault.Invalid, op(store.Put, "a\xff", "1"))
	s.fails(fault.Invalid, op(store.Put, "a", "1"), op(store.Delete, "a", ""))
	s.holds()
	s.write(batch(store.MaxOps, store.MaxBytes/store.MaxOps-5)...)
	if got := len(s.scan("", "")); got != store.MaxOps {
		s.Errorf("%d documents of the greatest batch", got)
	}
}

func testAtomic(s *suite) {
	s.write(op(store.Put, "b", "1"), op(store.Put, "d", "1"))
	stale := op(store.Replace, "d", "2")
	stale.ETag = "stale"
	for _, failing := range []store.Op{op(store.Create, "b", "2"), stale} {
		s.fails(fault.Conflict, op(store.Put, "a", "2"), op(store.Delete, "d0", ""), failing, op(store.Put, "e", "2"))
		s.fails(fault.Conflict, failing, op(store.Put, "a", "2"))
		s.fails(fault.Conflict, op(store.Put, "a", "2"), op(store.Create, "c", "2"), failing)
		s.holds("b=1", "d=1")
	}
	s.fails(fault.Conflict, op(store.Delete, "d", ""), op(store.Create, "b", "2"))
	s.holds("b=1", "d=1")
}

func testIsolation(s *suite) {
	partitions := []store.Partition{
		{Tenant: "", Bucket: store.Shared},
		{Tenant: "t1", Bucket: store.Shared},
		{Tenant: "t1", Bucket: 0},
		{Tenant: "t1", Bucket: 1},
		{Tenant: "t1", Bucket: 10},
		{Tenant: "t10", Bucket: 1},
		{Tenant: "T1", Bucket: 1},
	}
	for i, p := range partitions {
		s.p = p
		s.holds()
		s.write(op(store.Create, "a", fmt.Sprint(i)))
	}
	for i, p := range partitions {
		s.p = p
		s.holds(fmt.Sprintf("a=%d", i))
	}
	s.p = partitions[2]
	s.write(op(store.Delete, "a", ""))
	s.holds()
	s.p = partitions[3]
	s.holds("a=3")
}

func testScanOrder(s *suite) {
	for _, key := range []string{"b", "a1", "a", "c", "a2", "B", "a10"} {
		s.write(op(store.Put, key, key))
	}
	s.holds("B=B", "a=a", "a1=a1", "a10=a10", "a2=a2", "b=b", "c=c")
}

func testScanBounds(s *suite) {
	for _, key := range []string{"a", "ab", "ab1", "ab2", "ac", "b"} {
		s.write(op(store.Put, key, ""))
	}
	for _, tc := range []struct{ prefix, after, want string }{
		{"", "", "a ab ab1 ab2 ac b"},
		{"ab", "", "ab ab1 ab2"},
		{"ab", "a", "ab ab1 ab2"},
		{"ab", "ab", "ab1 ab2"},
		{"ab", "ab1", "ab2"},
		{"ab", "ab11", "ab2"},
		{"ab", "ab2", ""},
		{"ab", "c", ""},
		{"", "ab2", "ac b"},
		{"", "zz", ""},
		{"abc", "", ""},
		{"z", "", ""},
	} {
		got := strings.ReplaceAll(strings.Join(s.scan(tc.prefix, tc.after), " "), "=", "")
		if got != tc.want {
			s.Errorf("prefix %q after %q: %q, want %q", tc.prefix, tc.after, got, tc.want)
		}
	}
}

// fill puts n documents into the partition: k00000 and so on.
func (s *suite) fill(n, size int) {
	s.Helper()
	var ops []store.Op
	for i := range n {
		ops = append(ops, op(store.Put, fmt.Sprintf("k%05d", i), fmt.Sprintf("%0*d", size, i)))
		if len(ops) == 20 || i == n-1 {
			s.write(ops...)
			ops = ops[:0]
		}
	}
}

// testScanPages scans more than any implementation reads at a time.
func testScanPages(s *suite) {
	for _, size := range []int{1, 3000, 50_000} {
		n := 1100
		if size > 10_000 {
			n = 60
		}
		s.p.Bucket = size
		s.fill(n, size)
		i := 0
		for d, err := range s.store.Scan(s.Context(), s.p, "k", "") {
			if err != nil {
				s.Fatal(err)
			}
			if d.Key != fmt.Sprintf("k%05d", i) || string(d.Body) != fmt.Sprintf("%0*d", size, i) {
				s.Fatalf("document %d of %d bytes is %q", i, size, d.Key)
			}
			i++
		}
		if i != n {
			s.Errorf("%d of %d documents", i, n)
		}
	}
}

// testScanOwns keeps the bodies of a scan, changes them and appends to them.
func testScanOwns(s *suite) {
	s.fill(600, 20)
	var kept []store.Document
	for d, err := range s.store.Scan(s.Context(), s.p, "", "") {
		if err != nil {
			s.Fatal(err)
		}
		d.Body = append(d.Body, '!')
		kept = append(kept, d)
	}
	for i, d := range kept {
		if want := fmt.Sprintf("%020d!", i); string(d.Body) != want || d.Key != fmt.Sprintf("k%05d", i) {
			s.Fatalf("document %d is now %q=%q", i, d.Key, d.Body)
		}
	}
}

// testScanAndWrite writes from within a scan, ahead of it and behind it.
func testScanAndWrite(s *suite) {
	const n = 700
	s.fill(n, 10)
	seen := map[string]int{}
	i := 0
	for d, err := range s.store.Scan(s.Context(), s.p, "", "") {
		if err != nil {
			s.Fatal(err)
		}
		seen[d.Key]++
		if i%100 == 0 && d.Key != "z" {
			s.write(op(store.Put, d.Key, "changed"), op(store.Put, d.Key+"-new", "new"), op(store.Put, "a", "behind"), op(store.Put, "z", "ahead"))
		}
		i++
	}
	for i := range n {
		if key := fmt.Sprintf("k%05d", i); seen[key] != 1 {
			s.Errorf("%s, there throughout, was seen %d times", key, seen[key])
		}
	}
	for key, times := range seen {
		if times > 1 {
			s.Errorf("%s was seen %d times", key, times)
		}
	}
	if seen["a"] != 0 {
		s.Error("a scan went back")
	}
}

func testScanAbandoned(s *suite) {
	s.fill(500, 10)
	for stop := range 20 {
		i := 0
		for _, err := range s.store.Scan(s.Context(), s.p, "", "") {
			if err != nil {
				s.Fatal(err)
			}
			if i++; i > stop*20 {
				break
			}
		}
		s.write(op(store.Put, "z", fmt.Sprint(stop)))
	}
	// One scan within another.
	for outer, err := range s.store.Scan(s.Context(), s.p, "k0000", "") {
		if err != nil {
			s.Fatal(err)
		}
		for inner, err := range s.store.Scan(s.Context(), s.p, outer.Key, "") {
			if err != nil || inner.Key != outer.Key {
				s.Fatalf("scanning %q within %q: %v", inner.Key, outer.Key, err)
			}
		}
	}
}

func testExpiry(s *suite) {
	until := func(o store.Op, d time.Duration) store.Op {
		o.Expires = s.clock.Now().Add(d)
		return o
	}
	s.write(until(op(store.Put, "a", "1"), 10*time.Second), until(op(store.Create, "b", "1"), 20*time.Second), op(store.Put, "c", "1"))
	if d := s.get("a"); !d.Expires.Equal(s.clock.Now().Add(10 * time.Second)) {
		s.Errorf("expires at %v, now is %v", d.Expires, s.clock.Now())
	}
	s.fails(fault.Conflict, op(store.Create, "a", "2"))
	stale := s.get("a").ETag
	s.clock.Advance(9 * time.Second)
	s.holds("a=1", "b=1", "c=1")
	s.clock.Advance(time.Second)
	s.holds("b=1", "c=1")
	if _, err := s.store.Get(s.Context(), s.p, "a"); !fault.Is(err, fault.NotFound) {
		s.Errorf("an expired document: %v", err)
	}
	o := op(store.Replace, "a", "2")
	o.ETag = stale
	s.fails(fault.Conflict, o)
	s.write(op(store.Delete, "a", ""))
	s.write(until(op(store.Create, "a", "2"), time.Second))
	s.clock.Advance(time.Minute)
	s.write(op(store.Create, "a", "3"), op(store.Put, "b", "3"))
	s.clock.Advance(24 * time.Hour)
	s.holds("a=3", "b=3", "c=1") // written without a time, they have none now
	s.write(until(op(store.Put, "c", "4"), -time.Second))
	s.holds("a=3", "b=3")

	// More of them than a page, between two that live.
	s.write(op(store.Put, "j", "first"), op(store.Put, "l", "last"))
	for i := range 6 {
		var ops []store.Op
		for k := range store.MaxOps {
			ops = append(ops, until(op(store.Put, fmt.Sprintf("k%d-%02d", i, k), "x"), time.Second))
		}
		s.write(ops...)
	}
	s.clock.Advance(time.Second)
	s.holds("a=3", "b=3", "j=first", "l=last")
}

func testCancelled(s *suite) {
	s.fill(1000, 10)
	cancelled, cancel := context.WithCancel(s.Context())
	cancel()
	if _, err := s.store.Get(cancelled, s.p, "k00001"); !fault.Is(err, fault.Cancelled) || !errors.Is(err, context.Canceled) {
		s.Errorf("Get: %v", err)
	}
	if err := s.store.Write(cancelled, s.p, []store.Op{op(store.Put, "a", "1")}); !fault.Is(err, fault.Cancelled) {
		s.Errorf("Write: %v", err)
	}
	if _, err := s.store.Get(s.Context(), s.p, "a"); !fault.Is(err, fault.NotFound) {
		s.Errorf("a cancelled write was done: %v", err)
	}
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	n, failed := 0, false
	for _, err := range s.store.Scan(ctx, s.p, "", "") {
		if failed {
			s.Fatal("a scan went on after its error")
		}
		if err != nil {
			failed = true
			if !fault.Is(err, fault.Cancelled) {
				s.Errorf("Scan: %v", err)
			}
			continue
		}
		n++
		cancel()
	}
	if !failed || n == 0 {
		s.Errorf("a scan cancelled at its first document ended after %d without an error", n)
	}
	s.write(op(store.Put, "a", "after"))
}

func testOneCreateWins(s *suite) {
	const n = 8
	for round := range 10 {
		key := fmt.Sprintf("k%d", round)
		errs := make([]error, n)
		s.together(n, func(i int) {
			errs[i] = s.store.Write(s.Context(), s.p, []store.Op{op(store.Create, key, fmt.Sprint(i)), op(store.Put, fmt.Sprintf("%s-%d", key, i), "")})
		})
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				s.Error("two created one document")
			case !fault.Is(err, fault.Conflict):
				s.Error(err)
			}
		}
		if got := s.scan(key, ""); !slices.Equal(got, []string{fmt.Sprintf("%s=%d", key, winner), fmt.Sprintf("%s-%d=", key, winner)}) {
			s.Errorf("after %d won: %q", winner, got)
		}
	}
}

func (s *suite) together(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

// testCounting adds to one number from many sides: no addition may be lost.
func testCounting(s *suite) {
	const writers, each = 6, 15
	s.write(op(store.Create, "n", "0"))
	s.together(writers, func(int) {
		for range each {
			for {
				d, err := s.store.Get(s.Context(), s.p, "n")
				if err != nil {
					s.Error(err)
					return
				}
				var n int
				fmt.Sscan(string(d.Body), &n)
				o := op(store.Replace, "n", fmt.Sprint(n+1))
				o.ETag = d.ETag
				if err = s.store.Write(s.Context(), s.p, []store.Op{o}); err == nil {
					break
				}
				if !fault.Is(err, fault.Conflict) {
					s.Error(err)
					return
				}
			}
		}
	})
	s.holds(fmt.Sprintf("n=%d", writers*each))
}

// testBatchesAreWhole reads single documents while batches are written: a reader that
// has seen a batch's last document finds its first in no older state.
func testBatchesAreWhole(s *suite) {
	batch := func(round int) []store.Op {
		return []store.Op{op(store.Put, "first", fmt.Sprintf("%06d", round)), op(store.Put, "last", fmt.Sprintf("%06d", round))}
	}
	s.write(batch(0)...)
	done := make(chan struct{})
	s.together(4, func(i int) {
		if i == 0 {
			defer close(done)
			for round := range 100 {
				if err := s.store.Write(s.Context(), s.p, batch(round)); err != nil {
					s.Error(err)
				}
			}
			return
		}
		for {
			select {
			case <-done:
				return
			default:
			}
			last, err := s.store.Get(s.Context(), s.p, "last")
			if err != nil {
				s.Error(err)
				return
			}
			first, err := s.store.Get(s.Context(), s.p, "first")
			if err != nil || string(first.Body) < string(last.Body) {
				s.Errorf("last is of batch %s, then first was of %s (%v)", last.Body, first.Body, err)
				return
			}
		}
	})
}

// testModel compares the store with a map, through random batches and scans.
func testModel(s *suite) {
	bucket := 100
	rapid.Check(s.T, func(t *rapid.T) {
		bucket++
		p := store.Partition{Tenant: "model", Bucket: bucket}
		key := rapid.SampledFrom([]string{"a", "ab", "abc", "b", "ba", "c\x1fd", "é", "%"})
		model := map[string]string{}
		etags := map[string]string{}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				after := maps.Clone(model)
				conflict := false
				var ops []store.Op
				for _, k := range rapid.SliceOfNDistinct(key, 1, 6, rapid.ID[string]).Draw(t, "keys") {
					o := op(rapid.SampledFrom([]store.Verb{store.Put, store.Create, store.Replace, store.Delete}).Draw(t, "verb"), k, rapid.StringN(0, 5, 20).Draw(t, "body"))
					_, there := model[k]
					switch o.Verb {
					case store.Create:
						conflict = conflict || there
					case store.Replace:
						o.ETag = etags[k]
						conflict = conflict || !there
					case store.Delete:
						delete(after, k)
					}
					if o.Verb != store.Delete {
						after[k] = string(o.Body)
					}
					ops = append(ops, o)
				}
				err := s.store.Write(s.Context(), p, ops)
				if conflict != fault.Is(err, fault.Conflict) || !conflict && err != nil {
					t.Fatalf("the write gave %v; a conflict was due: %v", err, conflict)
				}
				if !conflict {
					model = after
				}
			},
			"": func(t *rapid.T) {
				prefix := rapid.SampledFrom([]string{"", "a", "ab", "c\x1f"}).Draw(t, "prefix")
				after := rapid.SampledFrom([]string{"", "a", "aa", "b"}).Draw(t, "after")
				var want, got []string
				for _, k := range slices.Sorted(maps.Keys(model)) {
					if strings.HasPrefix(k, prefix) && k > after {
						want = append(want, k+"="+model[k])
					}
				}
				for d, err := range s.store.Scan(s.Context(), p, prefix, after) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, d.Key+"="+string(d.Body))
					etags[d.Key] = d.ETag
				}
				if !slices.Equal(got, want) {
					t.Fatalf("prefix %q after %q: %q, want %q", prefix, after, got, want)
				}
				for k := range model {
					d, err := s.store.Get(s.Context(), p, k)
					if err != nil || string(d.Body) != model[k] {
						t.Fatalf("%q is %q, want %q (%v)", k, d.Body, model[k], err)
					}
					etags[k] = d.ETag
				}
			},
		})
	})
}
