package check

import (
	"regexp"
	"slices"
	"strings"
)

var (
	literal  = regexp.MustCompile(`'[^']*'`)
	made     = regexp.MustCompile(`\b([A-Za-z_][A-Za-z0-9_]*) *=[^=~]`)
	argument = regexp.MustCompile(`\(([a-z]+): *(?:timespan|string|long)\)`)
	word     = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
	number   = regexp.MustCompile(`\b[0-9][0-9.]*[a-z]*\b`)
	later    = regexp.MustCompile(`\b[A-Za-z]\w*_[sdbgt]\b`)
	ifThere  = regexp.MustCompile(`\bcolumn_ifexists\('(\w+)', [^)]*\)`)
	part     = regexp.MustCompile(`\bOperationName !?(?:has|hasprefix|hassuffix)(?:_any|_all)?\b`)
)

// standard are columns that every table has.
var standard = []string{"TimeGenerated", "_ResourceId", "Type", "TenantId"}

// kql are words of the language that queries use, and the names that are put in at deployment.
var kql = strings.Fields(`where summarize by extend project order desc asc union isfuzzy let print join kind leftanti on mv expand
	to typeof string real long and or not in has has_any contains startswith between endswith matches regex true false distinct
	count countif dcount sum max min percentile bin ago now dayofmonth dayofweek tostring toint todouble toscalar max_of min_of
	round strcat make_set column_ifexists arg_max ipv4_is_private isnotempty isempty dynamic extract timespan DEPLOYERS DRILLS APPS`)

// columns says which words of a query are no columns of the tables that it asks, nor made in it, nor
// KQL's. Sentinel refuses such a rule, at deployment; an alert takes it and never fires. And it says
// where a query looks for a part of a word: "has" finds whole ones, and names of operations are one
// word each ("AccountUpdateStart" has "Update" is false).
func columns(query string, tables map[string][]string) []string {
	var out []string
	if part.MatchString(query) {
		out = append(out, "looks for a part of an operation's name as if it were a word")
	}
	// Columns of AzureDiagnostics come into being with the first record that has them.
	if m := later.FindString(literal.ReplaceAllString(query, "''")); m != "" {
		out = append(out, "asks for a column that a new workspace has not: "+m+": column_ifexists")
	}
	query = ifThere.ReplaceAllString(query, "column_ifexists($1)")
	query = number.ReplaceAllString(literal.ReplaceAllString(query, "''"), "0")
	known := slices.Concat(kql, standard)
	for _, t := range tablesOf(query) {
		known = append(append(known, t), tables[t]...)
	}
	for _, names := range []*regexp.Regexp{made, argument} {
		for _, m := range names.FindAllStringSubmatch(query, -1) {
			known = append(known, m[1])
		}
	}
	for _, w := range word.FindAllString(query, -1) {
		if !slices.Contains(known, w) {
			out = append(out, "asks for a column that its tables have not: "+w)
			known = append(known, w)
		}
	}
	return out
}

// archived holds the workspace to keep what queries ask for a year; incidents and their alerts where
// Sentinel makes them.
func archived(e *Estate, signals Signals) []Finding {
	kept := map[string]bool{}
	for _, t := range e.Of("Microsoft.OperationalInsights/workspaces/tables") {
		kept[last(t.Name)] = true
	}
	want := []string{}
	for t := range signals.Tables {
		if !strings.HasPrefix(t, "Security") {
			want = append(want, t)
		}
	}
	if len(e.Of("Microsoft.SecurityInsights/onboardingStates")) > 0 {
		want = append(want, "SecurityIncident", "SecurityAlert")
	}
	slices.Sort(want)
	var out []Finding
	for _, t := range want {
		if !kept[t] {
			out = append(out, Finding{Resource: "the workspace", Says: "forgets " + t + " after 90 days"})
		}
	}
	return out
}
