package feature

import (
	_ "embed"
	"fmt"
	"strings"

	"polis/handler/internal/portfolio"
)

// Set is what the rows of a model are made of, or a part of it.
type Set struct {
	Name     string       `json:"name"`
	Of       string       `json:"of"` // which models read it
	Features []Definition `json:"features"`
}

// Catalogue is all features but tenants' own attributes.
func Catalogue() []Set {
	of := func(list []policyDefinition) (out []Definition) {
		for _, p := range list {
			out = append(out, p.Definition)
		}
		return out
	}
	return []Set{
		{"customer", "lapse, other ends and purchases, of the customer of a relation with the most premium; ends of a policy, of its customer; those of ends also the tenant's own attributes, of the customer's policy with the most premium", Customers},
		{"month", "lapse and other ends, for each month ahead", Months},
		{"holding", "purchases", offers[len(Customers):]},
		{"policy", "claim frequency and severity, of each policy in force; after them the tenant's own attributes", of(policies)},
		{"single policy", "ends of a policy while its relation goes on, of each policy in force, beside those of its customer; after them the tenant's own attributes", of(lapsing)},
		{"policy month", "ends of a policy, for each month ahead", PolicyMonths},
	}
}

//go:embed page.md
var page string

// Page is docs/features.md: the text of page.md with the tables of features, of known
// rating factors, and the lists of what may never be one.
func Page() string {
	var counts, tables strings.Builder
	for _, set := range Catalogue() {
		fmt.Fprintf(&counts, "%d %s features, ", len(set.Features), set.Name)
		fmt.Fprintf(&tables, "## %s features\nRead by the models of %s.\n\n", title(set.Name), set.Of)
		tables.WriteString("| name | group | unit | meaning | current only |\n|---|---|---|---|---|\n")
		for _, d := range set.Features {
			mark := ""
			if d.CurrentOnly {
				mark = "yes"
			}
			fmt.Fprintf(&tables, "| %s | %s | %s | %s | %s |\n", d.Name, d.Group, d.Unit, d.Meaning, mark)
		}
		tables.WriteByte('\n')
	}
	var reasons, channels strings.Builder
	for k, name := range reasonNames {
		list(&reasons, name, reasonCodes[k])
	}
	for k, name := range channelNames {
		list(&channels, name, channelCodes[k])
	}
	var factors strings.Builder
	for _, f := range ratingFactors {
		list(&factors, f.Meaning, f.Keys)
	}
	return strings.NewReplacer(
		"{{counts}}", strings.TrimSuffix(counts.String(), ", "),
		"{{features}}", strings.TrimSpace(tables.String()),
		"{{reasons}}", strings.TrimSpace(reasons.String()),
		"{{channels}}", strings.TrimSpace(channels.String()),
		"{{never}}", wordRows(),
		"{{factors}}", strings.TrimSpace(factors.String()),
		"{{names}}", fmt.Sprint(mostNames),
		"{{longest}}", fmt.Sprint(longestOne),
		"{{few}}", fmt.Sprint(fewNames),
		"{{forbidden}}", fmt.Sprintf("%g%%", 100*fewForbidden),
		"{{fewest}}", fmt.Sprint(Defaults.FewestCustomers),
		"{{rare}}", Rare,
		"{{attributes}}", fmt.Sprint(mostAttributes),
		"{{private}}", codeList(branchNames(commonPrivate)),
		"{{business}}", codeList(branchNames(commonBusiness)),
		"{{snapshots}}", fmt.Sprint(Defaults.Snapshots),
		"{{lag}}", fmt.Sprint(Defaults.ReportingLag),
		"{{seen}}", fmt.Sprint(seenFrom),
		"{{around}}", fmt.Sprint(aroundRenewal),
	).Replace(page)
}

var (
	reasonNames  = [reasonKinds]string{complaint: "complaint", question: "question", claim: "claim", change: "change", advice: "advice"}
	channelNames = [channelKinds]string{phone: "telephone", mail: "letter or email", online: "chat, app or portal", visit: "face to face"}
)

func list(b *strings.Builder, name string, codes []string) {
	if len(codes) > 0 {
		fmt.Fprintf(b, "| %s | %s |\n", name, codeList(codes))
	}
}

// wordRows are the table of words, a row each.
func wordRows() string {
	var b strings.Builder
	for _, e := range never.Entries() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", e.About, strings.Join(e.In, ", "), e.Match, codeList(e.Words), e.Source)
	}
	return strings.TrimSpace(b.String())
}

func codeList(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

func branchNames(set uint64) (names []string) {
	for i, b := range portfolio.Branches {
		if set&(1<<i) != 0 {
			names = append(names, b.Name)
		}
	}
	return names
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
