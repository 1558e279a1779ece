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
	Pages     []string // names of workbooks in infra/bicep/workbooks
	Signals   Signals
	Values    []Values // those of values.json, by rule
	Alerts    []Watch  // alerts.json
	Sentinel  []Watch  // sentinel.json
	// Concurrency is how many requests host.json lets through at once.
	Concurrency float64
	Log         string // the handler's sources: what it says in its log is in them
	API         API
}

// Rules are all of them.
func Rules(p Project) []Rule {
	needs, functions := p.Needs, p.Functions
	rules := []Rule{
		{"region", "every resource lies in the EU, in the regions that are promised", region},
		{"tags", "every resource says who answers for it, how bad its failure is, what data it holds and who pays", tags},
		{"diagnostics", "everything that can logs to the workspace", diagnostics},
		{"endpoints", "what is not public has a private endpoint in each region, with names in a zone of that region", endpoints},
		{"network", "nothing goes in or out of a subnet that is not named", network},
		{"egress", "what leaves goes by the firewall, and only to what is on its list", egress},
		{"keys-nowhere", "no template reads a key, and no setting holds one", keysNowhere},
		{"present", "what is referred to, and what has a role, a lock or a setting, is there, and not in the other region", present},
		{"roles-narrow", "nobody is Owner, Contributor or User Access Administrator, and a workload's rights are on a resource", rolesNarrow},
		{"roles", "every role that is given is on a written list, and each identity has those that the list has for it", func(e *Estate) []Finding {
			return append(unwritten(e, p.Roles), ungiven(e, p.Roles)...)
		}},
		{"alerts", "every alert has its page, reaches somebody, and looks at what is really emitted", func(e *Estate) []Finding { return alerts(e, p) }},
		{"written", "alerts are those of alerts.json and sentinel.json, of all that they are about, and no others", func(e *Estate) []Finding { return asWritten(e, p.Alerts, p.Sentinel) }},
		{"archived", "every table that somebody asks is kept for a year", func(e *Estate) []Finding { return archived(e, p.Signals) }},
		{"policies", "each policy is the one that it says it is, with an effect that it has", policies},
		{"probes", "a probe is judged over as long as each place takes to ask, and wakes an app every five minutes at most", func(e *Estate) []Finding { return probes(e, p.Signals.Places) }},
		{"gateway", "API Management asks of callers what the code asks, and has what its tier has", func(e *Estate) []Finding { return gateway(e, p.API) }},
		{"identities", "each app has an identity of its own, and a job that comes from outside has none", identities},
		{"copies", "a weekly copy is whole or says nothing, is written where no other was, and hinders no failover", func(e *Estate) []Finding { return copies(e, needs) }},
		{"locks", "what holds data is locked, and nothing that a drill must delete", locks},
		{"bus", "queues, topics and subscriptions are those of the estate, and keep messages as it says", func(e *Estate) []Finding { return bus(e, needs) }},
		{"documents", "containers, partition keys, expiry and indices are those of the estate", func(e *Estate) []Finding { return documents(e, needs) }},
		{"blobs", "containers of blobs are those of the estate, and expire as it says", func(e *Estate) []Finding { return blobs(e, needs) }},
		{"settings", "apps have the settings of the estate and no others, with its values, or what of this estate they are to come from", func(e *Estate) []Finding { return settings(e, needs) }},
		{"functions", "what functions are triggered by is there for the app that holds them", func(e *Estate) []Finding { return triggers(e, needs, functions) }},
		{"flex", "an app's configuration has nothing that its plan refuses", flex},
		{"scale", "instances are ready where and when they are needed, and of functions that are there", func(e *Estate) []Finding { return scale(e, p) }},
		{"colours", "one colour works and serves; the other stands by", colours},
		{"standby", "data goes to the second region, and the second region has all that the first has", standby},
		{"waf", "the firewall at the edge blocks: managed rules, bots, too many calls", waf},
		{"contacts", "the budget is of this environment, and who hears of it hears every alert", contacts},
		{"outputs", "outputs hold no secrets", outputs},
		{"shapes", "no resource sets what no template set before: what is new is thought about", shapes},
		{"clean", "the CLI has nothing to say of the snapshot", clean},
	}
	for _, g := range p.Values {
		rules = append(rules, Rule{g.Rule, g.Says, g.Check})
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
		for _, p := range places(r.raw) {
			if p != "" && p != "global" && !slices.Contains(e.Promise.Regions, p) {
				out = append(out, Finding{Resource: r.ID, Says: "lies in " + p + e.promised("regions")})
			}
		}
	}
	return out
}

// places are all that a resource says of where it, or a part of it, lies.
func places(v any) []string {
	var out []string
	switch in := v.(type) {
	case map[string]any:
		for k, each := range in {
			if place, ok := each.(string); ok && slices.Contains([]string{"location", "locationName", "privateLinkLocation"}, k) {
				out = append(out, place)
			}
			out = append(out, places(each)...)
		}
	case []any:
		for _, each := range in {
			out = append(out, places(each)...)
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
		if env := r.Tags["environment"]; env != "" && env != e.Promise.Tag {
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
