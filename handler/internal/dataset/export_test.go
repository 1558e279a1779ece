package dataset

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// Records are all records of a text, for comparison with encoding/csv.
func Records(text string, comma byte) (all [][]string, err error) {
	r := newRecords(bufio.NewReaderSize(strings.NewReader(text), 16), comma)
	for {
		fields, err := r.next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		var record []string
		for _, f := range fields {
			record = append(record, string(f))
		}
		all = append(all, record)
	}
}

func Number(s string) (float64, bool) { return number([]byte(s)) }

// DistinctTexts counts different texts as a survey does.
func DistinctTexts(texts func(yield func(string) bool)) int {
	var d distinct
	for s := range texts {
		d.add(hashText([]byte(s)))
	}
	return d.count()
}

// DistinctNumbers counts different numbers likewise.
func DistinctNumbers(numbers func(yield func(float64) bool)) int {
	var d distinct
	for v := range numbers {
		d.add(hashNumber(v))
	}
	return d.count()
}
