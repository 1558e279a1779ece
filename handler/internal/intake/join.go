package intake

import (
	"bytes"
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/intake/spill"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// joining is the second stage: a partition at a time, the rows of each customer are
// brought together, checked against each other and merged with what is stored.
type joining struct {
	book     *book.Book
	tenant   book.Tenant
	reading  *reading
	lost     [4]map[pair]bool
	given    [4]bool // which tables were given
	out      *spill.File
	findings *findings

	customer CustomerCounts
	vanished vanished
}

// vanished are stored policies in force that an export no longer has.
type vanished struct {
	n   int64
	ids []string
}

// maxVanished bounds how many are named: those whose ids come first.
const maxVanished = 1000

func (v *vanished) add(ids []string) {
	v.n += int64(len(ids))
	if v.ids = append(v.ids, ids...); len(v.ids) > 2*maxVanished {
		v.cut()
	}
}

func (v *vanished) cut() {
	slices.Sort(v.ids)
	v.ids = v.ids[:min(len(v.ids), maxVanished)]
}

// maxPartition is how much of a partition is taken into memory. Partitions are sized
// to stay far below; only one customer with millions of rows comes near.
const maxPartition = 512 << 20

// fewBytes is up to where a bucket's places are looked up one by one.
const fewBytes = 64 << 10

// maxAggregate is how large an encoded customer may be: a batch of the store holds
// it with its key.
const maxAggregate = store.MaxBytes - 4<<10

// run joins all partitions.
func (j *joining) run(ctx context.Context, done func(int)) error {
	both, working := errgroup.WithContext(ctx)
	toPlace := make(chan placing, 1)
	both.Go(func() error { return j.place(working, toPlace) })
	free := make(chan *joiner, workers)
	for range workers {
		free <- &joiner{joining: j, out: j.out.Writer(), toPlace: toPlace}
	}
	both.Go(func() error {
		defer close(toPlace)
		return j.join(working, free, done)
	})
	if err := both.Wait(); err != nil {
		return err
	}
	close(free)
	for w := range free {
		if err := w.out.Flush(); err != nil {
			return err
		}
		j.customer.add(w.counts)
		j.vanished.add(w.vanished)
	}
	return ctx.Err()
}

// join joins bucket after bucket, two at a time.
func (j *joining) join(ctx context.Context, free chan *joiner, done func(int)) error {
	g, working := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for bucket := range j.tenant.Buckets {
		if working.Err() != nil {
			break
		}
		g.Go(func() error {
			defer done(1)
			w := <-free
			defer func() { free <- w }()
			return w.bucket(working, bucket)
		})
	}
	return g.Wait()
}

// placing are places to be written to a bucket.
type placing struct {
	bucket int
	places []book.Place
}

// place writes places while others join.
func (j *joining) place(ctx context.Context, all <-chan placing) error {
	for p := range all {
		if err := j.book.PutPlaces(ctx, j.tenant, p.bucket, p.places); err != nil {
			return err
		}
	}
	return nil
}

// bucket joins the partitions of the customers whose places lie in one bucket.
func (w *joiner) bucket(ctx context.Context, bucket int) error {
	j := w.joining
	w.ctx, w.places = ctx, nil
	size := 0
	for part := bucket; part < j.reading.parts; part += j.tenant.Buckets {
		n := j.reading.rows.Bytes(part)
		if n > maxPartition {
			return fault.New(fault.TooLarge, "too many rows for one customer, or files of unknown size too large to be joined")
		}
		size += n
	}
	if size == 0 {
		return nil
	}
	if size > fewBytes {
		w.places = make(map[string]book.Place)
		for p, err := range j.book.Places(ctx, j.tenant, bucket) {
			if err != nil {
				return err
			}
			w.places[p.ID] = p
		}
	}
	for part := bucket; part < j.reading.parts; part += j.tenant.Buckets {
		if err := w.partition(part); err != nil {
			return err
		}
	}
	select {
	case w.toPlace <- placing{bucket, w.placed}:
		w.placed = nil
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// joiner joins one bucket after another; what it needs for a customer is reused.
type joiner struct {
	*joining
	ctx     context.Context
	out     *spill.Writer
	buf     []byte
	data    string // the partition
	toPlace chan<- placing
	places  map[string]book.Place // nil: look up one by one
	placed  []book.Place          // places to be written
	counts  CustomerCounts

	id       string // the customer that is being joined
	entries  []entry
	rows     portfolio.RowDecoder
	stored   portfolio.Decoder
	enc      portfolio.Encoder
	view     portfolio.View
	fresh    portfolio.Aggregate // of a customer that is not stored
	in       portfolio.Aggregate
	lines    [4][]int64
	spare    portfolio.Aggregate // what sorting copies to
	order    []int
	mentions []string
	vanished []string
	body     []byte
	passed   []byte
}

// entry is a record in a partition: small, because sorting moves it about.
type entry struct {
	customer uint64 // a hash with a secret seed: within a partition two do not collide
	order    uint64 // kind and line
	at       int    // where the record begins in the partition
}

// lineBits leaves room for the kind above the line in an entry's order.
const lineBits = 56

// record is what an entry stands for.
func (w *joiner) record(e entry) (customer, row string) {
	record, _ := spill.Next(w.data[e.at:])
	_, record = cutLine(record[1:])
	return cutText(record)
}

func (w *joiner) partition(part int) error {
	return w.reading.rows.Read(part, 0, &w.buf, func(piece []byte) error {
		// Rows are parts of this one copy: they cost no allocation of their own.
		w.data = string(piece)
		w.entries = w.entries[:0]
		for at := 0; at < len(w.data); {
			record, rest := spill.Next(w.data[at:])
			line, named := cutLine(record[1:])
			customer, _ := cutText(named)
			w.entries = append(w.entries, entry{
				customer: maphash.String(w.reading.seed, customer), order: uint64(record[0])<<lineBits | uint64(line), at: at,
			})
			at = len(w.data) - len(rest)
		}
		slices.SortFunc(w.entries, func(a, b entry) int {
			if c := cmp.Compare(a.customer, b.customer); c != 0 {
				return c
			}
			return cmp.Compare(a.order, b.order)
		})
		for from := 0; from < len(w.entries); {
			to := from + 1
			for to < len(w.entries) && w.entries[to].customer == w.entries[from].customer {
				to++
			}
			if err := w.ctx.Err(); err != nil {
				return err
			}
			id, _ := w.record(w.entries[from])
			if err := w.one(id, w.entries[from:to]); err != nil {
				return err
			}
			from = to
		}
		return nil
	})
}

// one joins the rows of one customer.
func (w *joiner) one(id string, entries []entry) error {
	place, body, etag, err := w.find(id)
	if err != nil {
		return err
	}
	stored := &w.fresh
	stored.Customers, stored.Policies = stored.Customers[:0], stored.Policies[:0]
	stored.Claims, stored.Contacts = stored.Claims[:0], stored.Contacts[:0]
	if etag != "" {
		if stored, err = w.stored.Decode(body); err != nil {
			return fault.Wrap(fault.Internal, err, "decoding a stored customer")
		}
	}
	if err := w.take(id, entries); err != nil {
		return err
	}
	if len(w.in.Customers) == 0 && etag == "" {
		return w.rejectAll(portfolio.Breach{Field: "customer_id", Rule: "is not in the customers file and not stored"})
	}
	if err := w.checkRows(stored); err != nil {
		return err
	}
	if len(w.in.Customers)+len(w.in.Policies)+len(w.in.Claims)+len(w.in.Contacts) == 0 {
		return nil
	}
	w.findVanished(stored)
	w.in.Normalise(w.reading.asOf)
	var conflicts error
	stored.Merge(&w.in, func(t portfolio.Table, i int) {
		if conflicts == nil {
			conflicts = w.reject(t, i, portfolio.Breach{Rule: "differs from the stored row with the same recorded_at and valid_from"})
		}
	})
	if conflicts != nil {
		return conflicts
	}
	w.body = w.enc.Append(w.body[:0], stored)
	switch relation := stored.Latest().Relation(); {
	case len(w.body) > maxAggregate:
		return w.rejectAll(portfolio.Breach{Field: "customer_id", Rule: "has more rows than a customer can have (2 MiB)"})
	case etag != "" && bytes.Equal(w.body, body):
		w.counts.Unchanged++
		return nil
	case etag != "" && place.Relation != relation:
		w.counts.Moved++
		return put(w.ctx, w.book, w.tenant, stored)
	default:
		if place.Relation != relation {
			w.placed = append(w.placed, book.Place{ID: strings.Clone(id), Relation: relation})
		}
		return w.pass(relation, id, etag)
	}
}

// pass hands the encoded aggregate to the last stage.
func (w *joiner) pass(relation, id, etag string) error {
	w.passed = appendText(appendText(appendText(w.passed[:0], relation), id), etag)
	w.passed = append(w.passed, w.body...)
	return w.out.Append(w.tenant.RelationBucket(relation), w.passed)
}

// find reads where a customer lies and what is stored of it; etag "" is nothing.
func (w *joiner) find(id string) (p book.Place, body []byte, etag string, err error) {
	p, ok := w.places[id]
	if w.places == nil {
		if p, ok, err = w.book.Place(w.ctx, w.tenant, id); err != nil {
			return p, nil, "", err
		}
	}
	for tries := 0; ok; tries++ {
		if p.Leaving != "" {
			if p, err = w.book.Settle(w.ctx, w.tenant, p); err != nil {
				return p, nil, "", err
			}
		}
		body, etag, found, err := w.book.Stored(w.ctx, w.tenant, p)
		if err != nil || found {
			return p, body, etag, err
		}
		// It may have moved since its place was read; or it never came, because what
		// wrote the place was killed.
		before := p
		if p, ok, err = w.book.Place(w.ctx, w.tenant, id); err != nil || ok && p == before || tries == 5 {
			return p, nil, "", err
		}
	}
	return book.Place{}, nil, "", nil
}

// take decodes the rows of a customer, each with its line.
func (w *joiner) take(id string, entries []entry) error {
	w.id = id
	w.rows.Reset()
	w.in.Customers, w.in.Policies = w.in.Customers[:0], w.in.Policies[:0]
	w.in.Claims, w.in.Contacts = w.in.Claims[:0], w.in.Contacts[:0]
	for t := range w.lines {
		w.lines[t] = w.lines[t][:0]
	}
	w.mentions = w.mentions[:0]
	for _, e := range entries {
		_, row := w.record(e)
		kind, line := uint8(e.order>>lineBits), int64(e.order&(1<<lineBits-1))
		if kind == mention {
			w.mentions = append(w.mentions, row)
			continue
		}
		t := portfolio.Table(kind)
		if err := w.rows.Add(&w.in, t, id, row); err != nil {
			return fault.Wrap(fault.Internal, err, "reading a scratch file")
		}
		w.lines[t] = append(w.lines[t], line)
	}
	return nil
}

// rejectAll reports all rows of the customer that are left.
func (w *joiner) rejectAll(b portfolio.Breach) error {
	for t := range w.lines {
		for i := range w.lines[t] {
			if err := w.reject(portfolio.Table(t), i, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// reject reports the i-th row of a table.
func (w *joiner) reject(t portfolio.Table, i int, b portfolio.Breach) error {
	return w.findings.reject(t, w.lines[t][i], w.own(t, i), b)
}

func (w *joiner) own(t portfolio.Table, i int) string {
	switch t {
	case portfolio.Customers:
		return w.in.Customers[i].ID
	case portfolio.Policies:
		return w.in.Policies[i].ID
	case portfolio.Claims:
		return w.in.Claims[i].ID
	default:
		return w.in.Contacts[i].CustomerID
	}
}

// checkRows holds the rows of a customer against each other and what is stored, and
// leaves those in w.in, sorted, that are good.
func (w *joiner) checkRows(stored *portfolio.Aggregate) error {
	for i := range w.in.Policies {
		w.mentions = append(w.mentions, w.in.Policies[i].ID)
	}
	if err := arrange(w, portfolio.Customers, &w.in.Customers, &w.spare.Customers,
		func(c *portfolio.Customer) (string, *portfolio.Version) { return c.ID, &c.Version }); err != nil {
		return err
	}
	if err := arrange(w, portfolio.Policies, &w.in.Policies, &w.spare.Policies,
		func(p *portfolio.Policy) (string, *portfolio.Version) { return p.ID, &p.Version }); err != nil {
		return err
	}
	if err := arrange(w, portfolio.Claims, &w.in.Claims, &w.spare.Claims,
		func(c *portfolio.Claim) (string, *portfolio.Version) { return c.ID, &c.Version }); err != nil {
		return err
	}
	return w.checkClaims(stored)
}

// arrange sorts a table's rows as an aggregate has them and rejects duplicates: of
// one id, recorded_at and valid_from the first line counts.
func arrange[R any](w *joiner, t portfolio.Table, rows, spare *[]R, head func(*R) (string, *portfolio.Version)) error {
	in, lines := *rows, w.lines[t]
	sorted := true
	w.order = w.order[:0]
	compare := func(a, b int) int {
		x, v := head(&in[a])
		y, u := head(&in[b])
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(v.RecordedAt, u.RecordedAt), cmp.Compare(v.ValidFrom, u.ValidFrom))
	}
	for i := range in {
		_, v := head(&in[i])
		v.Stamp(w.reading.asOf)
		w.order = append(w.order, i)
		sorted = sorted && (i == 0 || compare(i-1, i) < 0)
	}
	if sorted && len(w.lost[t]) == 0 {
		return nil
	}
	slices.SortStableFunc(w.order, compare)
	out, outLines, before := (*spare)[:0], make([]int64, 0, len(in)), -1
	for _, i := range w.order {
		id, _ := head(&in[i])
		var breach portfolio.Breach
		switch {
		case len(w.lost[t]) > 0 && w.lost[t][w.reading.pair(id, w.id)]:
			breach = portfolio.Breach{Field: ownField[t], Rule: "stands under another customer on an earlier line"}
		case before >= 0 && compare(before, i) == 0:
			breach = portfolio.Breach{Field: ownField[t], Rule: "occurs twice with the same recorded_at and valid_from"}
		default:
			out, outLines, before = append(out, in[i]), append(outLines, lines[i]), i
			continue
		}
		if err := w.reject(t, i, breach); err != nil {
			return err
		}
	}
	*rows, *spare = out, in
	w.lines[t] = outLines
	return nil
}

var ownField = [...]string{"customer_id", "policy_id", "claim_id", "customer_id"}

// checkClaims rejects claims on policies that the customer does not have. A loss
// outside the policy's term is let in with a warning: policies are renumbered and
// rewritten, and liability covers have prior acts and run-off.
func (w *joiner) checkClaims(stored *portfolio.Aggregate) error {
	in, lines := w.in.Claims, w.lines[portfolio.Claims]
	if len(in) == 0 {
		return nil
	}
	kept := 0
	for i := range in {
		c := &in[i]
		p := lastVersion(w.in.Policies, c.PolicyID)
		if p == nil {
			p = lastVersion(stored.Policies, c.PolicyID)
		}
		if p == nil {
			if err := w.reject(portfolio.Claims, i, portfolio.Breach{Field: "policy_id", Rule: "is not a policy of this customer"}); err != nil {
				return err
			}
			continue
		}
		rule := ""
		switch {
		case c.LossDate < p.StartDate:
			rule = "is before the policy's start_date"
		case p.EndDate != 0 && c.LossDate >= p.EndDate:
			rule = "is not before the policy's end_date"
		}
		if rule != "" {
			if err := w.findings.warn(portfolio.Claims, lines[i], c.ID, portfolio.Breach{Field: "loss_date", Rule: rule}); err != nil {
				return err
			}
		}
		in[kept], lines[kept] = in[i], lines[i]
		kept++
	}
	w.in.Claims, w.lines[portfolio.Claims] = in[:kept], lines[:kept]
	return nil
}

// lastVersion finds the newest version of a policy in sorted rows.
func lastVersion(rows []portfolio.Policy, id string) *portfolio.Policy {
	i, _ := slices.BinarySearchFunc(rows, id, func(p portfolio.Policy, id string) int {
		if p.ID <= id {
			return -1
		}
		return 1
	})
	if i == 0 || rows[i-1].ID != id {
		return nil
	}
	return &rows[i-1]
}

// findVanished notes the stored policies in force of which the files say nothing.
func (w *joiner) findVanished(stored *portfolio.Aggregate) {
	if !w.given[portfolio.Policies] || len(stored.Policies) == 0 || len(w.in.Customers) == 0 {
		return
	}
	slices.Sort(w.mentions)
	viewed := false
	for i := range stored.Policies {
		id := stored.Policies[i].ID
		if i > 0 && stored.Policies[i-1].ID == id {
			continue
		}
		if _, ok := slices.BinarySearch(w.mentions, id); ok {
			continue
		}
		if !viewed {
			w.view.Reset(stored, w.reading.asOf, portfolio.DefaultEnds)
			viewed = true
		}
		if p := w.view.Policy(id); p != nil && p.InForce(w.reading.asOf) {
			w.vanished = append(w.vanished, strings.Clone(id))
		}
	}
}
