package intake

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/intake/tabular"
	"polis/handler/internal/portfolio"
)

// Source is a file to import.
type Source struct {
	Name string // for messages and the report
	Size int64  // bytes; 0 where that is not known
	Open func() (io.ReadCloser, error)
}

// Detected is how a file is written. As an override, what is not empty is not guessed.
type Detected struct {
	Format    tabular.Format   `json:"format,omitempty"`
	Delimiter string           `json:"delimiter,omitempty"` // of CSV: "," ";" or tab
	Encoding  tabular.Encoding `json:"encoding,omitempty"`
	Decimal   Decimal          `json:"decimal,omitempty"`
	Dates     Dates            `json:"dates,omitempty"`
}

// Check says what of an override is no way to write a file; fault.Invalid.
func (d Detected) Check() error {
	switch d.Format {
	case "", tabular.CSV, tabular.NDJSON:
	default:
		return fault.New(fault.Invalid, "a format is csv or ndjson")
	}
	switch d.Delimiter {
	case "", ",", ";", "\t":
	default:
		return fault.New(fault.Invalid, "a delimiter is a comma, a semicolon or a tab")
	}
	switch d.Encoding {
	case "", tabular.UTF8, tabular.Windows1252:
	default:
		return fault.New(fault.Invalid, "an encoding is utf-8 or windows-1252")
	}
	if d.Decimal != "" && d.Decimal != Point && d.Decimal != Comma {
		return fault.New(fault.Invalid, "a decimal sign is point or comma")
	}
	if d.Dates != "" && d.Dates != ISO && d.Dates != Dutch {
		return fault.New(fault.Invalid, "dates are iso or dutch")
	}
	return nil
}

// column is what detection needs to know of a field.
type column struct {
	name     string
	required bool
	kind     kind
}

func columnsOf[R any](fields []field[R]) []column {
	list := make([]column, len(fields))
	for i, f := range fields {
		list[i] = column{f.name, f.required, f.kind}
	}
	return list
}

var tableColumns = map[portfolio.Table][]column{
	portfolio.Customers: columnsOf(customerFields),
	portfolio.Policies:  columnsOf(policyFields),
	portfolio.Claims:    columnsOf(claimFields),
	portfolio.Contacts:  columnsOf(contactFields),
}

// headBytes is how much of a file is looked at to find out how it is written.
const headBytes = 1 << 20

// sampleRows is how many rows are looked at to find out how values are written.
const sampleRows = 2000

// input is an opened file whose header is good.
type input struct {
	name     string
	table    portfolio.Table
	detected Detected
	notation notation
	framer   *tabular.Framer
	header   int64 // the header's line; 0: there is none
	places   []int // per CSV column: the field's index in its table, -1 for an unknown one
	unknown  []string
	close    func() error
}

// maxUnknown bounds how many unknown columns are named.
const maxUnknown = 50

// open opens a file and finds out how it is written. read counts the bytes read, as
// they are in the file.
func open(t portfolio.Table, src Source, override Detected, read func(n int)) (_ *input, err error) {
	if err := override.Check(); err != nil {
		return nil, err
	}
	f, err := src.Open()
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "opening %s", src.Name)
	}
	in := &input{name: src.Name, table: t, detected: override, close: f.Close}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	r := bufio.NewReaderSize(counter{f, read}, 64<<10)
	var body io.Reader = r
	if magic, _ := r.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		if body, err = gzip.NewReader(r); err != nil {
			return nil, fault.Wrap(fault.Malformed, err, "%s: not a gzip file", src.Name)
		}
	}
	head, err := io.ReadAll(io.LimitReader(body, headBytes))
	if err != nil {
		return nil, readFault(err, src.Name)
	}
	whole := len(head) < headBytes
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return nil, fault.New(fault.Malformed, "%s: is UTF-16; save it as UTF-8", src.Name)
	}
	if bom := []byte{0xef, 0xbb, 0xbf}; bytes.HasPrefix(head, bom) {
		head = head[len(bom):]
		if in.detected.Encoding == "" {
			in.detected.Encoding = tabular.UTF8
		}
	}
	if len(bytes.TrimSpace(head)) == 0 {
		return nil, fault.New(fault.Malformed, "%s: is empty; it needs a header at least", src.Name)
	}
	if err := in.detect(head); err != nil {
		return nil, err
	}
	if !whole {
		body = io.MultiReader(bytes.NewReader(head), body)
	} else {
		body = bytes.NewReader(head)
	}
	in.framer = in.newFramer(body)
	return in, nil
}

func readFault(err error, name string) error {
	if errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Wrap(fault.Malformed, err, "%s: a damaged gzip file", name)
	}
	return fault.Wrap(fault.Unavailable, err, "reading %s", name)
}

type counter struct {
	r    io.Reader
	read func(n int)
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.read(n)
	return n, err
}

func (in *input) newFramer(r io.Reader) *tabular.Framer {
	f := tabular.NewFramer(r, in.detected.Format, in.delimiter(), in.detected.Encoding)
	f.Columns = len(in.places)
	return f
}

func (in *input) delimiter() byte {
	if in.detected.Delimiter == "" {
		return ','
	}
	return in.detected.Delimiter[0]
}

// detect fills in what was not overridden, and reads the header.
func (in *input) detect(head []byte) error {
	d := &in.detected
	if d.Format == "" {
		d.Format = tabular.GuessFormat(head)
	}
	if d.Encoding == "" {
		d.Encoding = tabular.GuessEncoding(head)
	}
	sample := &sample{in: in, columns: tableColumns[in.table]}
	if d.Format == tabular.NDJSON {
		d.Delimiter = ""
		sample.members(head)
		if len(sample.missing) > 0 && sample.rows > 0 {
			return fault.New(fault.Malformed, "%s: lacks %s", in.name, strings.Join(sample.missing, ", "))
		}
	} else {
		line := bytes.TrimLeft(head, "\r\n")
		line, _, _ = bytes.Cut(line, []byte{'\n'})
		if d.Delimiter == "" {
			d.Delimiter = string(tabular.GuessDelimiter(strings.TrimSpace(string(line)), func(name string) bool {
				return indexOf(sample.columns, name) >= 0
			}))
		}
		if err := sample.fields(head); err != nil {
			return err
		}
	}
	if d.Dates == "" {
		if d.Dates = ISO; sample.dutch > sample.iso {
			d.Dates = Dutch
		}
	} else {
		in.notation.strict = true
	}
	if d.Decimal == "" {
		// Where nothing tells, a program that parts fields with semicolons is one that
		// needs the comma for decimals.
		if d.Decimal = Point; sample.comma > sample.point || sample.comma == sample.point && d.Delimiter == ";" {
			d.Decimal = Comma
		}
	}
	in.notation.comma, in.notation.dates = d.Decimal == Comma, d.Dates
	return nil
}

func indexOf(columns []column, name string) int {
	name = strings.ToLower(strings.TrimSpace(name))
	return slices.IndexFunc(columns, func(c column) bool { return c.name == name })
}

// sample counts what the values at the head of a file look like.
type sample struct {
	in      *input
	columns []column
	rows    int
	missing []string

	iso, dutch, point, comma int
}

var errCR = errors.New("has line breaks of CR alone; save the file with CRLF or LF")

// fields reads a CSV file's header and looks at the rows after it.
func (s *sample) fields(head []byte) error {
	f := s.in.newFramer(bytes.NewReader(head))
	var (
		b      tabular.Block
		fields []string
	)
	for s.rows < sampleRows && f.Next(&b) == nil {
		data := string(b.Data)
		for _, fr := range b.Frames {
			var err error
			fields, err = tabular.Split(fields[:0], data[fr.From:fr.To], s.in.delimiter())
			if s.in.header == 0 {
				if err == nil {
					err = fr.Fault
				}
				if err == nil && strings.Contains(data[fr.From:fr.To], "\r") {
					err = errCR
				}
				if err != nil {
					return fault.New(fault.Malformed, "%s, line %d: the header %s", s.in.name, fr.Line, err)
				}
				if err := s.in.readHeader(fr.Line, fields, s.columns); err != nil {
					return err
				}
				f.Columns = len(fields)
				continue
			}
			if err != nil || fr.Fault != nil || len(fields) != len(s.in.places) {
				continue
			}
			if s.rows++; s.rows > sampleRows {
				return nil
			}
			for i, at := range s.in.places {
				if at >= 0 {
					s.look(s.columns[at].kind, strings.TrimSpace(fields[i]))
				}
			}
		}
	}
	return nil
}

func (in *input) readHeader(line int64, fields []string, columns []column) error {
	in.header = line
	in.places = make([]int, len(fields))
	seen := make([]bool, len(columns))
	var faults []string
	for i, name := range fields {
		at := indexOf(columns, name)
		in.places[i] = at
		switch {
		case at >= 0 && seen[at]:
			faults = append(faults, "names "+columns[at].name+" twice")
		case at >= 0:
			seen[at] = true
		case len(in.unknown) < maxUnknown:
			if name = strings.TrimSpace(name); name == "" {
				name = "column " + strconv.Itoa(i+1)
			}
			in.unknown = append(in.unknown, name)
		}
	}
	var missing []string
	for i, c := range columns {
		if c.required && !seen[i] {
			missing = append(missing, c.name)
		}
	}
	if len(missing) > 0 {
		faults = append(faults, "lacks "+strings.Join(missing, ", "))
	}
	if len(faults) > 0 {
		// What the columns are called is not said: without a header they are values.
		return fault.New(fault.Malformed, "%s, line %d: the header %s", in.name, line, strings.Join(faults, " and "))
	}
	return nil
}

// members looks at NDJSON rows. A required field that none of them has is missing.
func (s *sample) members(head []byte) {
	f := s.in.newFramer(bytes.NewReader(head))
	var (
		b    tabular.Block
		list []tabular.Member
	)
	seen := make([]bool, len(s.columns))
	for s.rows < sampleRows && f.Next(&b) == nil {
		data := string(b.Data)
		for _, fr := range b.Frames {
			var err error
			if list, err = tabular.Members(list[:0], data[fr.From:fr.To]); err != nil {
				continue
			}
			s.rows++
			for _, m := range list {
				if at := indexOf(s.columns, m.Name); at >= 0 {
					seen[at] = true
					s.look(s.columns[at].kind, m.Value)
				}
			}
		}
	}
	for i, c := range s.columns {
		if c.required && !seen[i] {
			s.missing = append(s.missing, c.name)
		}
	}
}

func (s *sample) look(k kind, v string) {
	switch {
	case v == "" || k == text:
	case k == date:
		switch {
		case len(v) >= 10 && v[4] == '-':
			s.iso++
		case strings.ContainsAny(v, "-/."):
			s.dutch++
		}
	default:
		point, comma := strings.LastIndexByte(v, '.'), strings.LastIndexByte(v, ',')
		switch {
		case k == money && (comma < 0 && grouped(v, '.') || point < 0 && grouped(v, ',')): // says nothing
		case comma > point:
			s.comma++
		case point > comma:
			s.point++
		}
	}
}
