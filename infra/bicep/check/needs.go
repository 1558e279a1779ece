package check

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"polis/infra/estate"
)

// Function is one of functions/: what triggers it.
type Function struct {
	Name       string
	Trigger    string
	Queue      string
	Schedule   string // the setting that holds it
	Connection string
}

// Functions reads functions/.
func Functions(dir string) ([]Function, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the functions: %w", err)
	}
	var out []Function
	for _, entry := range entries {
		body, err := os.ReadFile(filepath.Join(dir, entry.Name(), "function.json"))
		if err != nil {
			return nil, fmt.Errorf("reading a function: %w", err)
		}
		var f struct {
			Bindings []struct{ Type, QueueName, Schedule, Connection string }
		}
		if err := json.Unmarshal(body, &f); err != nil {
			return nil, fmt.Errorf("reading function %s: %w", entry.Name(), err)
		}
		if len(f.Bindings) == 0 {
			return nil, fmt.Errorf("function %s has no trigger", entry.Name())
		}
		b := f.Bindings[0]
		out = append(out, Function{entry.Name(), b.Type, b.QueueName, strings.Trim(b.Schedule, "%"), b.Connection})
	}
	return out, nil
}

// same says what of two sets is in one only.
func same(what string, got, want []string) []Finding {
	sort.Strings(got)
	sort.Strings(want)
	var out []Finding
	for _, w := range want {
		if !slices.Contains(got, w) {
			out = append(out, Finding{Resource: what, Says: "lacks " + w})
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			out = append(out, Finding{Resource: what, Says: "has " + g + ", which nothing needs"})
		}
	}
	return out
}

// under is what resources of a type are called, without their parents.
func under(e *Estate, kind string) []string {
	var out []string
	for _, r := range e.Of(kind) {
		out = append(out, last(r.Name))
	}
	return out
}

func bus(e *Estate, needs *estate.Estate) []Finding {
	var queues, topics, subscriptions []string
	for _, q := range needs.Bus.Queues {
		queues = append(queues, q.Name)
	}
	for _, t := range needs.Bus.Topics {
		topics = append(topics, t.Name)
		for _, s := range t.Subscriptions {
			subscriptions = append(subscriptions, t.Name+"/"+s.Name)
		}
	}
	const namespaces = "Microsoft.ServiceBus/namespaces"
	out := same("queues", under(e, namespaces+"/queues"), queues)
	out = append(out, same("topics", under(e, namespaces+"/topics"), topics)...)
	var standing []string
	for _, s := range e.Of(namespaces + "/topics/subscriptions") {
		// A user's subscription gets one tenant's messages, by the rule that lets all others not through.
		if r, ok := e.At(s.ID + "/rules/$Default"); ok {
			if r.Text("properties.correlationFilter.properties.tenant") == "" || !r.Is("properties.filterType", "CorrelationFilter") {
				out = append(out, Finding{Resource: s.ID, Says: "lets messages of every tenant through"})
			}
			continue
		}
		parts := strings.Split(s.Name, "/")
		standing = append(standing, strings.Join(parts[max(0, len(parts)-2):], "/"))
	}
	out = append(out, same("subscriptions", standing, subscriptions)...)
	subscribed := e.Of(namespaces + "/topics/subscriptions")
	for _, q := range append(e.Of(namespaces+"/queues"), subscribed...) {
		if !q.Is("properties.lockDuration", needs.Bus.Lock) || !q.Is("properties.maxDeliveryCount", needs.Bus.MaxDeliveries) {
			out = append(out, Finding{Resource: q.ID, Says: "locks or delivers otherwise than the estate says"})
		}
		// What was not worked in time is looked at; what stood for who comes late, and nobody wanted, ends.
		standing := slices.Contains(subscriptions, strings.Join(strings.Split(q.Name, "/")[1:], "/"))
		if !q.Is("properties.deadLetteringOnMessageExpiration", !standing) {
			out = append(out, Finding{Resource: q.ID, Says: "loses what was not worked in time, or keeps what nobody wanted"})
		}
	}
	for _, q := range append(append(e.Of(namespaces+"/queues"), e.Of(namespaces+"/topics")...), subscribed...) {
		if !q.Is("properties.defaultMessageTimeToLive", needs.Bus.TimeToLive) {
			out = append(out, Finding{Resource: q.ID, Says: "keeps messages otherwise than the estate says"})
		}
		for _, other := range []string{"requiresSession", "enablePartitioning", "supportOrdering", "autoDeleteOnIdle", "forwardTo", "status", "maxSizeInMegabytes"} {
			if v := q.Get("properties." + other); v != nil && v != false {
				out = append(out, Finding{Resource: q.ID, Says: "has what no function expects: " + other})
			}
		}
	}
	for _, r := range append(e.Of(namespaces+"/queues"), e.Of(namespaces+"/topics")...) {
		if !r.Is("properties.requiresDuplicateDetection", true) || !r.Is("properties.duplicateDetectionHistoryTimeWindow", needs.Bus.DuplicateWindow) {
			out = append(out, Finding{Resource: r.ID, Says: "does not drop a message that comes twice"})
		}
	}
	return out
}

func documents(e *Estate, needs *estate.Estate) []Finding {
	const databases = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases"
	out := same("databases", under(e, databases), []string{needs.Documents.Database})
	var names []string
	for _, c := range needs.Documents.Containers {
		names = append(names, c.Name)
	}
	out = append(out, same("containers", under(e, databases+"/containers"), names)...)
	for _, r := range e.Of(databases + "/containers") {
		for _, c := range needs.Documents.Containers {
			if last(r.Name) != c.Name {
				continue
			}
			var key []string
			for _, p := range r.List("properties.resource.partitionKey.paths") {
				key = append(key, text(p))
			}
			if !slices.Equal(key, c.PartitionKey) || !r.Is("properties.resource.partitionKey.kind", "MultiHash") || !r.Is("properties.resource.partitionKey.version", 2) {
				out = append(out, Finding{Resource: r.ID, Says: fmt.Sprintf("is partitioned by %v, not %v", key, c.PartitionKey)})
			}
			if !r.Is("properties.resource.defaultTtl", c.DefaultTTL) {
				out = append(out, Finding{Resource: r.ID, Says: "expires otherwise than the estate says"})
			}
			got, _ := json.Marshal(r.Get("properties.resource.indexingPolicy"))
			want, _ := json.Marshal(c.IndexingPolicy)
			var a, b any
			if json.Unmarshal(got, &a) != nil || json.Unmarshal(want, &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) {
				out = append(out, Finding{Resource: r.ID, Says: "is indexed otherwise than the estate says"})
			}
		}
	}
	return out
}

// platform are containers of blobs that are not the code's, by account: what they are for.
var platform = map[string]string{
	"sthost/azure-webjobs-hosts":   "the host's locks",
	"sthost/azure-webjobs-secrets": "the host's own secrets, which no function uses",
	"staudit/evidence":             "what drills and restores showed",
	"stbackup/cosmos":              "weekly copies of documents",
	"stbackup/blobs":               "weekly copies of blobs",
	"stbackup/whole":               "which of them came to their end",
}

func blobs(e *Estate, needs *estate.Estate) []Finding {
	var want, got []string
	for _, b := range needs.Blobs {
		want = append(want, "st"+b.Account+"/"+b.Name)
	}
	account := func(name string) string {
		for _, a := range []string{"sthost", "stdata", "staudit", "stbackup"} {
			if strings.HasPrefix(name, a) {
				return a
			}
		}
		return name
	}
	for _, c := range e.Of("Microsoft.Storage/storageAccounts/blobServices/containers") {
		at := account(c.Name) + "/" + last(c.Name)
		if platform[at] != "" || strings.HasPrefix(at, "sthost/app-") {
			continue
		}
		got = append(got, at)
	}
	out := same("containers of blobs", got, want)
	for _, p := range e.Of("Microsoft.Storage/storageAccounts/managementPolicies") {
		out = append(out, lifecycle(p, account(p.Name))...)
		if account(p.Name) != "stdata" {
			continue
		}
		expires := map[string]float64{}
		for i := range p.List("properties.policy.rules") {
			at := fmt.Sprintf("properties.policy.rules.%d.definition.", i)
			days, ok := p.Get(at + "actions.baseBlob.delete.daysAfterModificationGreaterThan").(float64)
			if ok {
				expires[p.Text(at+"filters.prefixMatch.0")] = days
			}
		}
		n := 0
		for _, b := range needs.Blobs {
			for _, x := range b.Prefixes {
				if x.KeepDays > 0 {
					n++
					if expires[b.Name+"/"+x.Name] != float64(x.KeepDays) {
						out = append(out, Finding{Resource: p.ID, Says: fmt.Sprintf("does not delete %s%s after %d days", b.Name+"/", x.Name, x.KeepDays)})
					}
				}
			}
		}
		if len(expires) != n {
			out = append(out, Finding{Resource: p.ID, Says: fmt.Sprintf("deletes by %d rules, not %d", len(expires), n)})
		}
	}
	return out
}

// lifecycle holds what deletes blobs by itself to delete no copy before its time, and of other accounts than that of data
// nothing but old versions.
func lifecycle(p Resource, account string) []Finding {
	var out []Finding
	for i := range p.List("properties.policy.rules") {
		at := fmt.Sprintf("properties.policy.rules.%d.definition.", i)
		del, _ := p.Get(at + "actions.baseBlob.delete").(map[string]any)
		if del == nil {
			continue
		}
		days, _ := del["daysAfterModificationGreaterThan"].(float64)
		prefixes := p.List(at + "filters.prefixMatch")
		if len(del) != 1 || len(prefixes) != 1 || account != "stdata" && (account != "stbackup" || days < keptDays) {
			out = append(out, Finding{Resource: p.ID, Says: "deletes what is to be kept: " + p.Text(fmt.Sprintf("properties.policy.rules.%d.name", i))})
		}
	}
	return out
}

// triggers holds functions to the estate: each lies in an app, its queue is received by that
// app, and its schedule and connection are settings of that app.
func triggers(e *Estate, needs *estate.Estate, functions []Function) []Finding {
	var out []Finding
	var listened []string
	app := map[string]string{}
	for _, a := range needs.Apps {
		app[a.Trigger] = a.Name
	}
	sites, having := map[string]int{}, map[string]int{} // by role; by role and setting
	for _, s := range e.Of("Microsoft.Web/sites") {
		role := strings.Split(s.Name, "-")[4]
		sites[role]++
		for i := range s.List("properties.siteConfig.appSettings") {
			having[role+" "+s.Text(fmt.Sprintf("properties.siteConfig.appSettings.%d.name", i))]++
		}
	}
	has := func(role, setting string) bool { return sites[role] > 0 && having[role+" "+setting] == sites[role] }
	var schedules []string
	for _, f := range functions {
		role, ok := app[f.Trigger]
		if !ok {
			out = append(out, Finding{Resource: f.Name, Says: "no app has functions of trigger " + f.Trigger})
			continue
		}
		if f.Queue != "" {
			listened = append(listened, f.Queue)
		}
		if f.Schedule != "" {
			schedules = append(schedules, f.Schedule)
			if !has(role, f.Schedule) {
				out = append(out, Finding{Resource: f.Name, Says: "its schedule " + f.Schedule + " is no setting of " + role})
			}
		}
		if f.Connection != "" && !has(role, f.Connection+"__fullyQualifiedNamespace") {
			out = append(out, Finding{Resource: f.Name, Says: "its connection " + f.Connection + " is no setting of " + role})
		}
	}
	var received, kept []string
	for _, q := range needs.Bus.Queues {
		received = append(received, q.Name)
	}
	for _, s := range needs.Settings {
		if strings.HasSuffix(s.Name, "_SCHEDULE") {
			kept = append(kept, s.Name)
		}
	}
	out = append(out, same("queues with a function", received, listened)...)
	return append(out, same("schedules", kept, schedules)...)
}
