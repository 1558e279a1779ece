package dataset

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"polis/handler/internal/model"
)

// rows is a pass that gives the rows to do.
type rows struct {
	current model.Row
	cells   []cell
	do      func(model.Row) error
	comma   decimalComma
	n       int
	at      int   // the place of the current row
	failed  error // do's
}

// cell is where a column's values go.
type cell struct {
	into  int
	kind  model.Kind
	words map[string]string // names by what is in the file: rows share them
}

// maxWords is how many names of a column are shared, each of maxWord bytes or less, so
// that a column of keys does not fill the memory.
const (
	maxWords = 8192
	maxWord  = 128
)

func (r *rows) text(i int, text []byte) bool {
	c := &r.cells[i]
	text = trim(text)
	if c.kind == model.Category {
		r.current.Cat[c.into] = c.word(text)
		return true
	}
	v, ok := r.comma.plain(text)
	if !ok {
		if absent(text) {
			v = nan
		} else if v, ok = r.comma.number(text); !ok {
			return false
		}
	}
	r.current.Num[c.into] = v
	return true
}

func (r *rows) number(i int, v float64) { r.current.Num[r.cells[i].into] = v }

func (r *rows) row(at int) error {
	r.n++
	r.at = at
	r.failed = r.do(r.current)
	return r.failed
}

func (c *cell) word(text []byte) string {
	if w, ok := c.words[string(text)]; ok {
		return w
	}
	written := string(text)
	w := ""
	if !absent(text) {
		w = readable(written)
	}
	if len(c.words) < maxWords && len(text) <= maxWord {
		c.words[written] = w
	}
	return w
}

// readable is a text as UTF-8. What is not is Windows-1252, or names would not survive
// the model's file.
func readable(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(charmap.Windows1252.DecodeByte(s[i]))
	}
	return b.String()
}
