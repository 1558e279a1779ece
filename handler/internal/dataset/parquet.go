package dataset

import (
	"errors"
	"io"
	"math"
	"os"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// readParquet reads a flat Parquet file. What is text there is a category, all else a
// number, unless the kind is known.
func readParquet(f *os.File, b *builder) (err error) {
	defer func() {
		if r := recover(); r != nil { // the library's answer to some damaged pages
			err = fault.New(fault.Malformed, "a damaged Parquet file")
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "reading the table")
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return fault.Wrap(fault.Malformed, err, "not a Parquet file")
	}
	var names []string
	for _, field := range file.Schema().Fields() {
		if !field.Leaf() || field.Repeated() {
			return fault.New(fault.Malformed, "the column %s is nested: a table of plain columns is needed", field.Name())
		}
		names = append(names, field.Name())
	}
	if err := b.open(names); err != nil {
		return err
	}
	for i, field := range file.Schema().Fields() {
		if c := b.columns[i]; c != nil && !c.known {
			switch field.Type().Kind() {
			case parquet.ByteArray, parquet.FixedLenByteArray:
				c.Kind = model.Category
			}
		}
	}
	for _, group := range file.RowGroups() {
		if err := readRows(group, b); err != nil {
			return err
		}
	}
	return nil
}

func readRows(group parquet.RowGroup, b *builder) (err error) {
	rows := group.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	buf := make([]parquet.Row, 256)
	for {
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			b.rows++
			for _, v := range row {
				if c := b.columns[v.Column()]; c != nil && !c.value(v) {
					return fault.New(fault.Malformed, "row %d: the column %s is to hold numbers", b.rows, c.Name)
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.Wrap(fault.Malformed, err, "reading the table")
		}
	}
}

func (c *building) value(v parquet.Value) bool {
	var number float64
	switch {
	case v.IsNull():
		return c.text("")
	case v.Kind() == parquet.ByteArray || v.Kind() == parquet.FixedLenByteArray:
		return c.text(string(v.ByteArray()))
	case v.Kind() == parquet.Boolean:
		if v.Boolean() {
			number = 1
		}
	case v.Kind() == parquet.Int32:
		number = float64(v.Int32())
	case v.Kind() == parquet.Int64:
		number = float64(v.Int64())
	case v.Kind() == parquet.Float:
		number = float64(v.Float())
	case v.Kind() == parquet.Double:
		number = v.Double()
	default:
		number = math.NaN()
	}
	if c.Kind == model.Category {
		return c.text(strconv.FormatFloat(number, 'g', -1, 64))
	}
	c.number(number)
	return true
}
