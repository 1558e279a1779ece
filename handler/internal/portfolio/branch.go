package portfolio

// Branch facts: what the trade says of each line of business. A branch that is not
// listed is counted as one of its own: non-life and not essential. Under which other names houses
// have them is for BranchNames.
type Branch struct {
	Name         string
	Essential    bool // among those whose loss ends the relation in practice
	LifeOrHealth bool // off by default in risk scoring: EU AI Act, Annex III, 5(c)
	Business     bool // sold to businesses
	Private      bool // sold to private persons
}

// Branches are the known branches, in the order of docs/tables.md.
var Branches = []Branch{
	{Name: "motor", Essential: true, Private: true, Business: true},
	{Name: "liability", Essential: true, Private: true},
	{Name: "contents", Essential: true, Private: true},
	{Name: "building", Essential: true, Private: true},
	{Name: "legal", Private: true, Business: true},
	{Name: "travel", Private: true},
	{Name: "accident", Private: true},
	{Name: "valuables", Private: true},
	{Name: "boat", Private: true},
	{Name: "pet", Private: true},
	{Name: "business_property", Essential: true, Business: true},
	{Name: "business_liability", Essential: true, Business: true},
	{Name: "business_interruption", Business: true},
	{Name: "fleet", Essential: true, Business: true},
	{Name: "transport", Business: true},
	{Name: "cyber", Business: true},
	{Name: "disability", LifeOrHealth: true, Private: true, Business: true},
	{Name: "absence", LifeOrHealth: true, Business: true},
	{Name: "health", LifeOrHealth: true, Private: true},
	{Name: "life", LifeOrHealth: true, Private: true},
	{Name: "funeral", LifeOrHealth: true, Private: true},
}

var branchIndex = func() map[string]int {
	m := make(map[string]int, len(Branches))
	for i, b := range Branches {
		m[b.Name] = i
	}
	return m
}()

// BranchOf finds a branch by name.
func BranchOf(name string) (Branch, bool) {
	i, ok := branchIndex[name]
	if !ok {
		return Branch{Name: name}, false
	}
	return Branches[i], true
}

// BranchIndex is a branch's place in Branches; −1 for one that is not listed.
func BranchIndex(name string) int {
	if i, ok := branchIndex[name]; ok {
		return i
	}
	return -1
}
