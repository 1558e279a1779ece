package check

import (
	"fmt"
	"slices"
	"strings"

	"polis/infra/estate"
)

// Finding is a resource that breaks a rule.
type Finding struct {
	Rule     string
	Resource string // its id
	Says     string
}

func (f Finding) String() string { return f.Rule + ": " + f.Resource + ": " + f.Says }

// Promise is what an environment is for: development may be public, small and in one zone;
// it is keyless, watched and in the EU like the others.
type Promise struct {
	Tag     string // what its resources say they are of
	Private bool   // no public way in, and a list of what goes out
	Edge    bool   // callers come by Front Door and API Management
	Zones   bool   // three zones
	Standby bool   // a second region
	Keys    bool   // encrypted with keys of our own
	Locked  bool   // what is immutable is locked for good
}

// Promises are those of the environments.
var Promises = map[string]Promise{
	"dev":     {Tag: "dev"},
	"staging": {Tag: "staging", Private: true, Edge: true, Keys: true},
	"prod":    {Tag: "prod", Private: true, Edge: true, Zones: true, Standby: true, Keys: true},
	// Production with everything that is by parameter; nobody deploys it.
	"options": {Tag: "prod", Private: true, Edge: true, Zones: true, Standby: true, Keys: true, Locked: true},
}

// Rule is one that every estate must keep.
type Rule struct {
	ID    string
	Says  string
	Check func(*Estate) []Finding
}

// Project is what an estate is held to: what the code needs, and what pages say.
type Project struct {
	Needs     *estate.Estate
	Functions []Function
	Roles     []string // grants that docs/roles.md has
	Playbooks []string // names of pages in docs/playbooks
	Signals   Signals
	Log       string // the handler's sources: what it says in its log is in them
	API       API
}

// Rules are all of them.
func Rules(p Project) []Rule {
	needs, functions := p.Needs, p.Functions
	rules := []Rule{
		{"region", "every resource lies in the EU", region},
		{"tags", "every resource says who answers for it, how bad its failure is, what data it holds and who pays", tags},
		{"diagnostics", "everything that can logs to the workspace", diagnostics},
		{"endpoints", "what is not public has a private endpoint in each region, with names in a zone of that region", endpoints},
		{"network", "nothing goes in or out of a subnet that is not named", network},
		{"egress", "what leaves goes by the firewall, and only to what is on its list", egress},
		{"keys-nowhere", "no template reads a key, and no setting holds one", keysNowhere},
		{"present", "what is referred to, and what has a role, a lock or a setting, is there", present},
		{"roles-narrow", "nobody is Owner, Contributor or User Access Administrator, and a workload's rights are on a resource", rolesNarrow},
		{"roles", "every role that is given is on a written list", func(e *Estate) []Finding { return unwritten(e, p.Roles) }},
		{"alerts", "every alert has its page, reaches somebody, and looks at what is really emitted", func(e *Estate) []Finding { return alerts(e, p) }},
		{"archived", "every table that somebody asks is kept for a year", func(e *Estate) []Finding { return archived(e, p.Signals) }},
		{"policies", "each policy is the one that it says it is, with an effect that it has", policies},
		{"probes", "a probe is judged over as long as each place takes to ask, and wakes an app every five minutes at most", func(e *Estate) []Finding { return probes(e, p.Signals.Places) }},
		{"gateway", "API Management asks of callers what the code asks, and has what its tier has", func(e *Estate) []Finding { return gateway(e, p.API) }},
		{"identities", "each app has an identity of its own, and a job that comes from outside has none", identities},
		{"copies", "a weekly copy is whole or says nothing, is written where no other was, and hinders no failover", func(e *Estate) []Finding { return copies(e, needs) }},
		{"locks", "what holds data is locked, and nothing that a drill must delete", locks},
		{"bus", "queues, topics and subscriptions are those of the estate", func(e *Estate) []Finding { return bus(e, needs) }},
		{"documents", "containers, partition keys, expiry and indices are those of the estate", func(e *Estate) []Finding { return documents(e, needs) }},
		{"blobs", "containers of blobs are those of the estate, and expire as it says", func(e *Estate) []Finding { return blobs(e, needs) }},
		{"settings", "apps have the settings of the estate and no others", func(e *Estate) []Finding { return settings(e, needs) }},
		{"functions", "what functions are triggered by is there for the app that holds them", func(e *Estate) []Finding { return triggers(e, needs, functions) }},
		{"flex", "an app's configuration has nothing that its plan refuses", flex},
		{"colours", "one colour works and serves; the other stands by", colours},
		{"standby", "data goes to the second region, and the second region has all that the first has", standby},
		{"waf", "the firewall at the edge blocks: managed rules, bots, too many calls", waf},
		{"outputs", "outputs hold no secrets", outputs},
		{"clean", "the CLI has nothing to say of the snapshot", clean},
	}
	for _, group := range propertyRules {
		rules = append(rules, Rule{group.id, group.says, func(e *Estate) []Finding { return properties(e, group) }})
	}
	return rules
}

// Check holds an estate to all rules.
func Check(e *Estate, rules []Rule) []Finding {
	var out []Finding
	for _, r := range rules {
		for _, f := range r.Check(e) {
			f.Rule = r.ID
			out = append(out, f)
		}
	}
	return out
}

// property is a value that every resource of a type must have.
type property struct {
	kind string
	path string
	want any    // a value, []any of which one, or something
	when string // private, zones, standby, keys; "" always
	// except is what it does not apply to: standsBy, or what a name begins with.
	except string
}

type propertyRule struct {
	id, says string
	all      []property
}

// something is any value at all.
var something = struct{}{}

// standsBy marks what waits: the colour that is not active, and the region that does not serve.
// The platform would keep two instances for each function group of a colour that stands by, and
// the second region is itself what stands by for a zone of the first.
const standsBy = "stands by"

var propertyRules = []propertyRule{
	{"public-access", "nothing has a public data plane", []property{
		{"Microsoft.Web/sites", "properties.publicNetworkAccess", "Disabled", "private", ""},
		{"Microsoft.DocumentDB/databaseAccounts", "properties.publicNetworkAccess", "Disabled", "private", ""},
		{"Microsoft.DocumentDB/databaseAccounts", "properties.networkAclBypass", "None", "", ""},
		{"Microsoft.Storage/storageAccounts", "properties.publicNetworkAccess", "Disabled", "private", ""},
		{"Microsoft.Storage/storageAccounts", "properties.networkAcls.defaultAction", "Deny", "private", ""},
		{"Microsoft.Storage/storageAccounts", "properties.allowBlobPublicAccess", false, "", ""},
		{"Microsoft.Storage/storageAccounts/blobServices/containers", "properties.publicAccess", "None", "", ""},
		{"Microsoft.ServiceBus/namespaces", "properties.publicNetworkAccess", "Disabled", "private", ""},
		{"Microsoft.ServiceBus/namespaces/networkRuleSets", "properties.defaultAction", "Deny", "private", ""},
		{"Microsoft.KeyVault/vaults", "properties.publicNetworkAccess", "Disabled", "private", ""},
		{"Microsoft.KeyVault/vaults", "properties.networkAcls.defaultAction", "Deny", "", ""},
		{"Microsoft.ApiManagement/service", "properties.publicNetworkAccess", "Disabled", "private", ""},
		{"Microsoft.CognitiveServices/accounts", "properties.publicNetworkAccess", "Disabled", "private", ""},
		{"Microsoft.OperationalInsights/workspaces", "properties.publicNetworkAccessForIngestion", "Disabled", "private", ""},
		{"Microsoft.OperationalInsights/workspaces", "properties.publicNetworkAccessForQuery", "Disabled", "private", ""},
		{"Microsoft.Insights/components", "properties.publicNetworkAccessForIngestion", "Disabled", "private", ""},
		{"Microsoft.Insights/components", "properties.publicNetworkAccessForQuery", "Disabled", "private", ""},
		{"Microsoft.Insights/privateLinkScopes", "properties.accessModeSettings.ingestionAccessMode", "PrivateOnly", "", ""},
		{"Microsoft.Insights/privateLinkScopes", "properties.accessModeSettings.queryAccessMode", "PrivateOnly", "", ""},
	}},
	{"keyless", "nobody signs in with a key", []property{
		{"Microsoft.DocumentDB/databaseAccounts", "properties.disableLocalAuth", true, "", ""},
		{"Microsoft.DocumentDB/databaseAccounts", "properties.disableKeyBasedMetadataWriteAccess", true, "", ""},
		{"Microsoft.Storage/storageAccounts", "properties.allowSharedKeyAccess", false, "", ""},
		{"Microsoft.Storage/storageAccounts", "properties.isLocalUserEnabled", false, "", ""},
		{"Microsoft.Storage/storageAccounts", "properties.defaultToOAuthAuthentication", true, "", ""},
		{"Microsoft.ServiceBus/namespaces", "properties.disableLocalAuth", true, "", ""},
		{"Microsoft.KeyVault/vaults", "properties.enableRbacAuthorization", true, "", ""},
		{"Microsoft.CognitiveServices/accounts", "properties.disableLocalAuth", true, "", ""},
		{"Microsoft.OperationalInsights/workspaces", "properties.features.disableLocalAuth", true, "", ""},
		{"Microsoft.Insights/components", "properties.DisableLocalAuth", true, "", ""},
		{"Microsoft.Web/sites/basicPublishingCredentialsPolicies", "properties.allow", false, "", ""},
		{"Microsoft.Web/sites", "properties.functionAppConfig.deployment.storage.authentication.type", "UserAssignedIdentity", "", ""},
		{"Microsoft.Web/sites", "identity.type", "UserAssigned", "", ""},
		{"Microsoft.ApiManagement/service/namedValues", "properties.secret", false, "", ""},
	}},
	{"tls", "TLS 1.3, or 1.2 where a service has no more", []property{
		{"Microsoft.Web/sites", "properties.httpsOnly", true, "", ""},
		{"Microsoft.Web/sites", "properties.siteConfig.minTlsVersion", "1.3", "", ""},
		{"Microsoft.Web/sites", "properties.siteConfig.scmMinTlsVersion", "1.3", "", ""},
		{"Microsoft.ServiceBus/namespaces", "properties.minimumTlsVersion", "1.3", "", ""},
		{"Microsoft.DocumentDB/databaseAccounts", "properties.minimalTlsVersion", "Tls12", "", ""},
		{"Microsoft.Storage/storageAccounts", "properties.minimumTlsVersion", []any{"TLS1_2", "TLS1_3"}, "", ""},
		{"Microsoft.Storage/storageAccounts", "properties.supportsHttpsTrafficOnly", true, "", ""},
		{"Microsoft.Cdn/profiles/customDomains", "properties.tlsSettings.minimumTlsVersion", []any{"TLS12", "TLS13"}, "", ""},
		{"Microsoft.Cdn/profiles/afdEndpoints/routes", "properties.forwardingProtocol", "HttpsOnly", "", ""},
		{"Microsoft.Cdn/profiles/afdEndpoints/routes", "properties.supportedProtocols.0", "Https", "", ""},
		{"Microsoft.Cdn/profiles/afdEndpoints/routes", "properties.supportedProtocols.1", nil, "", ""},
		{"Microsoft.ApiManagement/service/apis", "properties.protocols.0", "https", "", ""},
		{"Microsoft.ApiManagement/service/apis", "properties.protocols.1", nil, "", ""},
		{"Microsoft.ApiManagement/service/backends", "properties.tls.validateCertificateChain", []any{true, nil}, "", ""},
	}},
	{"encryption", "what is at rest is encrypted with keys in an HSM", []property{
		{"Microsoft.KeyVault/vaults", "properties.sku.name", "premium", "", ""},
		{"Microsoft.KeyVault/vaults", "properties.enablePurgeProtection", true, "", ""},
		{"Microsoft.KeyVault/vaults", "properties.softDeleteRetentionInDays", 90, "", ""},
		{"Microsoft.KeyVault/vaults/keys", "properties.kty", "RSA-HSM", "", ""},
		{"Microsoft.KeyVault/vaults/keys", "properties.rotationPolicy.lifetimeActions.0.action.type", "rotate", "", ""},
		{"Microsoft.Storage/storageAccounts", "properties.encryption.keySource", "Microsoft.Keyvault", "keys", "sthost"},
		{"Microsoft.Storage/storageAccounts", "properties.encryption.requireInfrastructureEncryption", true, "", ""},
		{"Microsoft.DocumentDB/databaseAccounts", "properties.keyVaultKeyUri", something, "keys", ""},
		{"Microsoft.ServiceBus/namespaces", "properties.encryption.keySource", "Microsoft.KeyVault", "keys", ""},
		{"Microsoft.ServiceBus/namespaces", "properties.encryption.requireInfrastructureEncryption", true, "keys", ""},
	}},
	{"zones", "what can be is spread over three zones", []property{
		{"Microsoft.Web/serverfarms", "properties.zoneRedundant", true, "zones", standsBy},
		{"Microsoft.DocumentDB/databaseAccounts", "properties.locations.0.isZoneRedundant", true, "zones", ""},
		{"Microsoft.DocumentDB/databaseAccounts", "properties.locations.1.isZoneRedundant", true, "zones", ""},
		{"Microsoft.Storage/storageAccounts", "sku.name", []any{"Standard_ZRS", "Standard_GZRS", "Standard_RAGZRS"}, "zones", ""},
		{"Microsoft.ServiceBus/namespaces", "properties.zoneRedundant", true, "zones", ""},
		{"Microsoft.ServiceBus/namespaces", "sku.name", "Premium", "zones", ""},
		{"Microsoft.Network/azureFirewalls", "zones.2", "3", "zones", ""},
		{"Microsoft.Network/publicIPAddresses", "zones.2", "3", "zones", ""},
		{"Microsoft.ApiManagement/service", "properties.zoneRedundant", true, "zones", standsBy},
	}},
	{"kept", "what is deleted or overwritten can be had back, and logs are kept", []property{
		{"Microsoft.Storage/storageAccounts/blobServices", "properties.isVersioningEnabled", true, "", ""},
		{"Microsoft.Storage/storageAccounts/blobServices", "properties.changeFeed.enabled", true, "", ""},
		{"Microsoft.Storage/storageAccounts/blobServices", "properties.deleteRetentionPolicy.days", 30, "", ""},
		{"Microsoft.Storage/storageAccounts/blobServices", "properties.containerDeleteRetentionPolicy.days", 30, "", ""},
		{"Microsoft.DocumentDB/databaseAccounts", "properties.backupPolicy.type", "Continuous", "", ""},
		{"Microsoft.DocumentDB/databaseAccounts", "properties.backupPolicy.continuousModeProperties.tier", "Continuous30Days", "", ""},
		{"Microsoft.OperationalInsights/workspaces", "properties.retentionInDays", 90, "", ""},
		{"Microsoft.OperationalInsights/workspaces/tables", "properties.retentionInDays", 90, "", ""},
		{"Microsoft.OperationalInsights/workspaces/tables", "properties.totalRetentionInDays", 455, "", ""},
	}},
	{"runtime", "apps run the custom handler on Flex Consumption", []property{
		{"Microsoft.Web/serverfarms", "sku.name", "FC1", "", ""},
		{"Microsoft.Web/sites", "properties.functionAppConfig.runtime.name", "custom", "", ""},
		{"Microsoft.Web/sites", "kind", "functionapp,linux", "", ""},
	}},
}

// properties holds every resource to the values that its type must have.
func properties(e *Estate, group propertyRule) []Finding {
	p := Promises[e.Environment]
	holds := map[string]bool{"": true, "private": p.Private, "zones": p.Zones, "standby": p.Standby, "keys": p.Keys}
	var out []Finding
	for _, want := range group.all {
		if !holds[want.when] {
			continue
		}
		for _, r := range e.Of(want.kind) {
			if want.except == standsBy && e.standsBy(r.Name) || want.except != "" && strings.HasPrefix(r.Name, want.except) {
				continue
			}
			got := r.Get(want.path)
			if want.want == something && got != nil && got != "" {
				continue
			}
			if any, ok := want.want.([]any); ok && slices.Contains(any, got) {
				continue
			}
			if n, ok := want.want.(int); ok && got == float64(n) {
				continue
			}
			if _, list := want.want.([]any); !list && got == want.want {
				continue
			}
			out = append(out, Finding{Resource: r.ID, Says: fmt.Sprintf("%s is %v, not %v", want.path, got, want.want)})
		}
	}
	return out
}

// taken are the site properties that Flex Consumption takes. Azure refuses a site that has others (error
// 51021, "site configuration properties for Flex Consumption sites is invalid"), and not the same ones in all regions:
// Microsoft's page "Flex Consumption plan deprecations" has those that functionAppConfig took the place of.
var taken = []string{"minTlsVersion", "scmMinTlsVersion", "http20Enabled", "cors", "appSettings"}

func flex(e *Estate) []Finding {
	var out []Finding
	for _, s := range e.Of("Microsoft.Web/sites") {
		config, _ := s.Get("properties.siteConfig").(map[string]any)
		for name := range config {
			if !slices.Contains(taken, name) {
				out = append(out, Finding{Resource: s.ID, Says: "has " + name + ", with which Flex Consumption makes no app"})
			}
		}
	}
	return out
}

// eu are the regions that data may lie in, as main.bicep allows them.
var eu = []string{"westeurope", "northeurope", "francecentral", "germanywestcentral", "swedencentral", "italynorth", "polandcentral", "spaincentral"}

func region(e *Estate) []Finding {
	var out []Finding
	for _, r := range e.Resources {
		places := []string{r.Location}
		for _, path := range []string{"properties.locations", "properties.geoDataReplication.locations"} {
			for _, l := range r.List(path) {
				if m, ok := l.(map[string]any); ok {
					places = append(places, text(m["locationName"]))
				}
			}
		}
		places = append(places, r.Text("properties.sharedPrivateLinkResource.privateLinkLocation"))
		for _, p := range places {
			if p != "" && p != "global" && !slices.Contains(eu, p) {
				out = append(out, Finding{Resource: r.ID, Says: "lies in " + p})
			}
		}
	}
	return out
}

// required are the tags that policy asks for too.
var required = []string{"owner", "environment", "criticality", "data-class", "cost-centre"}

func tags(e *Estate) []Finding {
	var out []Finding
	for _, r := range e.Resources {
		if r.Location == "" || takesNoTags[r.Type] {
			continue // a part of something that has tags
		}
		for _, t := range required {
			if r.Tags[t] == "" {
				out = append(out, Finding{Resource: r.ID, Says: "has no tag " + t})
			}
		}
		if env := r.Tags["environment"]; env != "" && env != Promises[e.Environment].Tag {
			out = append(out, Finding{Resource: r.ID, Says: "says that it is of " + env})
		}
	}
	return out
}

// takesNoTags are types that have a location and no tags.
var takesNoTags = map[string]bool{"Microsoft.Authorization/policyAssignments": true}

func outputs(e *Estate) []Finding {
	var out []Finding
	for name, v := range e.Outputs {
		s := strings.ToLower(fmt.Sprint(name, v))
		for _, bad := range []string{"connectionstring", "listkeys", "key=", "secret", "password", "sas"} {
			if strings.Contains(s, bad) {
				out = append(out, Finding{Resource: "output " + name, Says: "speaks of " + bad})
			}
		}
	}
	return out
}

func clean(e *Estate) []Finding {
	var out []Finding
	for _, d := range e.Diagnostics {
		out = append(out, Finding{Resource: "the snapshot", Says: fmt.Sprint(d)})
	}
	if len(e.Resources) == 0 {
		out = append(out, Finding{Resource: "the snapshot", Says: "is empty"})
	}
	return out
}
