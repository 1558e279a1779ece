package intake

import (
	"cmp"
	"slices"
	"strings"

	"polis/handler/internal/portfolio"
)

// BranchName is a name that a file has for a branch and that is no branch's own.
type BranchName struct {
	Name string `json:"name"`
	// TakenFor is the branch that it stands for by branches.csv; non_life of a name that
	// stands for none, which is kept and counts as a branch of its own.
	TakenFor string `json:"taken_for"`
	Policies int64  `json:"policies"` // rows of policies
}

// maxBranchNames bounds how many are counted: more are no names of branches.
const maxBranchNames = 1000

// reportedNames is how many are reported, those of the most policies.
const reportedNames = 50

// branchNames counts policies by name.
type branchNames map[string]*BranchName

// note counts the names of policies that the tenant's own table does not have.
func (b *branchNames) note(policies []portfolio.Policy, names portfolio.BranchNames) {
	for i := range policies {
		name := policies[i].Branch
		if portfolio.BranchIndex(name) >= 0 {
			continue
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if _, own := names[name]; own || portfolio.BranchIndex(name) >= 0 {
			continue
		}
		to, _ := names.Of(name)
		if to == name {
			to = portfolio.NonLife
		}
		b.add(branchNames{name: {name, to, 1}})
	}
}

func (b *branchNames) add(more branchNames) {
	if *b == nil {
		*b = branchNames{}
	}
	for name, m := range more {
		switch n := (*b)[name]; {
		case n != nil:
			n.Policies += m.Policies
		case len(*b) < maxBranchNames:
			(*b)[strings.Clone(name)] = &BranchName{strings.Clone(name), m.TakenFor, m.Policies}
		}
	}
}

func (b branchNames) report() []BranchName {
	var out []BranchName
	for _, n := range b {
		out = append(out, *n)
	}
	slices.SortFunc(out, func(x, y BranchName) int {
		return cmp.Or(cmp.Compare(y.Policies, x.Policies), cmp.Compare(x.Name, y.Name))
	})
	return out[:min(len(out), reportedNames)]
}
