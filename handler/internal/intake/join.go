package intake

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/book"
	"polis/handler/internal/enrichment"
	"polis/handler/internal/fault"
	"polis/handler/internal/intake/spill"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// joining is the last stage: each customer's rows are checked against each other and
// merged with what is stored, and what has changed is written in the order of the store.
type joining struct {
	book     *book.Book
	tenant   book.Tenant
	reading  *reading
	lost     [4]map[pair]bool
	given    [4]bool // which tables were given
	pieces   *spill.File
	findings *findings

	enrichment *enrichment.Table // nil: none was brought

	counts   CustomerCounts
	vanished vanished
	names    branchNames
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

// pieceBytes bounds how much of a bucket is sorted at a time.
const pieceBytes = 4 << 20

// run joins all buckets, two at a time: while one is being written, another's customers
// are made ready.
func (j *joining) run(ctx context.Context, done func(int)) error {
	g, working := errgroup.WithContext(ctx)
	g.SetLimit(3)
	free := make(chan *joiner, 3)
	for range 3 {
		free <- &joiner{joining: j}
	}
	for bucket := range j.pieces.Parts() {
		if working.Err() != nil {
			break
		}
		g.Go(func() error {
			defer done(1)
			w := <-free
			defer func() { free <- w }()
			w.ctx, w.bucket = working, bucket
			return j.pieces.Read(bucket, pieceBytes, &w.buf, w.piece)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	close(free)
	for w := range free {
		j.counts.add(w.counts)
		j.vanished.add(w.vanished)
		j.names.add(w.names)
	}
	return ctx.Err()
}

// joiner joins one customer after another; what it needs for one is reused.
type joiner struct {
	*joining
	ctx      context.Context
	bucket   int
	buf      []byte
	counts   CustomerCounts
	vanished []string
	names    branchNames
	customer
}

// customer is what joining needs for one customer after another, up to the end of a
// piece: it is full of parts of that, and would keep piece after piece from being freed.
type customer struct {
	groups []group
	batch  []finished
	bodies []byte // of the batch

	id       string // the customer that is being joined
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
}

// group is the rows of a customer, and the relation under which it lies or will lie.
type group struct {
	fresh              bool
	relation, id, rows string
}

func (w *joiner) piece(piece []byte) error {
	// Rows are parts of this one copy: they cost no allocation of their own.
	data := string(piece)
	w.customer = customer{}
	for data != "" {
		var g group
		g.rows, data = spill.Next(data)
		g.fresh = g.rows[0] == fresh
		g.relation, g.rows = cutText(g.rows[1:])
		g.id, g.rows = cutText(g.rows)
		w.groups = append(w.groups, g)
	}
	slices.SortFunc(w.groups, func(a, b group) int {
		if c := cmp.Compare(a.relation, b.relation); c != 0 {
			return c
		}
		return cmp.Compare(a.id, b.id)
	})
	for i := range w.groups {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.one(&w.groups[i]); err != nil {
			return err
		}
	}
	return w.write()
}

// one joins the rows of one customer.
func (w *joiner) one(g *group) error {
	relation, body, etag, err := w.find(g)
	if err != nil {
		return err
	}
	if relation == "" && g.relation != "" {
		return nil // erased since its rows were gathered, and it stays erased
	}
	stored := &w.fresh
	stored.Customers, stored.Policies = stored.Customers[:0], stored.Policies[:0]
	stored.Claims, stored.Contacts = stored.Claims[:0], stored.Contacts[:0]
	if etag != "" {
		if stored, err = w.stored.Decode(body); err != nil {
			return fault.Wrap(fault.Internal, err, "decoding a stored customer")
		}
		stored.NameBranches(w.tenant.Branches) // of what was stored under other names
	}
	if err := w.take(g); err != nil {
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
	if err := w.checkConsents(); err != nil {
		return err
	}
	w.findVanished(stored)
	w.names.note(w.in.Policies, w.tenant.Branches)
	w.in.NameBranches(w.tenant.Branches)
	enrichment.Carry(w.in.Policies, stored.Policies)
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
	if w.enrichment != nil {
		w.enrichment.Add(stored, w.reading.asOf)
	}
	from := len(w.bodies)
	w.bodies = w.enc.Append(w.bodies, stored)
	encoded := w.bodies[from:]
	switch now := stored.Latest().Relation(); {
	case len(encoded) > book.MaxAggregate:
		if etag == "" { // its place was written already
			if _, err := w.book.Erase(w.ctx, w.tenant, w.id); err != nil {
				return err
			}
		}
		return w.rejectAll(portfolio.Breach{Field: "customer_id", Rule: "has more rows than a customer can have (10 MiB)"})
	case etag != "" && bytes.Equal(encoded, body):
		w.counts.Unchanged++
		w.bodies = w.bodies[:from]
		return nil
	case now != g.relation || relation != g.relation:
		// It moves, or has moved since its rows were gathered.
		if etag == "" {
			w.counts.Created++
		} else {
			w.counts.Moved++
		}
		return put(w.ctx, w.book, w.tenant, stored)
	case etag == "":
		w.counts.Created++
	default:
		w.counts.Changed++
	}
	w.batch = append(w.batch, finished{relation: g.relation, id: g.id, etag: etag, body: encoded, old: body})
	if len(w.batch) < store.MaxOps && len(w.bodies) < store.MaxBytes/2 {
		return nil
	}
	return w.write()
}

// find reads what is stored of a customer, and under which relation that lies, or will
// lie where there is nothing: etag "". No relation: it has no place, or no longer.
func (w *joiner) find(g *group) (relation string, body []byte, etag string, err error) {
	if g.relation == "" || g.fresh {
		return g.relation, nil, "", nil
	}
	p, ok := book.Place{ID: g.id, Relation: g.relation}, true
	for tries := 0; ok; tries++ {
		body, etag, found, err := w.book.Stored(w.ctx, w.tenant, p)
		if err != nil || found {
			return p.Relation, body, etag, err
		}
		// It may have moved since its rows were gathered, or be about to; or it never
		// came, because what wrote the place was killed.
		before := p
		if p, ok, err = w.book.Place(w.ctx, w.tenant, g.id); err != nil {
			return "", nil, "", err
		}
		if ok && p.Leaving != "" {
			if p, err = w.book.Settle(w.ctx, w.tenant, p); err != nil {
				return "", nil, "", err
			}
		}
		if ok && p == before || tries == 5 {
			return p.Relation, nil, "", nil
		}
	}
	return "", nil, "", nil
}

// take decodes the rows of a customer, each with its line.
func (w *joiner) take(g *group) error {
	w.id = g.id
	w.rows.Reset()
	w.in.Customers, w.in.Policies = w.in.Customers[:0], w.in.Policies[:0]
	w.in.Claims, w.in.Contacts = w.in.Claims[:0], w.in.Contacts[:0]
	for t := range w.lines {
		w.lines[t] = w.lines[t][:0]
	}
	w.mentions = w.mentions[:0]
	for rest := g.rows; rest != ""; {
		kind := rest[0]
		var line int64
		var row string
		line, rest = cutLine(rest[1:])
		row, rest = cutText(rest)
		if kind == mention {
			w.mentions = append(w.mentions, row)
			continue
		}
		t := portfolio.Table(kind)
		if err := w.rows.Add(&w.in, t, g.id, row); err != nil {
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

// checkConsents warns of refusals of what Polis does not know, which count as refusals of
// commercial contact.
func (w *joiner) checkConsents() error {
	for i := range w.in.Customers {
		for _, c := range w.in.Customers[i].Consents {
			if c.Given || portfolio.PurposeOf(c.Purpose) != portfolio.UnknownPurpose {
				continue
			}
			b := portfolio.Breach{Field: "consents", Rule: "refuses a purpose that is not known: taken for a refusal of commercial contact"}
			if err := w.findings.warn(portfolio.Customers, w.lines[portfolio.Customers][i], w.in.Customers[i].ID, b); err != nil {
				return err
			}
			break
		}
	}
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
