// Package wording puts scores into sentences that can be read to a customer, in Dutch and
// English: plain words (B1), "u", no blame. Scores hold codes and numbers; sentences are
// made when somebody reads them. All of them are in sentences.csv, which a spreadsheet
// opens: nobody has to program to change one.
package wording

import (
	"bytes"
	_ "embed" // the sentences
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"polis/handler/internal/care"
	"polis/handler/internal/clv"
	"polis/handler/internal/fault"
	"polis/handler/internal/nbp"
)

// Lang is a language that sentences come in.
type Lang uint8

// The languages.
const (
	NL Lang = iota
	EN
)

func (l Lang) String() string { return [...]string{"nl", "en"}[l] }

//go:embed sentences.csv
var embedded []byte

// header is the file's first line. A group says what a code is of; format how its number
// is written; a name is for lists of things and for what is not known; the sentence has
// {placeholders}, and {value none|one|many} where a noun follows the number: with none and
// with one the words stand for both, with many they come after the number. A code that ends
// in _ is for all that begin so, an empty one for all that the group does not list.
var header = []string{"group", "code", "format", "nl_name", "nl", "nl_missing", "en_name", "en", "en_missing"}

// Sentences are what can be said. They do not change, so any number of goroutines may use
// them.
type Sentences struct {
	rows map[[2]string]row
	own  Own
}

// Own is what a tenant's settings give names and sentences of their own.
type Own struct {
	Care     *care.Rules // nil: none
	Offers   nbp.Rules
	Groups   nbp.Groups
	Segments clv.Segments
}

// With is the sentences with a tenant's own.
func (s *Sentences) With(o Own) *Sentences { return &Sentences{s.rows, o} }

// signal is what a rule of care says; "" where there is no such rule.
func (s *Sentences) signal(l Lang, code string, number float64) string {
	if s.own.Care == nil {
		return ""
	}
	switch r := s.own.Care.Rule(code); {
	case r == nil:
		return ""
	case l == NL:
		return r.Dutch(number)
	default:
		return r.English(number)
	}
}

// why is what a rule on offers says.
func (s *Sentences) why(l Lang, code string) string {
	if nl, en, _, ok := s.own.Offers.Sentence(code); ok {
		return say(l, nl, en)
	}
	r, _ := s.find("why", "")
	return r.text[l].sentence
}

// standard reports whether a segment is as Polis comes with it, so that its sentence holds.
func (s *Sentences) standard(code string) bool {
	of := func(list clv.Segments) (at clv.Segment) {
		if i := slices.IndexFunc(list, func(g clv.Segment) bool { return g.Code == code }); i >= 0 {
			at = list[i]
		}
		return at
	}
	return of(s.own.Segments) == of(clv.Defaults.Segments)
}

// channel is how one is approached by a channel; a tenant's own goes by its name.
func (s *Sentences) channel(l Lang, name string) string {
	if s.Specific("value", "channel."+name) {
		return s.name(l, "channel", name)
	}
	r, _ := s.find("channel", "")
	return fill(r.text[l].sentence, is{"of": name})
}

type row struct {
	format string
	text   [2]text // by Lang
}

type text struct{ name, sentence, missing string }

// Default are the sentences that Polis comes with, read when they are first asked for.
var Default = sync.OnceValue(func() *Sentences {
	s, err := Read(bytes.NewReader(embedded))
	if err != nil {
		panic("wording: " + err.Error())
	}
	return s
})

// Read reads sentences: CSV in UTF-8 with semicolons. What is wrong is fault.Malformed,
// with its line.
func Read(r io.Reader) (*Sentences, error) {
	in := csv.NewReader(r)
	in.Comma, in.FieldsPerRecord, in.LazyQuotes = ';', len(header), true
	s := &Sentences{rows: map[[2]string]row{}}
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault.Wrap(fault.Malformed, err, "reading sentences")
		}
		line, _ := in.FieldPos(0)
		for i := range cells {
			cells[i] = strings.TrimSpace(strings.TrimPrefix(cells[i], "\ufeff")) // spreadsheets mark UTF-8
		}
		if line == 1 {
			for i, h := range header {
				if cells[i] != h {
					return nil, fault.New(fault.Malformed, "sentences: line 1: column %d is not called %s", i+1, h)
				}
			}
			continue
		}
		key := [2]string{cells[0], cells[1]}
		_, twice := s.rows[key]
		format, _, _ := strings.Cut(cells[2], ":")
		switch {
		case twice:
			return nil, fault.New(fault.Malformed, "sentences: line %d: %s %s is there twice", line, key[0], key[1])
		case !formats[format]:
			return nil, fault.New(fault.Malformed, "sentences: line %d: there is no format %s", line, cells[2])
		}
		for _, cell := range cells[3:] {
			if strings.Count(cell, "{") != strings.Count(cell, "}") {
				return nil, fault.New(fault.Malformed, "sentences: line %d: a { without its }", line)
			}
			for _, rest := range strings.Split(cell, "{")[1:] {
				name, _, _ := strings.Cut(rest, "}")
				if _, forms, counted := strings.Cut(name, " "); counted && strings.Count(forms, "|") != 2 {
					return nil, fault.New(fault.Malformed, "sentences: line %d: a number has three forms: none|one|many", line)
				}
			}
		}
		s.rows[key] = row{cells[2], [2]text{{cells[3], cells[4], cells[5]}, {cells[6], cells[7], cells[8]}}}
	}
	if len(s.rows) == 0 {
		return nil, fault.New(fault.Malformed, "sentences: there are none")
	}
	return s, nil
}

// find is the row of a code: its own, one that all codes beginning alike share, or the
// group's for codes that it does not list.
func (s *Sentences) find(group, code string) (row, bool) {
	if r, ok := s.rows[[2]string{group, code}]; ok {
		return r, true
	}
	if head, _, ok := strings.Cut(code, "_"); ok {
		if r, ok := s.rows[[2]string{group, head + "_"}]; ok {
			return r, true
		}
	}
	r, ok := s.rows[[2]string{group, ""}]
	return r, ok
}

// feature is the row of a feature, of policies where there is one for them.
func (s *Sentences) feature(group, code string) (row, bool) {
	r, ok := s.find(group, code)
	if !ok && group == "policy" {
		r, ok = s.find("customer", code)
	}
	return r, ok
}

// Has reports whether there are sentences for a code, in both languages.
func (s *Sentences) Has(group, code string) bool {
	r, ok := s.find(group, code)
	return ok && r.complete(group)
}

// Specific reports whether a code has a line of its own, and not only its group's.
func (s *Sentences) Specific(group, code string) bool {
	_, ok := s.rows[[2]string{group, code}]
	return ok
}

// HasFeature reports whether a feature of a policy, or else of a customer, has a name and a
// sentence in both languages.
func (s *Sentences) HasFeature(policy bool, code string) bool {
	group := "customer"
	if policy {
		group = "policy"
	}
	r, ok := s.feature(group, code)
	return ok && r.complete(group) && r.text[NL].name != "" && r.text[EN].name != ""
}

func (r row) complete(group string) bool {
	for _, t := range r.text {
		if group == "value" && t.name == "" || group != "value" && t.sentence == "" {
			return false
		}
	}
	return true
}

// name is what a value of a kind is called; itself where no name is listed. Branches may be
// groups of products that a tenant made of them.
func (s *Sentences) name(l Lang, kind, value string) string {
	if kind == "branch" {
		for i := range s.own.Groups {
			if g := &s.own.Groups[i]; g.Code == value {
				return say(l, g.NL, g.EN)
			}
		}
	}
	if r, ok := s.rows[[2]string{"value", kind + "." + value}]; ok && r.text[l].name != "" {
		return r.text[l].name
	}
	return value
}

// fill puts what placeholders stand for into a sentence.
func fill(sentence string, what is) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(sentence, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		name, forms, counted := strings.Cut(name, " ")
		written := what[name]
		if counted {
			none, more, _ := strings.Cut(forms, "|")
			one, many, _ := strings.Cut(more, "|")
			switch written { // as it is read: what rounds to one is one
			case "0":
				written = none
			case "1":
				written = one
			default:
				written += " " + many
			}
		}
		b.WriteString(written)
		sentence = after
	}
}
