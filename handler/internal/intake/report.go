package intake

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"

	"polis/handler/internal/fault"
	"polis/handler/internal/intake/spill"
	"polis/handler/internal/portfolio"
)

// ReportFormat is how the report is written.
type ReportFormat string

// The report's formats.
const (
	ReportNDJSON ReportFormat = "ndjson"
	ReportCSV    ReportFormat = "csv"
)

// Finding is a line of the report. It holds no values but ids: what is wrong with a
// name or a date of birth is said without showing it.
type Finding struct {
	File     string `json:"file"`
	Line     int64  `json:"line"`
	Column   string `json:"column,omitempty"` // "": the whole row
	Reason   string `json:"reason"`
	ID       string `json:"id,omitempty"` // the row's own id, where it is one; of a contact the customer's
	Severity string `json:"severity"`     // rejected, or warning: the row landed
}

// The severities of findings.
const (
	Rejected = "rejected"
	Warning  = "warning"
)

// Findings are put in the order of their lines through a scratch file, in pieces of
// so many lines.
const findingLines = 1 << 18

// findings collects what is wrong. It is safe for concurrent use.
type findings struct {
	mu       sync.Mutex
	files    [4]*spill.File
	writers  [4]*spill.Writer
	reasons  map[string]int64
	rejected [4]int64
	warned   [4]int64
	buf      []byte
}

func newFindings(dir string) (*findings, error) {
	fs := &findings{reasons: make(map[string]int64)}
	for i := range fs.files {
		f, err := spill.New(dir, 4<<10)
		if err != nil {
			fs.close()
			return nil, err
		}
		fs.files[i], fs.writers[i] = f, f.Writer()
	}
	return fs, nil
}

func (fs *findings) close() {
	for _, f := range fs.files {
		if f != nil {
			_ = f.Close() // scratch: there is nothing to lose
		}
	}
}

// reject records that a row does not land, and every reason why.
func (fs *findings) reject(t portfolio.Table, line int64, id string, breaches ...portfolio.Breach) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.rejected[t]++
	for _, b := range breaches {
		if err := fs.add(t, line, id, b, Rejected); err != nil {
			return err
		}
	}
	return nil
}

// warn records something odd about a row that lands.
func (fs *findings) warn(t portfolio.Table, line int64, id string, b portfolio.Breach) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.warned[t]++
	return fs.add(t, line, id, b, Warning)
}

func (fs *findings) add(t portfolio.Table, line int64, id string, b portfolio.Breach, severity string) error {
	b = b.InFile()
	reason := b.Rule
	if b.Field != "" {
		reason = b.Field + " " + reason
	}
	fs.reasons[t.String()+": "+reason]++
	fs.buf = binary.AppendUvarint(fs.buf[:0], uint64(line))
	for _, s := range [...]string{b.Field, b.Rule, id, severity} {
		fs.buf = appendText(fs.buf, s)
	}
	return fs.writers[t].Append(int(line/findingLines), fs.buf)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// cutText is the counterpart of appendText.
func cutText[T ~string | ~[]byte](s T) (text, rest T) { return spill.Next(s) }

func cutLine[T ~string | ~[]byte](s T) (line int64, rest T) {
	shift := 0
	for i := range len(s) {
		line |= int64(s[i]&0x7f) << shift
		if s[i] < 0x80 {
			return line, s[i+1:]
		}
		shift += 7
	}
	return 0, s[:0]
}

// write writes all findings in the order of the tables and their lines.
func (fs *findings) write(w io.Writer, format ReportFormat, names [4]string) error {
	out := bufio.NewWriterSize(w, 64<<10)
	put := ndjsonReport(out)
	if format == ReportCSV {
		put = csvReport(out)
	}
	if err := put(nil); err != nil {
		return fault.Wrap(fault.Unavailable, err, "writing the report")
	}
	var buf []byte
	for t, f := range fs.files {
		if err := fs.writers[t].Flush(); err != nil {
			return err
		}
		for part := range f.Parts() {
			err := f.Read(part, 0, &buf, func(piece []byte) error {
				var list []Finding
				for s := string(piece); s != ""; {
					var record string
					record, s = spill.Next(s)
					x := Finding{File: names[t]}
					x.Line, record = cutLine(record)
					x.Column, record = cutText(record)
					x.Reason, record = cutText(record)
					x.ID, record = cutText(record)
					x.Severity, _ = cutText(record)
					list = append(list, x)
				}
				slices.SortStableFunc(list, func(a, b Finding) int {
					return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Severity, b.Severity))
				})
				for i := range list {
					if err := put(&list[i]); err != nil {
						return fault.Wrap(fault.Unavailable, err, "writing the report")
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return fault.Wrap(fault.Unavailable, out.Flush(), "writing the report")
}

func ndjsonReport(w io.Writer) func(*Finding) error {
	enc := json.NewEncoder(w)
	return func(f *Finding) error {
		if f == nil {
			return nil
		}
		return enc.Encode(f)
	}
}

func csvReport(w io.Writer) func(*Finding) error {
	c := csv.NewWriter(w)
	return func(f *Finding) error {
		row := []string{"file", "line", "column", "reason", "id", "severity"}
		if f != nil {
			row = []string{f.File, strconv.FormatInt(f.Line, 10), f.Column, f.Reason, f.ID, f.Severity}
		}
		if err := c.Write(row); err != nil {
			return err
		}
		c.Flush()
		return c.Error()
	}
}

func (fs *findings) counts() map[string]int64 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return maps.Clone(fs.reasons)
}
