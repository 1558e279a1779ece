package exports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/parquet-go/parquet-go"

	"polis/handler/internal/blob"
	"polis/handler/internal/fault"
	"polis/handler/internal/intake/spill"
)

// What bounds the memory and the scratch files of an export. All are our choice.
const (
	groupRows = 20_000    // rows of a row group: some ten megabytes of all tables together
	pageBytes = 32 << 10  // of a column, before they are packed: a hundred and eighty columns are written at once
	partBytes = 192 << 20 // of scratch files, from which on the next bucket begins a new part
)

// Media is the type of the files (IANA, 2024).
const Media = "application/vnd.apache.parquet"

// File is one file of an export.
type File struct {
	Name   string `json:"name"`
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// fileName is that of a table's part: risk.parquet, then risk.2.parquet, so that the usual book has one file a
// table, and risk.*parquet is all of any.
func fileName(table string, part int) string {
	if part == 1 {
		return table + ".parquet"
	}
	return fmt.Sprintf("%s.%d.parquet", table, part)
}

// tables are all tables, being written.
type tables struct {
	customers   sheet[customerRow]
	policies    sheet[policyRow]
	attributes  sheet[attributeRow]
	claims      sheet[claimRow]
	contacts    sheet[contactRow]
	risk        sheet[riskRow]
	riskOf      sheet[riskPolicyRow]
	churn       sheet[churnRow]
	churnOf     sheet[churnPolicyRow]
	clv         sheet[clvRow]
	nbp         sheet[nbpRow]
	offers      sheet[offerRow]
	defend      sheet[defendRow]
	actionItems sheet[actionRow]

	part int
}

// named is a table with its name.
type named struct {
	name, about string
	writing
}

// writing is a table of any rows.
type writing interface {
	open() error
	written() int64
	flush() error
	close() (*spill.Scratch, int64, error)
	abandon() error
	schema() *parquet.Schema
	row() any
}

// all are the tables, in the order in which they are documented.
func (t *tables) all() []named {
	return []named{
		{"customers", "One row a customer, as known on the export's date.", &t.customers},
		{"policies", "One row a policy, likewise.", &t.policies},
		{"policy_attributes", "One row an attribute of a policy that training accepts, as models read it; no other attribute leaves the book.", &t.attributes},
		{"claims", "One row a claim, likewise as known on the export's date.", &t.claims},
		{"contacts", "One row a contact, up to the export's date.", &t.contacts},
		{"risk", "One row a customer: the latest score of risk.", &t.risk},
		{"risk_policies", "One row a policy that the latest score of risk is made of.", &t.riskOf},
		{"churn", "One row a customer: the latest score of churn. All of it is of the relation.", &t.churn},
		{"churn_policies", "One row a policy that churn looks at.", &t.churnOf},
		{"clv", "One row a customer: the latest score of clv.", &t.clv},
		{"nbp", "One row a customer: the latest score of nbp.", &t.nbp},
		{"nbp_offers", "One row an offer.", &t.offers},
		{"defend", "One row a customer: the latest score of defend.", &t.defend},
		{"actions", "One row an item of the newest action list.", &t.actionItems},
	}
}

// sheet is a table of which rows are being written to a scratch file.
type sheet[T any] struct {
	file *counted
	w    *parquet.GenericWriter[T]
	rows []T // of a relation: they are good until the scan's next step
	n    int64
}

func (s *sheet[T]) add(row T) { s.rows = append(s.rows, row) }

func (s *sheet[T]) schema() *parquet.Schema { return parquet.SchemaOf(new(T)) }

func (s *sheet[T]) row() any { return *new(T) }

func (s *sheet[T]) open() error {
	f, err := spill.NewScratch("")
	if err != nil {
		return err
	}
	s.file, s.n, s.rows = &counted{Scratch: f}, 0, s.rows[:0]
	s.w = parquet.NewGenericWriter[T](s.file, parquet.Compression(&parquet.Snappy), parquet.PageBufferSize(pageBytes),
		parquet.MaxRowsPerRowGroup(groupRows), parquet.CreatedBy("polis", "1", "exports"))
	return nil
}

// flush writes the rows of a relation.
func (s *sheet[T]) flush() error {
	n, err := s.w.Write(s.rows)
	s.n += int64(n)
	s.rows = s.rows[:0]
	return fault.Wrap(fault.Unavailable, err, "writing a scratch file")
}

func (s *sheet[T]) written() int64 { return s.file.n }

// close ends the table, and gives its file, to be read from the beginning.
func (s *sheet[T]) close() (*spill.Scratch, int64, error) {
	err := s.flush()
	if err == nil {
		err = s.w.Close()
	}
	if err == nil {
		_, err = s.file.Seek(0, io.SeekStart)
	}
	return s.file.Scratch, s.n, fault.Wrap(fault.Unavailable, err, "writing a scratch file")
}

func (s *sheet[T]) abandon() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// counted is a file that says how much was written to it.
type counted struct {
	*spill.Scratch
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Scratch.Write(p)
	c.n += int64(n)
	return n, err
}

// begin opens the next part.
func (t *tables) begin() error {
	t.part++
	for _, w := range t.all() {
		if err := w.open(); err != nil {
			return err
		}
	}
	return nil
}

// flush writes the rows of a relation.
func (t *tables) flush() error {
	for _, w := range t.all() {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return nil
}

// full reports whether the next bucket begins a new part.
func (t *tables) full(most int64) bool {
	n := int64(0)
	for _, w := range t.all() {
		n += w.written()
	}
	return n >= most
}

// end sends the part's files, one after the other, and closes them. Of a table that has no rows only
// the first part is sent: it says what its columns are.
func (t *tables) end(ctx context.Context, to blob.Store, folder string) (files []File, err error) {
	for _, w := range t.all() {
		f, err := t.send(ctx, to, folder, w)
		if err != nil {
			return nil, fmt.Errorf("sending the table %s: %w", w.name, err)
		}
		if f.Rows > 0 || t.part == 1 {
			files = append(files, f)
		}
	}
	return files, nil
}

func (t *tables) send(ctx context.Context, to blob.Store, folder string, w named) (_ File, err error) {
	local, rows, err := w.close()
	if err != nil {
		return File{}, err
	}
	defer func() { err = errors.Join(err, local.Close()) }()
	f := File{Name: fileName(w.name, t.part), Table: w.name, Rows: rows}
	if rows == 0 && t.part > 1 {
		return f, nil
	}
	sum := &summed{r: local, sum: sha256.New()}
	info, err := to.Create(ctx, folder+f.Name, sum)
	if err != nil {
		return f, err
	}
	if info.Size != sum.n {
		return f, fault.New(fault.Unavailable, "%d bytes of %d arrived", info.Size, sum.n)
	}
	f.Bytes, f.SHA256 = sum.n, hex.EncodeToString(sum.sum.Sum(nil))
	return f, nil
}

// abandon closes what is open.
func (t *tables) abandon() (err error) {
	for _, w := range t.all() {
		err = errors.Join(err, w.abandon())
	}
	return err
}

// summed sums what is read.
type summed struct {
	r   io.Reader
	n   int64
	sum hash.Hash
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	s.n += int64(n)
	return n, err
}

// IsFile reports whether a name is one that files of exports have.
func IsFile(name string) bool {
	table, rest, ok := strings.Cut(name, ".")
	if !ok || !strings.HasSuffix("."+rest, ".parquet") {
		return false
	}
	for _, w := range new(tables).all() {
		if w.name == table {
			return true
		}
	}
	return false
}
