package portfolio

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/csv"
	"errors"
	"io"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/vocabulary"
)

// NonLife is what a name may be said to stand for that is a branch of its own.
const NonLife = "non_life"

//go:embed branches.csv
var branchesTable string

// aliases are words by which names of branches are known that are not those of Branches.
var aliases = vocabulary.Embedded("branches.csv", branchesTable).For("branches")

// BranchNames are a tenant's own names of branches, in lower case: each stands for one of
// Branches, or for a non-life branch of its own.
type BranchNames map[string]string

// Of is the branch that a name stands for, in lower case: what the tenant says, one of Branches, or what
// branches.csv knows it for. Any other is kept, counts as non-life, and is not known.
func (n BranchNames) Of(name string) (branch string, known bool) {
	name = strings.ToLower(strings.TrimSpace(name))
	if to, ok := n[name]; ok {
		if to == NonLife {
			return name, true
		}
		return to, true
	}
	if BranchIndex(name) >= 0 {
		return name, true
	}
	e := aliases.Find(name)
	if e == nil || e.About == NonLife {
		return name, e != nil
	}
	return e.About, true
}

// Check makes sure that names stand for branches, and that none is a branch's own: what is
// known by it would be something else.
func (n BranchNames) Check() error {
	for name, to := range n {
		switch {
		case name == "" || name != strings.ToLower(strings.TrimSpace(name)):
			return fault.New(fault.Invalid, "branches: a name is empty, or not in lower case without spaces around it")
		case BranchIndex(name) >= 0:
			return fault.New(fault.Invalid, "branches: %s is a branch and stands for itself", name)
		case to != NonLife && BranchIndex(to) < 0:
			return fault.New(fault.Invalid, "branches: a name stands for what is neither a branch (docs/tables.md) nor %s", NonLife)
		}
	}
	return nil
}

// ReadBranchNames reads a tenant's table, CSV with the columns name and branch. What cannot be
// read is fault.Malformed, what breaks a rule fault.Invalid; both name file and line.
func ReadBranchNames(file string, r io.Reader) (BranchNames, error) {
	in := bufio.NewReader(r)
	if head, err := in.Peek(3); err == nil && bytes.Equal(head, []byte("\ufeff")) { // spreadsheets put it there
		_, _ = in.Discard(3) // it was peeked at
	}
	line, err := in.Peek(in.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.Wrap(fault.Malformed, err, "reading %s", file)
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	c := csv.NewReader(in)
	if c.FieldsPerRecord = 2; bytes.Contains(line, []byte(";")) {
		c.Comma = ';'
	}
	n := BranchNames{}
	for first := true; ; first = false {
		row, err := c.Read()
		if err == io.EOF {
			if first {
				return nil, fault.New(fault.Malformed, "%s has no heading name,branch", file)
			}
			return n, nil
		}
		if err != nil {
			return nil, fault.Wrap(fault.Malformed, err, "reading %s", file)
		}
		at, _ := c.FieldPos(0)
		name, to := strings.ToLower(strings.TrimSpace(row[0])), strings.ToLower(strings.TrimSpace(row[1]))
		if first {
			if name != "name" || to != "branch" {
				return nil, fault.New(fault.Malformed, "%s line %d: the heading is not name,branch", file, at)
			}
			continue
		}
		if _, twice := n[name]; twice {
			return nil, fault.New(fault.Invalid, "%s line %d: the name is there twice", file, at)
		}
		if err := (BranchNames{name: to}).Check(); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "%s line %d", file, at)
		}
		n[name] = to
	}
}

// NameBranches gives each policy the branch that its name stands for.
func (a *Aggregate) NameBranches(n BranchNames) {
	for i := range a.Policies {
		a.Policies[i].Branch, _ = n.Of(a.Policies[i].Branch)
	}
}
