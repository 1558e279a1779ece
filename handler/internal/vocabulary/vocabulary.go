// Package vocabulary recognises words in what houses name as they like: keys and values of
// attributes, covers, branches. The words are data, a table that somebody who does not
// program can read and add to; see Read.
package vocabulary

import (
	"encoding/csv"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"

	"polis/handler/internal/fault"
)

// Match is how a word is looked for. Case, accents, separators and digits never count.
type Match string

// The ways of looking. A text is parted into its words: driverName, driver_name and
// driver-name are two each.
const (
	Whole    Match = "whole"    // is all of the text, its words joined
	Word     Match = "word"     // is a word of it
	Start    Match = "start"    // begins a word of it
	Part     Match = "part"     // is anywhere in it, its words joined: Dutch and German write words together
	Compound Match = "compound" // is a word, or one with nothing but trade words around it: tand and tandkosten, and not tandem
	Trade    Match = "trade"    // what compounds are made with, as kosten; found by itself it says nothing
	Innocent Match = "innocent" // one or more words (man-made) that are looked past
)

var matches = []Match{Whole, Word, Start, Part, Compound, Trade, Innocent}

// Entry is a line of a table.
type Entry struct {
	About    string   // what its words tell of
	Match    Match    // how they are looked for
	In       []string // where, as the table's reader names it: keys, values, covers
	Language string   // nl, en, de, fr, or several; - for none
	Words    []string // folded
	Source   string   // law, norm, or our choice
}

// List is the words of a table that hold for one use. It is safe for concurrent use.
type List struct {
	parts     [5][]term // by Match, up to Compound, in the table's order
	words     map[string]int
	trade     []string
	innocents []string
	entries   []Entry

	read func() // fills the list, once
	mu   sync.RWMutex
	seen map[string]int
}

type term struct {
	word  string
	entry int
}

// maxSeen bounds how many answers are kept: names that houses give are few, and what is not
// kept is looked for anew.
const maxSeen = 1 << 14

// none is the answer that no word was found.
const none = -1

// columns of a table.
var columns = []string{"about", "match", "in", "language", "words", "source"}

// Read reads a table: CSV with the heading about, match, in, language, words, source, of which
// in and words hold several, separated by spaces. What breaks a rule is fault.Invalid, by
// file and line. Lines that begin with # are remarks.
func Read(name string, r io.Reader) ([]Entry, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.Comment = len(columns), '#'
	var out []Entry
	for {
		rec, err := c.Read()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "%s", name)
		}
		line, _ := c.FieldPos(0)
		if out == nil {
			if !slices.Equal(rec, columns) {
				return nil, fault.New(fault.Invalid, "%s:%d: the heading is not %s", name, line, strings.Join(columns, ","))
			}
			out = []Entry{}
			continue
		}
		e := Entry{About: rec[0], Match: Match(rec[1]), In: strings.Fields(rec[2]), Language: rec[3], Source: rec[5]}
		list := strings.Fields(rec[4])
		e.Words = make([]string, 0, len(list))
		for _, w := range list {
			if isFolded(w) { // most are, and whoever looks for the first word waits for the table
				e.Words = append(e.Words, w)
				continue
			}
			parts := words(w)
			if len(parts) == 0 || len(parts) > 1 && e.Match != Innocent {
				return nil, fault.New(fault.Invalid, "%s:%d: %q is not one word of letters", name, line, w)
			}
			e.Words = append(e.Words, strings.Join(parts, " "))
		}
		switch {
		case e.About == "":
			return nil, fault.New(fault.Invalid, "%s:%d: about is empty", name, line)
		case !slices.Contains(matches, e.Match):
			return nil, fault.New(fault.Invalid, "%s:%d: match is none of %q", name, line, matches)
		case len(e.In) == 0 || len(e.Words) == 0:
			return nil, fault.New(fault.Invalid, "%s:%d: in or words is empty", name, line)
		case e.Source == "" || e.Language == "":
			return nil, fault.New(fault.Invalid, "%s:%d: language or source is empty", name, line)
		}
		out = append(out, e)
	}
}

// Table is a table that is a part of the program. It is read when a word is first looked for: a
// process that has just started has other things to do.
type Table struct{ entries func() []Entry }

// Embedded is the table of a text. What breaks a rule in it is a panic then, which every test that looks for a
// word would meet.
func Embedded(name, text string) *Table {
	return &Table{sync.OnceValue(func() []Entry {
		entries, err := Read(name, strings.NewReader(text))
		if err != nil {
			panic(err)
		}
		return entries
	})}
}

// Entries are the lines of the table, which nobody changes.
func (t *Table) Entries() []Entry { return t.entries() }

// For is the list of the entries that hold for a use.
func (t *Table) For(use string) *List {
	l := &List{words: map[string]int{}, seen: map[string]int{}}
	l.read = sync.OnceFunc(func() { l.fill(t.entries(), use) })
	return l
}

func (l *List) fill(entries []Entry, use string) {
	for _, e := range entries {
		if !slices.Contains(e.In, use) {
			continue
		}
		at := len(l.entries)
		l.entries = append(l.entries, e)
		for _, w := range e.Words {
			switch e.Match {
			case Trade:
				l.trade = append(l.trade, w)
			case Innocent:
				l.innocents = append(l.innocents, w)
			case Word:
				if _, ok := l.words[w]; !ok {
					l.words[w] = at
				}
			default:
				i := slices.Index(matches, e.Match)
				l.parts[i] = append(l.parts[i], term{w, at})
			}
		}
	}
	// Of two innocents the longer is looked past first: health care centre before health care.
	slices.SortStableFunc(l.innocents, func(a, b string) int { return len(b) - len(a) })
}

// Find is the first entry of the table that has a word of the text; nil where it has none. What was asked before
// is answered without allocating.
func (l *List) Find(text string) *Entry {
	l.mu.RLock()
	at, ok := l.seen[text]
	l.mu.RUnlock()
	if !ok {
		l.read()
		at = l.find(text)
		l.mu.Lock()
		if len(l.seen) < maxSeen {
			l.seen[strings.Clone(text)] = at
		}
		l.mu.Unlock()
	}
	if at == none {
		return nil
	}
	return &l.entries[at]
}

// find is the first entry of the table that has a word of the text: its order is a
// precedence, so that what is about pets can stand before what is about health.
func (l *List) find(text string) int {
	list := words(text)
	whole := strings.Join(list, "")
	first := none
	met := func(at int) {
		if first == none || at < first {
			first = at
		}
	}
	for _, t := range l.terms(Whole) {
		if t.word == whole {
			met(t.entry)
		}
	}
	// A bar stands where an innocent was, so that what is beside it does not meet.
	padded := " " + strings.Join(list, " ") + " "
	for _, in := range l.innocents {
		padded = strings.ReplaceAll(padded, " "+in+" ", " | ")
	}
	list, whole = strings.Fields(padded), strings.ReplaceAll(padded, " ", "")
	for _, t := range l.terms(Start) {
		if strings.Contains(padded, " "+t.word) {
			met(t.entry)
		}
	}
	for _, t := range l.terms(Part) {
		if strings.Contains(whole, t.word) {
			met(t.entry)
		}
	}
	for _, w := range list {
		if at, ok := l.words[w]; ok {
			met(at)
		}
		if at := l.compound(w, none); at != none {
			met(at)
		}
	}
	return first
}

// terms are the words that are looked for in a way, up to Compound.
func (l *List) terms(m Match) []term { return l.parts[slices.Index(matches, m)] }

// links stand between the parts of a compound in Dutch and German, levensverzekering.
var links = []string{"", "s", "e", "n", "en", "es", "er"}

// longest is the longest word that is taken apart.
const longest = 40

// compound takes a word apart into words of the list and trade words, and answers the first
// of the list's; none where that cannot be done. found is the one that was met before.
func (l *List) compound(w string, found int) int {
	if len(w) > longest {
		return none
	}
	if w == "" {
		return found
	}
	rest := func(part string, at int) int {
		if !strings.HasPrefix(w, part) {
			return none
		}
		for _, link := range links {
			after, ok := strings.CutPrefix(w[len(part):], link)
			if !ok || after == "" && link != "" {
				continue
			}
			if at := l.compound(after, at); at != none {
				return at
			}
		}
		return none
	}
	for _, t := range l.terms(Compound) {
		first := found
		if first == none {
			first = t.entry
		}
		if at := rest(t.word, first); at != none {
			return at
		}
	}
	for _, t := range l.trade {
		if at := rest(t, found); at != none {
			return at
		}
	}
	return none
}

// isFolded reports whether a text is one word that words has nothing to do with: plain letters in lower case.
func isFolded(text string) bool {
	for i := range len(text) {
		if text[i] < 'a' || text[i] > 'z' {
			return false
		}
	}
	return text != ""
}

// words parts a text into its words, folded.
func words(text string) []string {
	var b strings.Builder
	lower := false
	for _, r := range text {
		if lower && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(r)
		if !unicode.IsLetter(r) {
			b.WriteByte(' ')
			continue
		}
		r = unicode.ToLower(r)
		if plain, ok := accents[r]; ok {
			b.WriteString(plain)
		} else {
			b.WriteRune(r)
		}
	}
	return strings.Fields(b.String())
}

// accents are the letters of Dutch, German and French without what is written on them.
var accents = func() map[rune]string {
	m := map[rune]string{'ß': "ss", 'æ': "ae", 'œ': "oe"}
	for plain, marked := range map[string]string{"a": "àáâäã", "c": "ç", "e": "èéêë", "i": "ìíîï", "n": "ñ", "o": "òóôöõ", "u": "ùúûü", "y": "ÿ"} {
		for _, r := range marked {
			m[r] = plain
		}
	}
	return m
}()
