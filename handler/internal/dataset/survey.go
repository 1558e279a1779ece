package dataset

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"

	"polis/handler/internal/model"
)

// survey is a pass that finds out what the columns hold.
type survey struct {
	columns []finding
	rows    int
	comma   decimalComma
}

// finding is a column of which is being found out what it holds.
type finding struct {
	Column
	known    bool // the kind is not to be found out
	postcode bool // it is called as a column of postcodes is
	digits   int  // of all its numbers, if it is called so; 0: none yet, -1: they differ
	broken   bool // there is a number with a fraction
	odd      odd
	values   distinct
}

func (s *survey) text(i int, text []byte) bool {
	c := &s.columns[i]
	text = trim(text)
	if c.Kind == model.Numeric {
		if v, ok := s.comma.plain(text); ok {
			c.number(v, text)
			return true
		}
		if absent(text) {
			c.Missing++
			return true
		}
		if v, ok := s.comma.number(text); ok {
			c.number(v, text)
			return true
		}
		if c.known {
			return false
		}
		c.Kind = model.Category
	}
	if absent(text) {
		c.Missing++
	} else if v, ok := s.comma.plain(text); ok {
		c.values.add(hashNumber(v)) // as it was counted if the column looked like numbers until now
	} else {
		c.values.add(hashText(text))
		if !c.known {
			c.odd.add(text, s.comma)
		}
	}
	return true
}

// odd counts the values that look like numbers in another notation than the table's.
type odd struct{ decimal, thousands int }

func (o *odd) add(text []byte, c decimalComma) {
	var room [64]byte
	if c {
		if _, ok := number(text); ok {
			o.decimal++
		}
	} else if _, ok := pointed(room[:0], text, '.', ','); ok {
		o.decimal++
	} else if _, ok := pointed(room[:0], text, ',', '.'); ok {
		o.thousands++
	}
}

// say is what they look like.
func (o *odd) say(c decimalComma) string {
	switch {
	case o.decimal > 0 && bool(c):
		return fmt.Sprintf("%d of its values look like numbers with a decimal point", o.decimal)
	case o.decimal > 0:
		return fmt.Sprintf("%d of its values look like numbers with a decimal comma", o.decimal)
	case o.thousands > 0:
		return fmt.Sprintf("%d of its values look like numbers with commas between thousands", o.thousands)
	}
	return ""
}

func (s *survey) number(i int, v float64) {
	c := &s.columns[i]
	if v != v {
		c.Missing++
		return
	}
	var text [32]byte
	if c.postcode {
		c.number(v, strconv.AppendFloat(text[:0], v, 'f', -1, 64))
	} else {
		c.number(v, nil)
	}
}

func (s *survey) row(int) error {
	s.rows++
	return nil
}

func (c *finding) number(v float64, text []byte) {
	c.values.add(hashNumber(v))
	c.broken = c.broken || v != math.Trunc(v)
	if c.postcode && c.digits >= 0 {
		n := digits(text)
		if c.digits != 0 && c.digits != n {
			n = -1
		}
		c.digits = n
	}
}

func (c *finding) column(comma decimalComma) Column {
	out := c.Column
	out.Hint = c.odd.say(comma)
	if out.Distinct = c.values.count(); out.Distinct == 0 && !c.known {
		out.Kind = model.Numeric // whatever Parquet calls it
	}
	out.Whole = c.Kind == model.Numeric && !c.broken && out.Distinct > 0
	if c.Kind == model.Numeric && (c.digits == 4 || c.digits == 5) {
		out.Kind, out.Postcode, out.Whole = model.Category, true, false
	}
	return out
}

// distinct counts different values by their hashes: all of them up to mostKept, and then
// those that begin with so many zero bits that no more are to be kept (Wegman's adaptive
// sampling; Flajolet 1990). The zero value is ready for use.
type distinct struct {
	slots []uint64 // a hash at or after its place; 0 is none
	kept  int
	level int // zero bits that a hash must begin with
}

const mostKept = 4096

func (d *distinct) add(h uint64) {
	if bits.LeadingZeros64(h) < d.level {
		return
	}
	h |= 1 // 0 is taken; the last bit says nothing
	if d.has(h) {
		return
	}
	for d.kept == mostKept {
		d.level++
		d.rehash(len(d.slots))
		if bits.LeadingZeros64(h) < d.level {
			return
		}
	}
	if 2*d.kept >= len(d.slots) {
		d.rehash(max(16, 2*len(d.slots)))
	}
	d.put(h)
}

func (d *distinct) has(h uint64) bool {
	if len(d.slots) == 0 {
		return false
	}
	for i := h >> 1; ; i++ {
		switch d.slots[i&uint64(len(d.slots)-1)] {
		case h:
			return true
		case 0:
			return false
		}
	}
}

func (d *distinct) put(h uint64) {
	i := h >> 1
	for d.slots[i&uint64(len(d.slots)-1)] != 0 {
		i++
	}
	d.slots[i&uint64(len(d.slots)-1)] = h
	d.kept++
}

func (d *distinct) rehash(slots int) {
	old := d.slots
	d.slots, d.kept = make([]uint64, slots), 0
	for _, h := range old {
		if h != 0 && bits.LeadingZeros64(h) >= d.level {
			d.put(h)
		}
	}
}

func (d *distinct) count() int { return d.kept << d.level }

// The hashes are the same on every machine and day, as what is said of a table should be.

func hashNumber(v float64) uint64 { return mix(math.Float64bits(v + 0)) } // -0 is 0

// hashText is FNV-1a, mixed: its high bits alone are not even.
func hashText(s []byte) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, b := range s {
		h = (h ^ uint64(b)) * 0x100000001b3
	}
	return mix(h)
}

// mix is the end of MurmurHash3.
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
