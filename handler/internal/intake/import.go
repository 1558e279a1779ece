// Package intake takes a portfolio in: four tables as CSV or NDJSON, of any size, in
// memory that does not grow with them. Good rows land, each bad one is reported with
// its file, line, column and reason.
//
// It works in three stages with scratch files between them. Every file is read once
// and its rows are put aside by customer; then, a partition at a time, each customer's
// rows are brought together and put aside by where the customer lies; then, in the
// order of the store, they are checked against each other and merged with what is
// stored, and what has changed is written. Nothing is written before all headers have
// been found good and all files have been read. An import that was killed is done
// again: what was written already is found unchanged and costs no write.
package intake

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/book"
	"polis/handler/internal/enrichment"
	"polis/handler/internal/fault"
	"polis/handler/internal/intake/spill"
	"polis/handler/internal/portfolio"
)

// Options say what to import.
type Options struct {
	Tenant string
	AsOf   portfolio.Date // what rows without recorded_at are recorded at; nothing may lie after it
	// Files has the customers at least.
	Files map[portfolio.Table]Source
	// Enrichment is what was brought of the policies from outside the administration; nil
	// for nothing.
	Enrichment *enrichment.Table
	// Erased gives whose erasure was asked for since the files were made: their rows are left out. Nil: nobody's.
	// Whom somebody erases while the files are imported is for the caller to erase again.
	Erased func(ctx context.Context) (map[string][]string, error)
	// Overrides say how files are written where that is not to be guessed.
	Overrides map[portfolio.Table]Detected
	Scratch   string // a folder; "" is the system's
	// Report gets a line for each finding, at the end; nil: none is written.
	Report       io.Writer
	ReportFormat ReportFormat // "" is NDJSON
	// Progress hears how far a stage is, from several goroutines but one at a time.
	// The stages are read (bytes; total 0: not known), gather and write (buckets).
	Progress func(stage string, done, total int64)
}

// Summary is what came of an import.
type Summary struct {
	AsOf      portfolio.Date          `json:"as_of"`
	Tables    map[string]TableSummary `json:"tables"`
	Missing   []string                `json:"missing,omitempty"` // tables that were not given
	Reasons   map[string]int64        `json:"reasons,omitempty"` // findings by table, column and rule
	Customers CustomerCounts          `json:"customers"`
	// Vanished counts stored policies in force, of customers in the file, that the new
	// policies file does not mention: they are not ended. VanishedIDs are the first 1000.
	Vanished    int64    `json:"vanished_policies"`
	VanishedIDs []string `json:"vanished_policy_ids,omitempty"`
	// BranchNames are names that are no branch's own, and what they are taken for: the 50 of the most policies.
	BranchNames []BranchName `json:"branch_names,omitempty"`
	Seconds     float64      `json:"seconds"`
}

// TableSummary is what came of a file.
type TableSummary struct {
	File     string   `json:"file"`
	Detected Detected `json:"detected"`
	Unknown  []string `json:"unknown_columns,omitempty"` // left out; the first 50
	Read     int64    `json:"rows_read"`
	Landed   int64    `json:"rows_landed"` // stored now or before
	Rejected int64    `json:"rows_rejected"`
	Warnings int64    `json:"warnings"`
}

// CustomerCounts says what was done to the customers that the files name.
type CustomerCounts struct {
	Created   int64 `json:"created"`
	Changed   int64 `json:"changed"` // without those that moved
	Moved     int64 `json:"moved"`   // changed, and now of another relation
	Unchanged int64 `json:"unchanged"`
	Erased    int64 `json:"erased,omitempty"` // and left out, since that was asked for after the files were made
}

func (c *CustomerCounts) add(d CustomerCounts) {
	c.Created += d.Created
	c.Changed += d.Changed
	c.Moved += d.Moved
	c.Unchanged += d.Unchanged
}

// Written is how many customers were written.
func (c CustomerCounts) Written() int64 { return c.Created + c.Changed + c.Moved }

// partitionBytes is how much of the files comes together in one partition.
const partitionBytes = 4 << 20

// blockMemory is what the first stage's writers may keep in memory.
const blockMemory = 8 << 20

// Import imports. A file that cannot be read as a table is fault.Malformed, and then
// nothing was written; wrong options are fault.Invalid.
func Import(ctx context.Context, b *book.Book, o Options) (_ Summary, err error) {
	began := time.Now()
	if err := o.check(); err != nil {
		return Summary{}, err
	}
	tenant, err := b.Tenant(ctx, o.Tenant)
	if err != nil {
		return Summary{}, err
	}
	p := &progress{tell: o.Progress}
	inputs, err := o.open(p)
	if err != nil {
		return Summary{}, err
	}
	defer func() {
		for _, in := range inputs {
			_ = in.close() // read-only
		}
	}()
	fs, err := newFindings(o.Scratch)
	if err != nil {
		return Summary{}, err
	}
	defer fs.close()
	parts := o.parts(tenant.Buckets)
	rows, err := spill.New(o.Scratch, min(32<<10, max(512, blockMemory/parts)))
	if err != nil {
		return Summary{}, err
	}
	defer rows.Close()
	owners, err := spill.New(o.Scratch, 8<<10)
	if err != nil {
		return Summary{}, err
	}
	defer owners.Close()
	groups, err := spill.New(o.Scratch, min(32<<10, max(512, blockMemory/tenant.Buckets)))
	if err != nil {
		return Summary{}, err
	}
	defer groups.Close()

	r := newReading(o.AsOf, parts, rows, owners, fs)
	for _, in := range inputs {
		if err := r.file(ctx, in); err != nil {
			return Summary{}, cancelled(ctx, err)
		}
	}
	if err := r.done(); err != nil {
		return Summary{}, err
	}
	var erased map[string][]string
	if o.Erased != nil {
		if erased, err = o.Erased(ctx); err != nil {
			return Summary{}, err
		}
	}
	j := &joining{book: b, tenant: tenant, reading: r, pieces: groups, findings: fs, enrichment: o.Enrichment}
	both, working := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		j.lost, err = r.shared(working)
		return err
	})
	both.Go(func() error {
		g := &gathering{book: b, tenant: tenant, reading: r, out: groups, erased: erased}
		defer func() { j.counts.Erased = g.left.Load() }()
		return g.run(working, p.stage("gather", int64(tenant.Buckets)))
	})
	if err := both.Wait(); err != nil {
		return Summary{}, cancelled(ctx, err)
	}
	var names [4]string
	for _, in := range inputs {
		j.given[in.table], names[in.table] = true, in.name
	}
	if err := j.run(ctx, p.stage("write", int64(groups.Parts()))); err != nil {
		return Summary{}, cancelled(ctx, err)
	}
	if o.Report != nil {
		if err := fs.write(o.Report, o.ReportFormat, names); err != nil {
			return Summary{}, err
		}
	}
	j.vanished.cut()
	s := Summary{
		AsOf: o.AsOf, Tables: make(map[string]TableSummary), Reasons: fs.counts(), Customers: j.counts,
		Vanished: j.vanished.n, VanishedIDs: j.vanished.ids, BranchNames: j.names.report(), Seconds: time.Since(began).Seconds(),
	}
	for _, in := range inputs {
		t := in.table
		if in.detected.Encoding != in.framer.Encoding() {
			in.detected.Encoding = in.framer.Encoding()
		}
		s.Tables[t.String()] = TableSummary{
			File: in.name, Detected: in.detected, Unknown: append(in.unknown, r.unknown[t]...),
			Read: r.read[t].Load(), Landed: r.read[t].Load() - fs.rejected[t], Rejected: fs.rejected[t], Warnings: fs.warned[t],
		}
	}
	for _, t := range portfolio.Tables {
		if !j.given[t] {
			s.Missing = append(s.Missing, t.String())
		}
	}
	return s, nil
}

// cancelled names the caller's own end, whatever it looked like from where it was met.
func cancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fault.Wrap(fault.Cancelled, ctx.Err(), "importing")
	}
	return err
}

func (o *Options) check() error {
	if o.AsOf == 0 {
		return fault.New(fault.Invalid, "an import needs an as-of date")
	}
	switch o.ReportFormat {
	case "", ReportNDJSON, ReportCSV:
	default:
		return fault.New(fault.Invalid, "a report is ndjson or csv")
	}
	if _, ok := o.Files[portfolio.Customers]; !ok {
		return fault.New(fault.Invalid, "an import needs a customers file")
	}
	for t, src := range o.Files {
		if int(t) >= len(portfolio.Tables) || src.Open == nil {
			return fault.New(fault.Invalid, "a file of an import is of one of the four tables and can be opened")
		}
	}
	return nil
}

// open opens all files before any is read, so that one wrong header stops the import
// before anything lands. All that is wrong with the headers is said at once.
func (o *Options) open(p *progress) (inputs []*input, err error) {
	total := int64(0)
	for _, src := range o.Files {
		total += src.Size
	}
	read := p.stage("read", total)
	var wrong []string
	for _, t := range portfolio.Tables {
		src, ok := o.Files[t]
		if !ok {
			continue
		}
		in, err := open(t, src, o.Overrides[t], read)
		if err == nil {
			inputs = append(inputs, in)
			continue
		}
		if !fault.Is(err, fault.Malformed) {
			return inputs, closeAll(inputs, err)
		}
		wrong = append(wrong, err.Error())
	}
	if len(wrong) > 0 {
		return nil, closeAll(inputs, fault.New(fault.Malformed, "%s", strings.Join(wrong, "; ")))
	}
	return inputs, nil
}

func closeAll(inputs []*input, err error) error {
	for _, in := range inputs {
		_ = in.close() // read-only, and err says more
	}
	return err
}

// parts is how many partitions the rows go to: a multiple of the buckets, so that one
// partition's customers have their places in one bucket.
func (o *Options) parts(buckets int) int {
	size := int64(0)
	for _, src := range o.Files {
		if src.Size == 0 {
			size = max(size, 1<<30)
		}
		size += src.Size
		if strings.HasSuffix(src.Name, ".gz") {
			size += 9 * src.Size
		}
	}
	wanted := int(min(size/partitionBytes+1, 1024))
	return buckets * ((wanted + buckets - 1) / buckets)
}

// progress passes on how far a stage is.
type progress struct {
	mu   sync.Mutex
	tell func(stage string, done, total int64)
}

func (p *progress) stage(name string, total int64) func(n int) {
	done := int64(0)
	return func(n int) {
		if p.tell == nil {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		done += int64(n)
		p.tell(name, done, total)
	}
}
