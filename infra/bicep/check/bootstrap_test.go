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

// rolesOf are the roles of our own that a bootstrap makes.
func rolesOf(source string) map[string]right {
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
	roles := map[string]right{}
	for _, b := range block.FindAllStringSubmatch(source, -1) {
		if strings.HasPrefix(b[2], "Microsoft.Authorization/roleDefinitions@") {
			roles[b[1]] = right{quotedIn(allows.FindStringSubmatch(b[0])[1]), quotedIn(refuses.FindStringSubmatch(b[0])[1])}
		}
	}
	return roles
}

// holders are the roles of each identity that a bootstrap makes.
func holders(source string) map[string][]right {
	roles, out := rolesOf(source), map[string][]right{}
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

// TestBootstrapRecovers: what the runbooks' scripts do by hand the group recovery may, who may do drills by the
// pipeline may not do all of it, and neither may read keys.
func TestBootstrapRecovers(t *testing.T) {
	body, err := os.ReadFile(filepath.Join("..", "bootstrap", "main.bicep"))
	if err != nil {
		t.Fatal(err)
	}
	roles := rolesOf(string(body))
	held := []right{roles["recoverer"], roles["rehearser"], roles["linker"]}
	for does, wanted := range map[string][]string{
		"drill failover --real": {
			"Microsoft.Cdn/profiles/originGroups/origins/write", "Microsoft.DocumentDB/databaseAccounts/offlineRegion/action",
			"Microsoft.ServiceBus/namespaces/failover/action", "Microsoft.Storage/storageAccounts/failover/action",
			"Microsoft.Web/sites/start/action", "Microsoft.Web/sites/stop/action", "Microsoft.Web/sites/syncfunctiontriggers/action", "Microsoft.Web/sites/write",
			"Microsoft.Network/virtualNetworks/subnets/join/action",
		},
		"drill failback": {"Microsoft.DocumentDB/databaseAccounts/failoverPriorityChange/action"},
		"drill restore": {
			"Microsoft.DocumentDB/databaseAccounts/write", "Microsoft.DocumentDB/locations/restorableDatabaseAccounts/read", "Microsoft.DocumentDB/locations/restorableDatabaseAccounts/restore/action",
			"Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", "Microsoft.Storage/storageAccounts/restoreBlobRanges/action",
		},
		"drill copies": {
			"Microsoft.DataFactory/factories/pipelines/createrun/action", "Microsoft.DocumentDB/databaseAccounts/delete", "Microsoft.Resources/deployments/write",
			"Microsoft.Insights/diagnosticSettings/write", "Microsoft.OperationalInsights/workspaces/sharedKeys/action",
		},
		"switch": {"Microsoft.ApiManagement/service/backends/write", "Microsoft.Resources/tags/write"},
	} {
		for _, w := range wanted {
			if !slices.ContainsFunc(held, func(r right) bool { return r.may(w) }) {
				t.Errorf("the group recovery may not %s: %s", w, does)
			}
		}
	}
	// What else the pages ask of people, by az: the group may, or the line says that the Owner does.
	asked := regexp.MustCompile(`\baz ([a-z][a-z -]*[a-z])`)
	for _, name := range []string{"failover", "restore", "restore-copies"} {
		page, err := os.ReadFile(filepath.Join(root, "docs", "runbooks", name+".md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(page), "\n") {
			for _, m := range asked.FindAllStringSubmatch(line, -1) {
				command, _, _ := strings.Cut(m[1], " --")
				wanted, known := map[string]string{
					"functionapp stop": "Microsoft.Web/sites/stop/action", "storage blob restore": "Microsoft.Storage/storageAccounts/restoreBlobRanges/action",
					"cosmosdb sql role assignment create": "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments/write", // on an account in the group of the copies
					"cosmosdb sql container update":       "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/write",
					"cosmosdb delete":                     "Microsoft.DocumentDB/databaseAccounts/delete",
					"rest":                                "Microsoft.DataFactory/factories/managedVirtualNetworks/managedPrivateEndpoints/delete",
					"login":                               "Microsoft.Resources/subscriptions/read",
				}[command]
				may := known && slices.ContainsFunc(held, func(r right) bool { return r.may(wanted) })
				if !may && !strings.Contains(line, "the Owner") {
					t.Errorf("%s.md: the group recovery may not az %s, and the line names nobody who may", name, command)
				}
			}
		}
	}
	// The three roles of our own are given to the group, and the page says so.
	page, err := os.ReadFile(filepath.Join(root, "docs", "roles.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"recoverer", "rehearser", "linker"} {
		given := regexp.MustCompile(`who: recovery, (?:role|roleDefinitionId): ` + name + `\.(?:id|name)\b`)
		if !given.Match(body) {
			t.Errorf("the group recovery may not ask for %s", name)
		}
		if _, row, _ := strings.Cut(string(page), "| recovery |"); !strings.Contains(strings.SplitN(row, "\n", 2)[0], "*Polis "+name+"*") {
			t.Errorf("docs/roles.md does not say that the group recovery may ask for %s", name)
		}
	}
	for _, w := range []string{"Microsoft.DocumentDB/databaseAccounts/listKeys/action", "Microsoft.Authorization/roleAssignments/write", "Microsoft.Storage/storageAccounts/listKeys/action"} {
		if slices.ContainsFunc(held, func(r right) bool { return r.may(w) }) {
			t.Errorf("the group recovery may %s", w)
		}
	}
	if roles["driller"].may("Microsoft.DocumentDB/databaseAccounts/offlineRegion/action") {
		t.Error("who does drills by the pipeline, which nobody approves, may give up a region")
	}
}
