package check

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	block    = regexp.MustCompile(`(?ms)^(?:resource|module) (\w+) '([^']+)' = .*?^}`)
	listed   = regexp.MustCompile(`(?ms)^var (\w+) = \[\n(.*?)^\]`)
	allows   = regexp.MustCompile(`(?s)\bactions: \[(.*?)\]`)
	refuses  = regexp.MustCompile(`(?s)\bnotActions: (.*?)\n *dataActions:`)
	action   = regexp.MustCompile(`'([^']+)'`)
	assigned = regexp.MustCompile(`roleDefinitionId: (\w+)\.id`)
	holder   = regexp.MustCompile(`principalId: (\w+)!?\.outputs`)
)

// right is a role of the bootstrap: what it allows, less what it takes back.
type right struct{ allows, refuses []string }

func covers(patterns []string, wanted string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		before, after, star := strings.Cut(p, "*")
		return p == wanted || star && strings.HasPrefix(wanted, before) && strings.HasSuffix(wanted, after)
	})
}

func (r right) may(wanted string) bool { return covers(r.allows, wanted) && !covers(r.refuses, wanted) }

// holders are the roles of each identity that a bootstrap makes.
func holders(source string) map[string][]right {
	lists := map[string]string{}
	for _, m := range listed.FindAllStringSubmatch(source, -1) {
		lists[m[1]] = m[2]
	}
	quotedIn := func(s string) []string {
		for name, list := range lists {
			s = regexp.MustCompile(`\b`+name+`\b(?:,|\)|$)`).ReplaceAllLiteralString(s, list)
		}
		var out []string
		for _, m := range action.FindAllStringSubmatch(s, -1) {
			out = append(out, m[1])
		}
		return out
	}
	roles, out := map[string]right{}, map[string][]right{}
	for _, b := range block.FindAllStringSubmatch(source, -1) {
		if strings.HasPrefix(b[2], "Microsoft.Authorization/roleDefinitions@") {
			roles[b[1]] = right{quotedIn(allows.FindStringSubmatch(b[0])[1]), quotedIn(refuses.FindStringSubmatch(b[0])[1])}
		}
	}
	for _, b := range block.FindAllStringSubmatch(source, -1) {
		role, who := assigned.FindStringSubmatch(b[0]), holder.FindStringSubmatch(b[0])
		if role == nil || who == nil {
			continue
		}
		out[who[1]] = append(out[who[1]], roles[role[1]])
	}
	return out
}

// unlinked are identities that may write diagnostic settings and not what Azure asks of them for it: the right
// to list the keys of the workspace that logs go to.
func unlinked(held map[string][]right) []string {
	var out []string
	for who, roles := range held {
		has := func(wanted string) bool {
			return slices.ContainsFunc(roles, func(r right) bool { return r.may(wanted) })
		}
		if has("Microsoft.Insights/diagnosticSettings/write") && !has("Microsoft.OperationalInsights/workspaces/sharedKeys/action") {
			out = append(out, who)
		}
	}
	slices.Sort(out)
	return out
}

// TestBootstrapLinks: who sends logs to the workspace may; who only plans may not list its keys.
func TestBootstrapLinks(t *testing.T) {
	body, err := os.ReadFile(filepath.Join("..", "bootstrap", "main.bicep"))
	if err != nil {
		t.Fatal(err)
	}
	source := string(body)
	held := holders(source)
	for _, who := range []string{"identity", "drill"} {
		if !slices.ContainsFunc(held[who], func(r right) bool { return r.may("Microsoft.Insights/diagnosticSettings/write") }) {
			t.Errorf("%s sends no logs: this test reads the bootstrap no more", who)
		}
	}
	if got := unlinked(held); len(got) > 0 {
		t.Errorf("%v would fail at a diagnostic setting (LinkedAuthorizationFailed)", got)
	}
	for _, r := range held["plan"] {
		for _, end := range []string{"action", "read"} {
			if r.may("Microsoft.OperationalInsights/workspaces/sharedKeys/" + end) {
				t.Errorf("who plans may list the workspace's keys: %s", end)
			}
		}
	}
	for _, of := range []string{"namespaces", "namespaces/queues", "namespaces/topics"} {
		for _, r := range held["identity"] {
			if r.may("Microsoft.ServiceBus/" + of + "/authorizationRules/listKeys/action") {
				t.Errorf("who deploys may list keys of %s", of)
			}
		}
	}
	// A directory has one role of a name: two of its subscriptions may have an environment of the same.
	for _, m := range regexp.MustCompile(`roleName: '([^\n]*)'`).FindAllStringSubmatch(source, -1) {
		if !strings.HasSuffix(m[1], "(${environment}-${token})") {
			t.Errorf("the role %s may be there already", m[1])
		}
	}
	broken := strings.Replace(source, "notActions: concat(keys, [", "notActions: concat(keys, [\n'Microsoft.OperationalInsights/workspaces/sharedKeys/*'", 1)
	broken = strings.Replace(broken, "roleDefinitionId: linker.id", "roleDefinitionId: planner.id", 1)
	if got := unlinked(holders(broken)); !slices.Equal(got, []string{"drill", "identity"}) {
		t.Errorf("taken away from both, it is missed of %v", got)
	}
}

// TestCustodians: the deployment identity may give the group of custodians what the estate gives it, and no more.
func TestCustodians(t *testing.T) {
	body, err := os.ReadFile(filepath.Join("..", "bootstrap", "main.bicep"))
	if err != nil {
		t.Fatal(err)
	}
	var may []string
	for _, m := range listed.FindAllStringSubmatch(string(body), -1) {
		if m[1] != "custody" {
			continue
		}
		for _, id := range action.FindAllStringSubmatch(m[2], -1) {
			may = append(may, roleNames[id[1]])
		}
	}
	e, err := parse(snapshot(t, "options"), "options")
	if err != nil {
		t.Fatal(err)
	}
	var given []string
	for _, g := range grants(e) {
		if g.who == "custodians" && !strings.HasPrefix(g.role, "Cosmos DB") { // whose roles Azure's conditions do not see
			given = append(given, g.role)
		}
	}
	slices.Sort(may)
	slices.Sort(given)
	if given = slices.Compact(given); len(may) == 0 || !slices.Equal(may, given) {
		t.Errorf("the bootstrap lets custodians be given %v, and the estate gives them %v", may, given)
	}
	if !strings.Contains(string(body), `ForAnyOfAnyValues:GuidEquals {${join(custody, ', ')}} AND @Request[Microsoft.Authorization/roleAssignments:PrincipalId]`) {
		t.Error("the bootstrap does not say who custodians are")
	}
}
