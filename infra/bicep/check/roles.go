package check

import (
	"regexp"
	"sort"
	"strings"
)

// roleNames are Azure's own roles by id, and those of Cosmos DB's data plane.
var roleNames = map[string]string{
	"e147488a-f6f5-4113-8e2d-b22465e65bf6": "Key Vault Crypto Service Encryption User",
	"4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
	"b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
	"ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
	"2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
	"4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0": "Azure Service Bus Data Receiver",
	"69a216fc-b8fb-44d8-bc22-1f3c2cd27a39": "Azure Service Bus Data Sender",
	"3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
	"5e0bd9bd-7b93-4f28-af87-19fc36ad61bd": "Cognitive Services OpenAI User",
	"4a9ae827-6dc8-4573-8ac7-8239d42aa03f": "Tag Contributor",
	"92aaf0da-9dab-42b6-94a3-d43ce8d16293": "Log Analytics Contributor",
	"749f88d5-cbae-40b8-bcfc-e573ddc772fa": "Monitoring Contributor",
	"app scaler":                           "Polis app scaler",
	"pool joiner":                          "Polis pool joiner",
	"00000000-0000-0000-0000-000000000001": "Cosmos DB Built-in Data Reader",
	"00000000-0000-0000-0000-000000000002": "Cosmos DB Built-in Data Contributor",
}

// A grant is who may do what on which resource, without the parts of names that differ by
// environment, region and colour.
type grant struct{ who, role, on string }

func (g grant) String() string { return g.who + " | " + g.role + " | " + g.on }

var (
	ofIdentity = regexp.MustCompile(`/userAssignedIdentities/id-polis-[a-z]+-(?:[a-z]{3}-)?(.+?)-(?:blue-|green-)?[a-z0-9]{5}'`)
	ofPolicy   = regexp.MustCompile(`policyAssignments', 'polis-[a-z]+-([a-z-]+)'|policyAssignments/polis-[a-z]+-([a-z-]+)'`)
	ofUser     = regexp.MustCompile(`^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`) // a parameter's
	account    = regexp.MustCompile(`/storageAccounts/(stdata|staudit|stbackup|sthost)(?:[a-z]{3})?(?:dev|stag|prod)[a-z0-9]{5}$`)
)

// grants are all that an estate gives.
func grants(e *Estate) []grant {
	seen := map[grant]bool{}
	each(e, func(_ string, g grant) { seen[g] = true })
	out := make([]grant, 0, len(seen))
	for g := range seen {
		out = append(out, g)
	}
	sort.Slice(out, func(i, k int) bool { return out[i].String() < out[k].String() })
	return out
}

// each goes through what an estate gives, with the id of whom it is given to.
func each(e *Estate, visit func(id string, g grant)) {
	custodians := map[string]bool{} // by parameter too: they alone reach documents
	for _, r := range e.Of("Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments") {
		custodians[r.Text("properties.principalId")] = true
	}
	add := func(r Resource, scope, role string) {
		id := r.Text("properties.principalId")
		g := grant{who: principal(id), role: roleNames[role], on: thing(scope)}
		switch {
		case g.on == "the network":
			g.who = "Azure DevOps" // a parameter's id, as users' workloads have
		case ofUser.MatchString(id) && custodians[id]:
			g.who = "custodians"
		}
		if g.role == "" {
			g.role = "role " + role
		}
		visit(id, g)
	}
	for _, r := range e.Of("Microsoft.Authorization/roleAssignments") {
		scope := r.ID[:strings.LastIndex(r.ID, "/providers/Microsoft.Authorization/")]
		role := last(r.Text("properties.roleDefinitionId"))
		if strings.Contains(scope, "/Microsoft.Web/sites/") && roleNames[role] == "" {
			role = "app scaler" // a role of our own, whose id is made of the subscription's
		}
		if strings.Contains(scope, "/virtualNetworks/") && roleNames[role] == "" {
			role = "pool joiner"
		}
		add(r, scope, role)
	}
	for _, r := range e.Of("Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments") {
		add(r, r.Text("properties.scope"), last(r.Text("properties.roleDefinitionId")))
	}
}

func principal(id string) string {
	if m := ofIdentity.FindStringSubmatch(id); m != nil {
		return m[1]
	}
	if m := ofPolicy.FindStringSubmatch(id); m != nil {
		return "policy " + m[1] + m[2]
	}
	if ofUser.MatchString(id) {
		return "a user's workload"
	}
	return id
}

// thing names what a grant is on.
func thing(scope string) string {
	parts := strings.Split(scope, "/")
	end := parts[len(parts)-1]
	container := func(path string) string {
		if m := account.FindStringSubmatch(path[:strings.Index(path+"/blobServices", "/blobServices")]); m != nil {
			return m[1]
		}
		return path
	}
	switch {
	case strings.Contains(scope, "/blobServices/"):
		if strings.HasPrefix(end, "app-") {
			end = "app-*" // each app has its own
		}
		return "blobs " + container(scope) + "/" + end
	case strings.Contains(scope, "/storageAccounts/"):
		return "storage " + container(scope)
	case strings.Contains(scope, "/queues/"):
		return "queue " + end
	case strings.Contains(scope, "/topics/") && strings.Count(scope, "/subscriptions/") == 2:
		return "a subscription of its own"
	case strings.Contains(scope, "/topics/"):
		return "topic " + end
	case strings.Contains(scope, "/keys/"):
		return "key " + end
	case strings.Contains(scope, "/secrets/"):
		return "secret " + end
	case strings.Contains(scope, "/dbs/"):
		return "database " + end
	case strings.Contains(scope, "/Microsoft.Insights/components/"):
		return "Application Insights"
	case strings.Contains(scope, "/Microsoft.Web/sites/"):
		return "app work"
	case strings.Contains(scope, "/virtualNetworks/"):
		return "the network"
	case strings.Contains(scope, "/Microsoft.CognitiveServices/"):
		return "Azure OpenAI"
	case len(parts) == 3:
		return "the subscription"
	}
	return scope
}

// Granted reads the table of docs/roles.md.
func Granted(doc string) []string {
	var out []string
	for _, line := range strings.Split(doc, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || strings.HasPrefix(strings.TrimSpace(cells[1]), "--") || strings.TrimSpace(cells[1]) == "who" {
			continue
		}
		out = append(out, grant{strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])}.String())
	}
	return out
}

// unwritten are grants that are not on the list.
func unwritten(e *Estate, list []string) []Finding {
	var out []Finding
	for _, g := range grants(e) {
		found := false
		for _, l := range list {
			found = found || l == g.String()
		}
		if !found {
			out = append(out, Finding{Resource: g.String(), Says: "is a role that docs/roles.md does not have"})
		}
	}
	return out
}

var identity = regexp.MustCompile(`/userAssignedIdentities/([^'/]+)`)

// ungiven are grants that the list has for whom something of this estate signs in as, on what is there, and that it has
// not. An app has an identity in each region and colour, and each must be able to do what its other selves do.
func ungiven(e *Estate, list []string) []Finding {
	there, has := map[string]bool{}, map[string]map[string]bool{}
	for _, r := range e.Resources {
		there[thing(strings.Replace(r.ID, "/sqlDatabases/", "/dbs/", 1))] = true
		users, _ := r.Get("identity.userAssignedIdentities").(map[string]any)
		for id := range users {
			has[last(id)] = map[string]bool{}
		}
	}
	each(e, func(id string, g grant) {
		if m := identity.FindStringSubmatch(id); m != nil && has[m[1]] != nil {
			has[m[1]][g.String()] = true
		}
	})
	var out []Finding
	for name, given := range has {
		who := principal("/userAssignedIdentities/" + name + "'")
		for _, l := range list {
			on := l[strings.LastIndex(l, " | ")+len(" | "):]
			if strings.HasPrefix(l, who+" | ") && (there[on] || strings.HasPrefix(on, "secret ")) && !given[l] { // secrets come by hand
				out = append(out, Finding{Resource: name, Says: "has not what docs/roles.md has for it: " + l})
			}
		}
	}
	return out
}
