package dataset

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// parquetFile is a Parquet file, of which columns that are not nested can be read, by row groups and in these by columns, of which
// those that nobody asks for are not touched.
type parquetFile struct {
	file    *parquet.File
	columns []parquetColumn
}

// parquetColumn says how the values of a column are read.
type parquetColumn struct {
	heading
	leaf   int  // its place among what the file stores as columns, of which a nested one is several
	bytes  bool // they are text
	plain  bool // they are whole numbers that mean what they say
	number func(parquet.Value) float64
}

func openParquet(file *os.File, size int64) (p *parquetFile, err error) {
	defer damaged(&err)
	// The library takes the footer's word for its length, and the memory for it.
	end := make([]byte, 8)
	if _, err := file.ReadAt(end, max(0, size-8)); err != nil || int64(binary.LittleEndian.Uint32(end)) > size-12 {
		return nil, fault.New(fault.Malformed, "not a Parquet file, or not all of it")
	}
	opened, err := parquet.OpenFile(file, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(64<<10))
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "not a Parquet file")
	}
	p = &parquetFile{file: opened}
	leaf := 0
	for _, field := range opened.Schema().Fields() {
		c := parquetColumn{heading: heading{name: field.Name(), nested: true}}
		if field.Leaf() && !field.Repeated() {
			c = columnOf(field)
		}
		c.leaf = leaf
		leaf += leaves(field)
		p.columns = append(p.columns, c)
	}
	if len(p.columns) == 0 {
		return nil, fault.New(fault.Malformed, "the table has no columns")
	}
	return p, nil
}

// leaves are the columns that a field is stored as.
func leaves(field parquet.Node) int {
	if field.Leaf() {
		return 1
	}
	n := 0
	for _, f := range field.Fields() {
		n += leaves(f)
	}
	return n
}

// damaged turns a panic, the library's answer to some damaged pages, into an error.
func damaged(err *error) {
	if r := recover(); r != nil {
		*err = fault.New(fault.Malformed, "a damaged Parquet file")
	}
}

// columnOf reads numbers as what they stand for: decimals with their point, dates and
// times in days since 1970.
func columnOf(field parquet.Field) parquetColumn {
	c := parquetColumn{heading: heading{name: field.Name()}}
	kind := field.Type().Kind()
	switch kind {
	case parquet.Boolean:
		c.number = func(v parquet.Value) float64 {
			if v.Boolean() {
				return 1
			}
			return 0
		}
	case parquet.Int32:
		c.plain, c.number = true, func(v parquet.Value) float64 { return float64(v.Int32()) }
	case parquet.Int64:
		c.plain, c.number = true, func(v parquet.Value) float64 { return float64(v.Int64()) }
	case parquet.Int96:
		c.number = func(v parquet.Value) float64 {
			i := v.Int96() // nanoseconds of the day, then the Julian day
			return float64(i[2]) - 2440588 + float64(uint64(i[1])<<32|uint64(i[0]))/86400e9
		}
	case parquet.Float:
		c.number = func(v parquet.Value) float64 { return float64(v.Float()) }
	case parquet.Double:
		c.number = parquet.Value.Double
	default:
		c.bytes, c.kind, c.number = true, model.Category, func(v parquet.Value) float64 { return bigEndian(v.ByteArray()) }
	}
	logical := field.Type().LogicalType()
	if logical == nil {
		return c
	}
	switch t := logical.Value.(type) {
	case *format.IntType:
		if !t.IsSigned {
			c.plain, c.number = false, func(v parquet.Value) float64 {
				if kind == parquet.Int32 {
					return float64(v.Uint32())
				}
				return float64(v.Uint64())
			}
		}
	case *format.DecimalType:
		if t.Scale >= 0 && int(t.Scale) < len(powers) {
			unscaled, scale := c.number, powers[t.Scale]
			c.bytes, c.plain, c.kind = false, false, model.Numeric
			c.number = func(v parquet.Value) float64 { return unscaled(v) / scale }
		}
	case *format.TimestampType:
		if t.Unit.Value != nil {
			day := 86400e9 / float64(t.Unit.Value.Duration())
			c.plain, c.number = false, func(v parquet.Value) float64 { return float64(v.Int64()) / day }
		}
	}
	return c
}

// bigEndian is the number that bytes are in two's complement.
func bigEndian(b []byte) float64 {
	v := 0.0
	for i, x := range b {
		if i == 0 {
			v = float64(int8(x))
		} else {
			v = float64(v*256) + float64(x)
		}
	}
	return v
}

func (p *parquetFile) unit() string { return "row" }

func (p *parquetFile) header() []heading {
	names := make([]heading, len(p.columns))
	for i, c := range p.columns {
		names[i] = c.heading
	}
	return names
}

func (p *parquetFile) each(ctx context.Context, columns []place, s sink) error {
	row := 0
	for _, group := range p.file.RowGroups() {
		if err := p.eachOf(ctx, group, columns, s, &row); err != nil {
			return err
		}
	}
	return nil
}

func (p *parquetFile) eachOf(ctx context.Context, group parquet.RowGroup, columns []place, s sink, row *int) (err error) {
	chunks := make([]chunk, len(columns))
	defer func() {
		for i := range chunks {
			err = errors.Join(err, chunks[i].close())
		}
	}()
	for i, c := range columns {
		if err := chunks[i].open(group, p.columns[c.at].leaf); err != nil {
			return err
		}
	}
	var scratch []byte
	for range group.NumRows() {
		if err := goOn(ctx, *row); err != nil {
			return err
		}
		*row++
		for i := range chunks {
			v, err := chunks[i].next()
			if err != nil {
				return err
			}
			c := &p.columns[columns[i].at]
			ok := true
			switch {
			case v.IsNull():
				ok = s.text(i, nil)
			case c.bytes:
				ok = s.text(i, v.ByteArray())
			case columns[i].kind == model.Category:
				scratch = c.appendText(scratch[:0], v)
				ok = s.text(i, scratch)
			default:
				s.number(i, c.number(v))
			}
			if !ok {
				return noNumber(p.unit(), *row, c.name)
			}
		}
		if err := s.row(*row); err != nil {
			return err
		}
	}
	return nil
}

// appendText writes a number as one would in CSV, so that names are the same in both.
func (c *parquetColumn) appendText(to []byte, v parquet.Value) []byte {
	if c.plain {
		if v.Kind() == parquet.Int32 {
			return strconv.AppendInt(to, int64(v.Int32()), 10)
		}
		return strconv.AppendInt(to, v.Int64(), 10)
	}
	number := c.number(v)
	if number == math.Trunc(number) && math.Abs(number) < 1e15 {
		return strconv.AppendFloat(to, number, 'f', -1, 64)
	}
	return strconv.AppendFloat(to, number, 'g', -1, 64)
}

// chunk is the values of one column in one row group.
type chunk struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buffer []parquet.Value
	at     int
}

func (c *chunk) open(group parquet.RowGroup, column int) (err error) {
	defer damaged(&err)
	c.pages = group.ColumnChunks()[column].Pages()
	c.buffer = make([]parquet.Value, 0, 256)
	return nil
}

func (c *chunk) close() (err error) {
	if c.pages == nil {
		return nil
	}
	defer damaged(&err)
	parquet.Release(c.page)
	return fault.Wrap(fault.Unavailable, c.pages.Close(), "closing the table")
}

func (c *chunk) next() (parquet.Value, error) {
	if c.at == len(c.buffer) {
		if err := c.fill(); err != nil {
			return parquet.Value{}, err
		}
	}
	c.at++
	return c.buffer[c.at-1], nil
}

// fill reads more values; what it read before may be gone then.
func (c *chunk) fill() (err error) {
	defer damaged(&err)
	for {
		if c.values != nil {
			n, err := c.values.ReadValues(c.buffer[:cap(c.buffer)])
			if c.buffer, c.at = c.buffer[:n], 0; n > 0 {
				return nil
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return fault.Wrap(fault.Malformed, err, "a damaged Parquet file")
			}
		}
		old := c.page
		c.page, c.values = nil, nil
		parquet.Release(old)
		if c.page, err = c.pages.ReadPage(); err != nil {
			return fault.Wrap(fault.Malformed, err, "a damaged Parquet file")
		}
		c.values = c.page.Values()
	}
}
