package check

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// What a diagnostic setting of a type sends; "" is both.
const (
	logsOnly    = "logs only"
	metricsOnly = "metrics only"
)

// logged says of each type whether it has logs or metrics that a diagnostic setting can
// send; the reason where it has none, or none of its own. A type that is not here fails,
// so that a new one is thought about.
var logged = map[string]string{
	"Microsoft.ApiManagement/service":                           "",
	"Microsoft.Cdn/profiles":                                    "",
	"Microsoft.CognitiveServices/accounts":                      "",
	"Microsoft.DocumentDB/databaseAccounts":                     "",
	"Microsoft.KeyVault/vaults":                                 "",
	"Microsoft.Logic/workflows":                                 "",
	"Microsoft.Network/azureFirewalls":                          "",
	"Microsoft.Network/expressRouteCircuits":                    "",
	"Microsoft.Network/networkSecurityGroups":                   logsOnly,
	"Microsoft.Network/publicIPAddresses":                       "",
	"Microsoft.Network/virtualNetworkGateways":                  "",
	"Microsoft.Network/virtualNetworks":                         "",
	"Microsoft.OperationalInsights/workspaces":                  "",
	"Microsoft.ServiceBus/namespaces":                           "",
	"Microsoft.Storage/storageAccounts":                         metricsOnly,
	"Microsoft.Storage/storageAccounts/blobServices":            "",
	"Microsoft.Web/serverfarms":                                 metricsOnly,
	"Microsoft.Web/sites":                                       "",
	"Microsoft.DataFactory/factories":                           "",
	"Microsoft.App/managedEnvironments":                         "",
	"Microsoft.DevCenter/devcenters":                            logsOnly,
	"Microsoft.DevCenter/projects":                              "logs by its dev center",
	"Microsoft.DevOpsInfrastructure/pools":                      logsOnly,
	"Microsoft.Insights/components":                             "its tables are the workspace's: a setting would write each row twice",
	"Microsoft.App/jobs":                                        "logs by its environment",
	"Microsoft.Insights/actionGroups":                           "in the activity log",
	"Microsoft.Insights/metricAlerts":                           "in the activity log",
	"Microsoft.Insights/activityLogAlerts":                      "in the activity log",
	"Microsoft.Insights/scheduledQueryRules":                    "in the activity log",
	"Microsoft.Insights/webtests":                               "in Application Insights",
	"Microsoft.Insights/workbooks":                              "a page",
	"Microsoft.Insights/privateLinkScopes":                      "none",
	"Microsoft.ManagedIdentity/userAssignedIdentities":          "in Entra ID's sign-in log",
	"Microsoft.Network/FrontDoorWebApplicationFirewallPolicies": "logs by its profile",
	"Microsoft.Network/ddosProtectionPlans":                     "logs by the public address",
	"Microsoft.Network/firewallPolicies":                        "logs by its firewall",
	"Microsoft.Network/privateDnsZones":                         "metrics on records only",
	"Microsoft.Network/privateEndpoints":                        "logs by what it leads to",
	"Microsoft.Network/routeTables":                             "none",
	"Microsoft.Resources/resourceGroups":                        "in the activity log",
	"Microsoft.Authorization/policyAssignments":                 "in the activity log",
	"Microsoft.OperationsManagement/solutions":                  "none",
}

func diagnostics(e *Estate) []Finding {
	workspaces := e.Of("Microsoft.OperationalInsights/workspaces")
	if len(workspaces) != 1 {
		return []Finding{{Resource: "the estate", Says: fmt.Sprintf("has %d workspaces", len(workspaces))}}
	}
	by := map[string]Resource{}
	for _, d := range e.Of("Microsoft.Insights/diagnosticSettings") {
		at := strings.ToLower(d.ID)
		by[at[:strings.LastIndex(at, "/providers/microsoft.insights/diagnosticsettings/")]] = d
	}
	var out []Finding
	// What logs in part does so on purpose; the policy that adds what is missing must leave it alone.
	left := map[string]bool{}
	for _, p := range e.Of("Microsoft.Authorization/policyAssignments") {
		if strings.HasSuffix(p.Name, "-diagnostics") {
			for _, s := range p.List("properties.notScopes") {
				left[strings.ToLower(text(s))] = true
			}
		}
	}
	for at := range left {
		if _, ok := by[at]; !ok {
			out = append(out, Finding{Resource: at, Says: "is left out by policy, and is nothing that logs"})
		}
	}
	for at, d := range by {
		logs := d.List("properties.logs")
		part := len(logs) > 0 && strings.Count(at, "/providers/") > 0 && d.Text("properties.logs.0.categoryGroup") != "allLogs"
		if part && !left[at] {
			out = append(out, Finding{Resource: at, Says: "logs in part, and policy would add the rest"})
		}
		if left[at] && !part {
			out = append(out, Finding{Resource: at, Says: "is left out by policy, and nobody has said why"})
		}
	}
	for _, r := range e.Resources {
		why, known := logged[r.Type]
		if !known {
			if r.Location != "" && strings.Count(r.Type, "/") == 1 {
				out = append(out, Finding{Resource: r.ID, Says: "is of a type of which nobody has said whether it logs"})
			}
			continue
		}
		d, ok := by[strings.ToLower(r.ID)]
		switch {
		case why != "" && why != logsOnly && why != metricsOnly:
		case !ok:
			out = append(out, Finding{Resource: r.ID, Says: "has no diagnostic setting"})
		case d.Text("properties.workspaceId") != workspaces[0].ID:
			out = append(out, Finding{Resource: r.ID, Says: "logs elsewhere"})
		case why != metricsOnly && !on(d.List("properties.logs")):
			out = append(out, Finding{Resource: r.ID, Says: "has a diagnostic setting that sends no logs, or not all it names"})
		case why != logsOnly && !on(d.List("properties.metrics")):
			out = append(out, Finding{Resource: r.ID, Says: "has a diagnostic setting that sends no metrics"})
		}
	}
	return out
}

// on reports whether there are logs or metrics in a list, and all are switched on.
func on(list []any) bool {
	for _, l := range list {
		if m, ok := l.(map[string]any); !ok || m["enabled"] != true {
			return false
		}
	}
	return len(list) > 0
}

// doors are types that are reached by private endpoints, and by which sub-resource.
var doors = map[string]string{
	"Microsoft.DocumentDB/databaseAccounts": "Sql",
	"Microsoft.Storage/storageAccounts":     "blob",
	"Microsoft.ServiceBus/namespaces":       "namespace",
	"Microsoft.KeyVault/vaults":             "vault",
	"Microsoft.Web/sites":                   "sites",
	"Microsoft.ApiManagement/service":       "Gateway",
	"Microsoft.CognitiveServices/accounts":  "account",
	"Microsoft.Insights/privateLinkScopes":  "azuremonitor",
}

var zone = regexp.MustCompile(`privatelink\.[a-z0-9.{}-]+[a-z0-9}]`)

// zonesOf are the private zones that a name of a sub-resource is looked up in (Microsoft's page
// "Azure private endpoint private DNS zone values"): in another one the public name is found, which
// is closed.
var zonesOf = map[string][]string{
	"Sql":       {"privatelink.documents.azure.com"},
	"blob":      {"privatelink.blob.core.windows.net"},
	"namespace": {"privatelink.servicebus.windows.net"},
	"vault":     {"privatelink.vaultcore.azure.net"},
	"sites":     {"privatelink.azurewebsites.net"},
	"Gateway":   {"privatelink.azure-api.net"},
	"account":   {"privatelink.openai.azure.com"},
	"azuremonitor": {
		"privatelink.agentsvc.azure-automation.net", "privatelink.blob.core.windows.net", "privatelink.monitor.azure.com",
		"privatelink.ods.opinsights.azure.com", "privatelink.oms.opinsights.azure.com",
	},
}

// inOneRegion are types whose resources serve one region only: the other has its own. To apps there is a way from
// the first region too: packages go from there to all of them.
var inOneRegion = map[string]bool{"Microsoft.Web/sites": true, "Microsoft.ApiManagement/service": true}

func endpoints(e *Estate) []Finding {
	if !e.Promise.Private {
		return nil
	}
	var regions []string
	first := "" // the region of what both share
	for _, v := range e.Of("Microsoft.Network/virtualNetworks") {
		regions = append(regions, v.Location)
	}
	for _, g := range e.Of("Microsoft.Resources/resourceGroups") {
		if g.Name == "rg-polis-"+e.Promise.Tag {
			first = g.Location
		}
	}
	var out []Finding
	if len(regions) == 0 {
		out = append(out, Finding{Resource: "the estate", Says: "has no network"})
	}
	if zones, links := e.Of("Microsoft.Network/privateDnsZones"), e.Of("Microsoft.Network/privateDnsZones/virtualNetworkLinks"); len(zones) != len(links) {
		out = append(out, Finding{Resource: "the estate", Says: fmt.Sprintf("has %d zones of names, and %d are looked at", len(zones), len(links))})
	}
	has := map[string]bool{} // region, target, sub-resource
	for _, p := range e.Of("Microsoft.Network/privateEndpoints") {
		target := strings.ToLower(p.Text("properties.privateLinkServiceConnections.0.properties.privateLinkServiceId"))
		has[p.Location+"|"+target+"|"+p.Text("properties.privateLinkServiceConnections.0.properties.groupIds.0")] = true
		if !strings.HasSuffix(p.Text("properties.subnet.id"), "/snet-data") {
			out = append(out, Finding{Resource: p.ID, Says: "does not lie in the data subnet"})
		}
		g, _ := e.At(p.ID + "/privateDnsZoneGroups/names")
		var named []string
		for i := range g.List("properties.privateDnsZoneConfigs") {
			id := g.Text(fmt.Sprintf("properties.privateDnsZoneConfigs.%d.properties.privateDnsZoneId", i))
			// A suffix that is the cloud's is put in at deployment.
			named = append(named, strings.ReplaceAll(zone.FindString(id), "{0}", "core.windows.net"))
		}
		sort.Strings(named)
		if want := zonesOf[p.Text("properties.privateLinkServiceConnections.0.properties.groupIds.0")]; len(named) == 0 || !slices.Equal(named, want) {
			out = append(out, Finding{Resource: p.ID, Says: fmt.Sprintf("has its names in %v, where nobody looks for them", named)})
		}
	}
	for _, r := range e.Resources {
		group, ok := doors[r.Type]
		if !ok {
			continue
		}
		for _, in := range regions {
			local := inOneRegion[r.Type] || strings.HasPrefix(r.Name, "sthost")
			if local && r.Location != in && !(r.Type == "Microsoft.Web/sites" && in == first) {
				continue
			}
			if !has[in+"|"+strings.ToLower(r.ID)+"|"+group] {
				out = append(out, Finding{Resource: r.ID, Says: "has no private endpoint in " + in})
			}
		}
	}
	return out
}

var (
	referred = regexp.MustCompile(`\breference\('(/subscriptions/[^']+)'`)
	byHand   = regexp.MustCompile(`(?i)^(.+/Microsoft\.KeyVault/vaults/[^/]+)/secrets/[^/]+$`) // secrets, in a vault of ours
)

// part of ids that are no resources of a template: Azure's own definitions, and parts of networks and databases.
var elsewhere = regexp.MustCompile(`(?i)/(roleDefinitions|policyDefinitions|policySetDefinitions|sqlRoleDefinitions)/`)

// wholeOf is the resource that an id is of: a network's subnet and a database of Cosmos DB's roles are parts of one.
func wholeOf(id string) string {
	for _, part := range []string{"/subnets/", "/dbs/"} {
		id, _, _ = strings.Cut(id, part)
	}
	return id
}

// ids are all texts deep in a value that are ids of resources, its keys too.
func ids(v any) []string {
	var out []string
	add := func(s string) {
		if strings.HasPrefix(s, "/subscriptions/") && strings.Contains(s, "/providers/") && !elsewhere.MatchString(s) {
			out = append(out, s)
		}
	}
	switch in := v.(type) {
	case string:
		add(in)
	case []any:
		for _, x := range in {
			out = append(out, ids(x)...)
		}
	case map[string]any:
		for k, x := range in {
			add(k)
			out = append(out, ids(x)...)
		}
	}
	return out
}

var stamp = regexp.MustCompile(`/resourceGroups/rg-[a-z]+-[a-z]+-([a-z]{3})/`)

// across are types that mean what lies in the other region on purpose: there are ways in from the first to all apps.
var across = map[string]bool{"Microsoft.Network/privateEndpoints": true}

// present holds what a template refers to, and what it puts a role, a lock or a setting on, to be there: a resource
// that is looked for in another group than it lies in is found at deployment only, as missing. And what lies in a region
// means nothing of the other.
func present(e *Estate) []Finding {
	var out []Finding
	seen := map[string]bool{}
	miss := func(r Resource, id string) {
		if m := byHand.FindStringSubmatch(id); m != nil {
			id = m[1]
		}
		id = wholeOf(id)
		if seen[r.ID+id] {
			return
		}
		seen[r.ID+id] = true
		if _, ok := e.At(id); !ok {
			out = append(out, Finding{Resource: r.ID, Says: "means what is not there: " + id})
		}
		from, to := stamp.FindStringSubmatch(r.ID), stamp.FindStringSubmatch(id+"/")
		if from != nil && to != nil && from[1] != to[1] && !across[r.Type] {
			out = append(out, Finding{Resource: r.ID, Says: "means what lies in the other region: " + id})
		}
	}
	for _, r := range e.Resources {
		body, err := json.Marshal(r.raw)
		if err != nil {
			return []Finding{{Resource: r.ID, Says: err.Error()}}
		}
		for _, m := range referred.FindAllSubmatch(body, -1) {
			miss(r, string(m[1]))
		}
		for _, id := range ids(r.raw) {
			if id != r.ID {
				miss(r, id)
			}
		}
		if n := strings.LastIndex(r.ID, "/providers/"); strings.Count(r.ID[:n+1], "/providers/") > 0 {
			miss(r, r.ID[:n])
		}
	}
	return out
}

var (
	readsKeys = regexp.MustCompile(`(?i)\blist(Keys|ConnectionStrings|Secrets|AccountSas|ServiceSas|AdminKeys)\(`)
	holdsKey  = regexp.MustCompile(`(?i)(AccountKey|SharedAccessKey|SharedAccessSignature|Password|client_secret)=`)
)

func keysNowhere(e *Estate) []Finding {
	var out []Finding
	for _, r := range e.Resources {
		body, err := json.Marshal(r.raw)
		if err != nil {
			return []Finding{{Resource: r.ID, Says: err.Error()}}
		}
		if m := readsKeys.Find(body); m != nil {
			out = append(out, Finding{Resource: r.ID, Says: "reads keys: " + string(m)})
		}
		if m := holdsKey.Find(body); m != nil {
			out = append(out, Finding{Resource: r.ID, Says: "holds a key: " + string(m)})
		}
	}
	return out
}

// powers are roles that nothing in the estate has: Owner, Contributor, User Access
// Administrator, Role Based Access Control Administrator.
var powers = []string{
	"8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "b24988ac-6180-42a0-ab88-20f7382dd24c",
	"18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
}

var principalOf = regexp.MustCompile(`reference\('[^']*/userAssignedIdentities/([^']+)'`)

func rolesNarrow(e *Estate) []Finding {
	var out []Finding
	for _, a := range e.Of("Microsoft.Authorization/roleAssignments") {
		role := last(a.Text("properties.roleDefinitionId"))
		if slices.Contains(powers, role) {
			out = append(out, Finding{Resource: a.ID, Says: "gives the power over everything"})
		}
		scope := a.ID[:strings.LastIndex(a.ID, "/providers/Microsoft.Authorization/")]
		if !strings.Contains(scope, "/providers/") && principalOf.MatchString(a.Text("properties.principalId")) && !wide[role] {
			out = append(out, Finding{Resource: a.ID, Says: "gives a workload rights on a whole group or subscription"})
		}
		if a.Text("properties.principalType") == "" {
			out = append(out, Finding{Resource: a.ID, Says: "does not say what kind of principal it is for"})
		}
	}
	for _, a := range e.Of("Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments") {
		if !strings.Contains(a.Text("properties.scope"), "/dbs/") {
			out = append(out, Finding{Resource: a.ID, Says: "gives rights on the whole account"})
		}
	}
	return out
}

// wide are roles of workloads that mean nothing on a single resource: docs/roles.md has the reasons.
var wide = map[string]bool{}

func identities(e *Estate) []Finding {
	var out []Finding
	by := map[string]string{}
	for _, s := range e.Of("Microsoft.Web/sites") {
		users, _ := s.Get("identity.userAssignedIdentities").(map[string]any)
		if len(users) != 1 {
			out = append(out, Finding{Resource: s.ID, Says: fmt.Sprintf("has %d identities", len(users))})
		}
		for id := range users {
			if other := by[id]; other != "" {
				out = append(out, Finding{Resource: s.ID, Says: "shares its identity with " + last(other)})
			}
			by[id] = s.ID
			if _, ok := e.At(id); !ok {
				out = append(out, Finding{Resource: s.ID, Says: "has an identity that is not there"})
			}
		}
	}
	// A runner does jobs from any branch: with an identity it would give each what that may do.
	for _, j := range e.Of("Microsoft.App/jobs") {
		users, _ := j.Get("identity.userAssignedIdentities").(map[string]any)
		none := map[string]bool{}
		for i := range j.List("properties.configuration.identitySettings") {
			at := fmt.Sprintf("properties.configuration.identitySettings.%d.", i)
			none[j.Text(at+"identity")] = j.Is(at+"lifecycle", "None")
		}
		for id := range users {
			if !none[id] {
				out = append(out, Finding{Resource: j.ID, Says: "gives its jobs an identity: " + last(id)})
			}
		}
	}
	for _, p := range e.Of("Microsoft.DevOpsInfrastructure/pools") {
		if p.Get("identity") != nil {
			out = append(out, Finding{Resource: p.ID, Says: "gives its jobs an identity"})
		}
	}
	return out
}

// locks holds what data lies in to be locked in production, and the group of the copies not to be:
// each month a drill makes an account there and deletes it, and a lock on the group would keep it.
func locks(e *Estate) []Finding {
	if !e.Promise.Locked {
		return nil
	}
	locked := map[string]bool{}
	for _, l := range e.Of("Microsoft.Authorization/locks") {
		if l.Is("properties.level", "CanNotDelete") {
			at := strings.ToLower(l.ID)
			locked[at[:strings.LastIndex(at, "/providers/")]] = true
		}
	}
	var out []Finding
	for _, r := range e.Resources {
		group, _, _ := strings.Cut(strings.ToLower(r.ID), "/providers/")
		holds := r.Type == "Microsoft.DocumentDB/databaseAccounts" ||
			r.Type == "Microsoft.KeyVault/vaults" || r.Type == "Microsoft.ServiceBus/namespaces" ||
			r.Type == "Microsoft.Storage/storageAccounts" && !strings.HasPrefix(r.Name, "sthost")
		if holds && !locked[group] && !locked[strings.ToLower(r.ID)] {
			out = append(out, Finding{Resource: r.ID, Says: "can be deleted by accident" + e.promised("locked")})
		}
		if r.Type == "Microsoft.DataFactory/factories" && locked[group] {
			out = append(out, Finding{Resource: r.ID, Says: "lies in a locked group: the drill could not delete what it made"})
		}
	}
	return out
}

func standby(e *Estate) []Finding {
	if !e.Promise.Standby {
		return nil
	}
	var out []Finding
	for _, c := range e.Of("Microsoft.DocumentDB/databaseAccounts") {
		if len(c.List("properties.locations")) < 2 || !c.Is("properties.enableAutomaticFailover", true) {
			out = append(out, Finding{Resource: c.ID, Says: "does not fail over"})
		}
		if !c.Is("properties.consistencyPolicy.defaultConsistencyLevel", "BoundedStaleness") || !c.Is("properties.consistencyPolicy.maxIntervalInSeconds", 300) {
			out = append(out, Finding{Resource: c.ID, Says: "may lose more than 300 s"})
		}
	}
	for _, b := range e.Of("Microsoft.ServiceBus/namespaces") {
		if len(b.List("properties.geoDataReplication.locations")) < 2 || !b.Is("properties.geoDataReplication.maxReplicationLagDurationInSeconds", 300) {
			out = append(out, Finding{Resource: b.ID, Says: "is not replicated within 300 s"})
		}
	}
	for _, s := range e.Of("Microsoft.Storage/storageAccounts") {
		if !strings.HasPrefix(s.Name, "sthost") && !strings.Contains(s.Text("sku.name"), "GZRS") {
			out = append(out, Finding{Resource: s.ID, Says: "is in one region only"})
		}
	}
	groups := e.Of("Microsoft.Resources/resourceGroups")
	first, second := e.regions()
	count := map[string]map[string]int{} // by type, by group
	for _, r := range e.Resources {
		for _, g := range groups {
			if strings.HasPrefix(r.ID, g.ID+"/") && (strings.HasSuffix(g.ID, "-"+first) || strings.HasSuffix(g.ID, "-"+second)) && !primaryOnly[r.Type] {
				if count[r.Type] == nil {
					count[r.Type] = map[string]int{}
				}
				count[r.Type][g.ID[strings.LastIndexByte(g.ID, '-')+1:]]++
			}
		}
	}
	for kind, by := range count {
		if by[first] != by[second] {
			out = append(out, Finding{Resource: kind, Says: fmt.Sprintf("%d in the first region, %d in the second", by[first], by[second])})
		}
	}
	if second == "" {
		out = append(out, Finding{Resource: "the estate", Says: "has no second region" + e.promised("standby")})
	}
	return out
}

// primaryOnly are types that a region which waits has no use for.
var primaryOnly = map[string]bool{
	"Microsoft.Logic/workflows":                               true, // makes workers ready for a night that is not its own
	"Microsoft.Authorization/roleAssignments":                 true, // counted in docs/roles.md
	"Microsoft.Insights/diagnosticSettings":                   true, // held by their own rule
	"Microsoft.Network/privateEndpoints":                      true, // each that must be is asked for by the rule endpoints: from the first region to all apps
	"Microsoft.Network/privateEndpoints/privateDnsZoneGroups": true,
}
