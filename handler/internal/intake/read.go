package intake

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/fault"
	"polis/handler/internal/intake/spill"
	"polis/handler/internal/intake/tabular"
	"polis/handler/internal/portfolio"
)

// A record between the first stage and the second is the kind, the line, the
// customer's id and the row. mention stands for a policy whose row was rejected: it
// has not vanished.
const mention = uint8(len(portfolio.Tables))

// reading is the first stage: every file is read once, its rows are checked by
// themselves and put aside by customer.
type reading struct {
	asOf     portfolio.Date
	parts    int
	rows     *spill.File
	owners   *spill.File // which customer a policy or claim id stands under
	seed     maphash.Seed
	findings *findings
	read     [4]atomic.Int64
	writers  [workers]writers // one for each goroutine, for all files

	mu      sync.Mutex
	unknown [4][]string // NDJSON fields that nobody knows
}

type writers struct{ rows, owners *spill.Writer }

func newReading(asOf portfolio.Date, parts int, rows, owners *spill.File, fs *findings) *reading {
	r := &reading{asOf: asOf, parts: parts, rows: rows, owners: owners, seed: maphash.MakeSeed(), findings: fs}
	for i := range r.writers {
		r.writers[i] = writers{rows.Writer(), owners.Writer()}
	}
	return r
}

// Owners of ids are compared in this many pieces a table.
const ownerParts = 64

// workers is how many goroutines take rows apart: with the one that reads and cuts the
// file these keep two cores busy.
const workers = 2

// file reads a whole file.
func (r *reading) file(ctx context.Context, in *input) error {
	g, ctx := errgroup.WithContext(ctx)
	blocks, free := make(chan *tabular.Block, workers), make(chan *tabular.Block, 2*workers)
	for range cap(free) {
		free <- new(tabular.Block)
	}
	g.Go(func() error {
		defer close(blocks)
		for {
			var b *tabular.Block
			select {
			case b = <-free:
			case <-ctx.Done():
				return ctx.Err()
			}
			err := in.framer.Next(b)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return readFault(err, in.name)
			}
			select {
			case blocks <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	for i := range workers {
		w := r.worker(in, r.writers[i])
		g.Go(func() error {
			for b := range blocks {
				if err := w.block(b); err != nil {
					return err
				}
				free <- b
			}
			w.note()
			return nil
		})
	}
	return g.Wait()
}

// worker takes the rows of a file apart.
type worker struct {
	*reading
	in     *input
	out    writers
	enc    portfolio.RowEncoder
	row    func(values []string) (own, customer string)
	encode func(dst []byte) []byte
	fields []string // as many values as the table has fields

	cells    []string
	members  []tabular.Member
	buf      []byte
	breaches []portfolio.Breach
	last     [16]byte // the owner that was put aside last
	unknown  []string
}

func (r *reading) worker(in *input, out writers) *worker {
	w := &worker{reading: r, in: in, out: out}
	w.fields = make([]string, len(tableColumns[in.table]))
	switch in.table {
	case portfolio.Customers:
		var c portfolio.Customer
		w.row = func(v []string) (string, string) {
			c = portfolio.Customer{}
			set(w, customerFields, &c, v)
			c.Check(r.asOf, w.breach)
			return c.ID, c.ID
		}
		w.encode = func(dst []byte) []byte { return w.enc.Customer(dst, &c) }
	case portfolio.Policies:
		var p portfolio.Policy
		w.row = func(v []string) (string, string) {
			p = portfolio.Policy{Attributes: p.Attributes[:0]}
			set(w, policyFields, &p, v)
			p.Check(r.asOf, w.breach)
			return p.ID, p.CustomerID
		}
		w.encode = func(dst []byte) []byte { return w.enc.Policy(dst, &p) }
	case portfolio.Claims:
		var c portfolio.Claim
		w.row = func(v []string) (string, string) {
			c = portfolio.Claim{}
			set(w, claimFields, &c, v)
			c.Check(r.asOf, w.breach)
			return c.ID, c.CustomerID
		}
		w.encode = func(dst []byte) []byte { return w.enc.Claim(dst, &c) }
	case portfolio.Contacts:
		var c portfolio.Contact
		w.row = func(v []string) (string, string) {
			c = portfolio.Contact{}
			set(w, contactFields, &c, v)
			c.Check(r.asOf, w.breach)
			return c.CustomerID, c.CustomerID
		}
		w.encode = func(dst []byte) []byte { return w.enc.Contact(dst, &c) }
	}
	return w
}

// breach notes what is wrong with the row; of a field, the first thing only.
func (w *worker) breach(b portfolio.Breach) {
	for _, earlier := range w.breaches {
		if earlier.Field == b.Field {
			return
		}
	}
	w.breaches = append(w.breaches, b)
}

func set[R any](w *worker, fields []field[R], row *R, values []string) {
	for i := range fields {
		f, v := &fields[i], values[i]
		if !f.verbatim {
			v = trim(v)
		}
		if v == "" {
			if f.required {
				w.breach(portfolio.Breach{Field: f.name, Rule: ruleMissing})
			}
			continue
		}
		if rule := f.set(row, v, w.in.notation); rule != "" {
			w.breach(portfolio.Breach{Field: f.name, Rule: rule})
		}
	}
}

// trim spares most values the search for spaces that they do not have.
func trim(s string) string {
	if s == "" || s[0] > ' ' && s[len(s)-1] > ' ' {
		return s
	}
	return strings.TrimSpace(s)
}

func (w *worker) block(b *tabular.Block) error {
	// Values are parts of this one copy: rows cost no allocation of their own.
	data := string(b.Data)
	n := int64(0)
	for _, f := range b.Frames {
		if f.Line == w.in.header {
			continue
		}
		n++
		if err := w.record(b, f, data[f.From:f.To]); err != nil {
			return err
		}
	}
	w.read[w.in.table].Add(n)
	return nil
}

func (w *worker) record(b *tabular.Block, f tabular.Frame, record string) error {
	err := f.Fault
	if err == nil {
		record, err = b.Text(record)
	}
	if err == nil {
		err = w.cut(record)
	}
	t := w.in.table
	if err != nil {
		return w.findings.reject(t, f.Line, "", portfolio.Breach{Rule: err.Error()})
	}
	w.breaches = w.breaches[:0]
	own, customer := w.row(w.fields)
	if len(w.breaches) > 0 {
		if !portfolio.ValidID(own) {
			own = ""
		}
		if err := w.findings.reject(t, f.Line, own, w.breaches...); err != nil {
			return err
		}
		if t != portfolio.Policies || own == "" || !portfolio.ValidID(customer) {
			return nil
		}
		w.head(mention, f.Line, customer)
		w.buf = append(w.buf, own...)
		return w.out.rows.Append(portfolio.Bucket(customer, w.parts), w.buf)
	}
	if t == portfolio.Policies || t == portfolio.Claims {
		if err := w.owner(own, customer, f.Line); err != nil {
			return err
		}
	}
	w.head(uint8(t), f.Line, customer)
	w.buf = w.encode(w.buf)
	return w.out.rows.Append(portfolio.Bucket(customer, w.parts), w.buf)
}

func (w *worker) head(kind uint8, line int64, customer string) {
	w.buf = binary.AppendUvarint(append(w.buf[:0], kind), uint64(line))
	w.buf = appendText(w.buf, customer)
}

var (
	errColumns = errors.New("has another number of fields than the header")
	errField   = errors.New("names a field twice")
)

// cut cuts a record in the values of the table's fields.
func (w *worker) cut(record string) (err error) {
	clear(w.fields)
	if w.in.detected.Format == tabular.NDJSON {
		if w.members, err = tabular.Members(w.members[:0], record); err != nil {
			return err
		}
		for _, m := range w.members {
			at := indexOf(tableColumns[w.in.table], m.Name)
			switch {
			case at < 0:
				w.strange(m.Name)
			case w.fields[at] != "":
				return errField
			default:
				w.fields[at] = m.Value
			}
		}
		return nil
	}
	if w.cells, err = tabular.Split(w.cells[:0], record, w.in.delimiter()); err != nil {
		return err
	}
	if len(w.cells) != len(w.in.places) {
		return errColumns
	}
	for i, at := range w.in.places {
		if at >= 0 {
			w.fields[at] = w.cells[i]
		}
	}
	return nil
}

// strange notes a field that the table does not have.
func (w *worker) strange(name string) {
	if len(w.unknown) < maxUnknown && !slices.Contains(w.unknown, name) {
		w.unknown = append(w.unknown, strings.Clone(name))
	}
}

// note passes on which fields nobody knows.
func (w *worker) note() {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := &w.reading.unknown[w.in.table]
	for _, name := range w.unknown {
		if len(*list) < maxUnknown && !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
}

// done writes out what the writers still have, and drops them.
func (r *reading) done() error {
	var err error
	for _, w := range r.writers {
		err = errors.Join(err, w.rows.Flush(), w.owners.Flush())
	}
	r.writers = [workers]writers{}
	return err
}

// owner puts aside under which customer an id stands. Versions that follow one another
// say the same.
func (w *worker) owner(own, customer string, line int64) error {
	var b [24]byte
	pair := w.pair(own, customer)
	copy(b[:], pair[:])
	if pair == w.last {
		return nil
	}
	w.last = pair
	binary.LittleEndian.PutUint64(b[16:], uint64(line))
	part := int(pair[0]) % ownerParts
	if w.in.table == portfolio.Claims {
		part += ownerParts
	}
	return w.out.owners.Append(part, b[:])
}

// pair is the hash of an id and that of the customer it stands under. 64 bits each,
// with a seed nobody knows, do not collide in a portfolio that fits on a disk.
type pair = [16]byte

func (r *reading) pair(own, customer string) (p pair) {
	binary.LittleEndian.PutUint64(p[:], maphash.String(r.seed, own))
	binary.LittleEndian.PutUint64(p[8:], maphash.String(r.seed, customer))
	return p
}

// maxShared bounds how many ids may stand under two customers.
const maxShared = 1_000_000

// shared finds the policies and claims that stand under another customer than where
// the file has them first.
func (r *reading) shared(ctx context.Context) (lost [4]map[pair]bool, err error) {
	type owner struct {
		pair pair
		line uint64
	}
	lost[portfolio.Policies], lost[portfolio.Claims] = make(map[pair]bool), make(map[pair]bool)
	var (
		list []owner
		buf  []byte
	)
	for part := range r.owners.Parts() {
		if err := ctx.Err(); err != nil {
			return lost, err
		}
		table := portfolio.Policies
		if part >= ownerParts {
			table = portfolio.Claims
		}
		err := r.owners.Read(part, 0, &buf, func(piece []byte) error {
			list = list[:0]
			for len(piece) > 0 {
				var record []byte
				record, piece = spill.Next(piece)
				var o owner
				copy(o.pair[:], record)
				o.line = binary.LittleEndian.Uint64(record[16:])
				list = append(list, o)
			}
			slices.SortFunc(list, func(a, b owner) int {
				if c := slices.Compare(a.pair[:8], b.pair[:8]); c != 0 {
					return c
				}
				return int(int64(a.line) - int64(b.line))
			})
			first := 0
			for i := range list {
				if [8]byte(list[i].pair[:8]) != [8]byte(list[first].pair[:8]) {
					first = i
				}
				if list[i].pair != list[first].pair {
					lost[table][list[i].pair] = true
				}
			}
			if len(lost[table]) > maxShared {
				return fault.New(fault.Invalid, "more than %d policies and claims stand under two customers", maxShared)
			}
			return nil
		})
		if err != nil {
			return lost, err
		}
	}
	return lost, nil
}
