package nbp

import (
	"slices"

	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
)

// Group is what is offered as one product: a branch, or what a tenant makes of a part of
// one. A policy belongs to the first group of its branch whose conditions it meets.
type Group struct {
	Code      string `json:"code"`
	NL        string `json:"nl"`
	EN        string `json:"en"`
	Branch    string `json:"branch"`
	Product   string `json:"product,omitempty"`   // of the policy; "": any
	Attribute string `json:"attribute,omitempty"` // of the policy, which must have Value; "": none asked
	Value     string `json:"value,omitempty"`
	Private   bool   `json:"private,omitempty"`  // offered to private persons
	Business  bool   `json:"business,omitempty"` // offered to businesses
	Essential bool   `json:"essential,omitempty"`
}

// maxGroups is how many groups a set of bits holds.
const maxGroups = 64

// names are what the branches that may be offered are called. Life and health are not
// among them: what a customer needs there is asked by people alone.
var names = map[string][2]string{
	"motor":                 {"motorrijtuigverzekering", "motor insurance"},
	"liability":             {"aansprakelijkheidsverzekering", "personal liability insurance"},
	"contents":              {"inboedelverzekering", "home contents insurance"},
	"building":              {"opstalverzekering", "home building insurance"},
	"legal":                 {"rechtsbijstandverzekering", "legal expenses insurance"},
	"travel":                {"reisverzekering", "travel insurance"},
	"accident":              {"ongevallenverzekering", "accident insurance"},
	"valuables":             {"kostbaarhedenverzekering", "valuables insurance"},
	"boat":                  {"pleziervaartuigverzekering", "boat insurance"},
	"pet":                   {"huisdierenverzekering", "pet insurance"},
	"business_property":     {"bedrijfsgebouw- en inventarisverzekering", "business property insurance"},
	"business_liability":    {"bedrijfsaansprakelijkheidsverzekering", "business liability insurance"},
	"business_interruption": {"bedrijfsschadeverzekering", "business interruption insurance"},
	"fleet":                 {"wagenparkverzekering", "fleet insurance"},
	"transport":             {"transportverzekering", "goods in transit insurance"},
	"cyber":                 {"cyberverzekering", "cyber insurance"},
}

// Grouping knows the groups of a tenant, in the order of their branches, and of which a
// policy is.
type Grouping struct {
	Groups   []Group
	byBranch map[string][]int
	extra    []int // groups whose holding is no feature of feature.OfferFields yet
	rate     int   // the place of commission_rate among those
}

// NewGrouping is the branches that may be offered, but for those that refined parts: each
// of these must end with a group without conditions, so that no policy is without one.
// Errors are fault.Invalid and name the field.
func NewGrouping(refined []Group) (*Grouping, error) {
	parts := map[string][]Group{}
	for i, g := range refined {
		b, _ := portfolio.BranchOf(g.Branch)
		switch {
		case g.Code == "" || g.NL == "" || g.EN == "":
			return nil, fault.New(fault.Invalid, "nbp: groups[%d] needs code, nl and en", i)
		case names[g.Branch][0] == "":
			return nil, fault.New(fault.Invalid, "nbp: groups[%d].branch is no branch that is offered: docs/nbp.md lists them", i)
		case (g.Attribute == "") != (g.Value == ""):
			return nil, fault.New(fault.Invalid, "nbp: groups[%d] needs both attribute and value, or neither", i)
		case !g.Private && !g.Business || g.Private && !b.Private || g.Business && !b.Business:
			return nil, fault.New(fault.Invalid, "nbp: groups[%d] must be private or business, as its branch is", i)
		case g.Code != g.Branch && names[g.Code][0] != "":
			return nil, fault.New(fault.Invalid, "nbp: groups[%d].code is the name of another branch", i)
		}
		parts[g.Branch] = append(parts[g.Branch], g)
	}
	g := &Grouping{byBranch: map[string][]int{}}
	seen := map[string]bool{}
	for _, b := range portfolio.Branches {
		name, ok := names[b.Name]
		if !ok {
			continue
		}
		of := parts[b.Name]
		if of == nil {
			of = []Group{{Code: b.Name, NL: name[0], EN: name[1], Branch: b.Name, Private: b.Private, Business: b.Business, Essential: b.Essential}}
		}
		if last := of[len(of)-1]; last.Product != "" || last.Attribute != "" {
			return nil, fault.New(fault.Invalid, "nbp: groups: the last of branch %s must have no product and no attribute, so that every policy has a group", b.Name)
		}
		for _, x := range of {
			if seen[x.Code] {
				return nil, fault.New(fault.Invalid, "nbp: groups: the code %s is there twice", x.Code)
			}
			seen[x.Code] = true
			g.byBranch[b.Name] = append(g.byBranch[b.Name], len(g.Groups))
			if x.Code != b.Name {
				g.extra = append(g.extra, len(g.Groups))
			}
			g.Groups = append(g.Groups, x)
		}
	}
	if len(g.Groups) > maxGroups {
		return nil, fault.New(fault.Invalid, "nbp: groups: %d are more than %d", len(g.Groups), maxGroups)
	}
	g.rate = slices.IndexFunc(feature.OfferFields(), func(f model.Field) bool { return f.Name == "commission_rate" })
	return g, nil
}

// Of is the group of a policy by its place in Groups; −1 where its branch is not offered.
func (g *Grouping) Of(p *portfolio.Policy) int {
	for _, i := range g.byBranch[p.Branch] {
		if x := &g.Groups[i]; (x.Product == "" || x.Product == p.Product) && (x.Attribute == "" || has(p, x.Attribute, x.Value)) {
			return i
		}
	}
	return -1
}

func has(p *portfolio.Policy, key, value string) bool {
	for i := range p.Attributes {
		if p.Attributes[i].Key == key {
			return p.Attributes[i].Value == value
		}
	}
	return false
}

// Named are the groups that a name means, in any case: the one of that code, or all of that
// branch.
func (g *Grouping) Named(name string) (set uint64) {
	for i := range g.Groups {
		if portfolio.IsCode(g.Groups[i].Code, name) || portfolio.IsCode(g.Groups[i].Branch, name) {
			set |= 1 << i
		}
	}
	return set
}

// Past is what a relation did with the groups so far, as far as is known on a date.
type Past struct {
	Held, Soon uint64           // in force; only from a later date on that is known already
	ended      []portfolio.Date // by group: when its last policy ended
	asOf       portfolio.Date
}

// Reset reads the relation's views, all as of one date.
func (p *Past) Reset(g *Grouping, views []*portfolio.View) {
	p.Held, p.Soon = 0, 0
	p.ended = slices.Grow(p.ended[:0], len(g.Groups))[:len(g.Groups)]
	clear(p.ended)
	for _, v := range views {
		p.asOf = v.AsOf
		for i := range v.Policies {
			q := &v.Policies[i]
			at := g.Of(q.Policy)
			switch {
			case at < 0 || q.EndDate != 0 && q.EndDate <= q.StartDate: // never in force
			case q.StartDate > v.AsOf:
				p.Soon |= 1 << at
			case q.InForce(v.AsOf):
				p.Held |= 1 << at
			default:
				p.ended[at] = max(p.ended[at], q.EndDate)
			}
		}
	}
	p.Soon &^= p.Held
}

// Definition is a feature that this package adds to those of feature.OfferFields.
type Definition struct {
	Name, Unit, Meaning string
	kind                model.Kind
}

// Added are the features that rows have after those of feature.OfferFields and, for each
// group that is a part of a branch, holds_ and its code. About sets them.
var Added = []Definition{
	{Name: "product_group", Meaning: "the group in question", kind: model.Category},
	{Name: "had_it", Unit: "months", Meaning: "since the relation's last policy of the group in question ended"},
}

// Fields are the fields of Row's rows.
func (g *Grouping) Fields() []model.Field {
	out := feature.OfferFields()
	for _, i := range g.extra {
		out = append(out, model.Field{Name: "holds_" + g.Groups[i].Code})
	}
	for _, d := range Added {
		out = append(out, model.Field{Name: d.Name, Kind: d.kind})
	}
	return out
}

// Row fills a row of Fields for a relation, by its primary member and its past. What an
// adviser earns on the policies is left out: no offer may follow it.
func (g *Grouping) Row(r *feature.Reader, rel *feature.Group, p *Past, row *model.Row) {
	r.Offer(feature.Input{View: rel.Primary, Group: rel}, row)
	if g.rate >= 0 {
		row.Num[g.rate] = notKnown
	}
	for _, i := range g.extra {
		row.Num, row.Cat = append(row.Num, float64(p.Held>>i&1)), append(row.Cat, "")
	}
	for range Added {
		row.Num, row.Cat = append(row.Num, notKnown), append(row.Cat, "")
	}
}

// About sets what a row says of the group in question.
func (g *Grouping) About(i int, p *Past, row *model.Row) {
	at := len(row.Num) - len(Added)
	row.Cat[at], row.Num[at+1] = g.Groups[i].Code, notKnown
	if p.ended[i] != 0 {
		row.Num[at+1] = float64(p.asOf-p.ended[i]) / daysAMonth
	}
}

// daysAMonth is the mean of the Gregorian calendar.
const daysAMonth = 365.2425 / 12

// Fits reports whether a group is offered to a segment at all.
func (g *Group) Fits(s portfolio.Segment) bool {
	if s == portfolio.Business {
		return g.Business
	}
	return g.Private
}
