package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Watch is an alert of alerts.json, or a rule of sentinel.json: what somebody wrote that is to be looked for. The snapshot
// must have it as it is written, of each resource that it is about, and nothing beside it: an alert that is turned round is as
// good as none.
type Watch struct {
	Name     string
	Severity any // a number of alerts, a word of Sentinel
	When     string
	Says     string
	Metric   *struct {
		Target, Namespace, Name, Aggregation, Operator, Share, Window, Frequency string
		Threshold                                                                float64
		Dimensions                                                               []struct {
			Name   string
			Values []any
		}
	}
	Query     json.RawMessage // of an alert: text, operator, threshold, window, frequency; of Sentinel the text
	Frequency string
	Period    string
	Tactics   []any
	Entities  []struct{ Type, Is, Column string }
}

// readWatches reads one of the lists.
func readWatches(root, file string) ([]Watch, error) {
	body, err := os.ReadFile(filepath.Join(root, "infra", "bicep", file))
	if err != nil {
		return nil, fmt.Errorf("reading what is looked for: %w", err)
	}
	var out []Watch
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return out, nil
}

// due reports whether an environment has what a watch is about.
func due(e *Estate, when string) bool {
	p := e.Promise
	premium := slices.ContainsFunc(e.Of("Microsoft.ServiceBus/namespaces"), func(r Resource) bool { return r.Is("sku.name", "Premium") })
	provisioned := slices.ContainsFunc(e.Of("Microsoft.DocumentDB/databaseAccounts"), func(r Resource) bool { return !r.Is("properties.capabilities.0.name", "EnableServerless") })
	return map[string]bool{
		"": true, "edge": p.Edge, "private": p.Private, "standby": p.Standby, "backups": p.Backups, "vault": p.OwnKeys,
		"nightly": p.Edge, "premium": premium, "provisioned": provisioned,
	}[when]
}

// about are the resources that an alert on a metric is about: those of its type, of apps and their clocks those of the first
// region, which serves, of vaults and accounts the one that everything else hangs on.
func about(e *Estate, target, kind string) []string {
	begins := map[string]string{"prescale": "logic-up-", "data": "stdata", "vault": "kv-polis-"}[target]
	region, _ := e.serving()
	var out []string
	for _, r := range e.Of(kind) {
		elsewhere := (target == "sites" || target == "prescale") && !strings.Contains(r.Name, "-"+region+"-")
		if strings.HasPrefix(r.Name, begins) && !elsewhere {
			out = append(out, strings.ToLower(r.ID))
		}
	}
	return out
}

// differs says which of some paths has another value than is written.
func differs(r Resource, written map[string]any) []Finding {
	var out []Finding
	for _, path := range slices.Sorted(maps.Keys(written)) {
		want := written[path]
		got, err := json.Marshal(r.Get(path))
		wanted, err2 := json.Marshal(want)
		if err != nil || err2 != nil || string(got) != string(wanted) {
			out = append(out, Finding{Resource: r.ID, Says: fmt.Sprintf("is not as it is written: %s is %s, not %s", path, got, wanted)})
		}
	}
	return out
}

// asWritten holds alerts and Sentinel's rules to be those of the lists.
func asWritten(e *Estate, alerts, sentinel []Watch) []Finding {
	var out []Finding
	metrics, queries, rules := map[string][]Resource{}, map[string][]Resource{}, map[string][]Resource{}
	for _, r := range e.Of("Microsoft.Insights/metricAlerts") {
		if r.Get("properties.criteria.webTestId") == nil {
			metrics[r.Text("properties.criteria.allOf.0.name")] = append(metrics[r.Text("properties.criteria.allOf.0.name")], r)
		}
	}
	for _, r := range e.Of("Microsoft.Insights/scheduledQueryRules") {
		queries[r.Text("properties.displayName")] = append(queries[r.Text("properties.displayName")], r)
	}
	for _, r := range e.Of("Microsoft.SecurityInsights/alertRules") {
		name := strings.TrimPrefix(r.Text("properties.displayName"), "Polis: ")
		rules[name] = append(rules[name], r)
	}
	for _, w := range alerts {
		switch {
		case !due(e, w.When):
			out = append(out, extra(append(metrics[w.Name], queries[w.Name]...))...)
		case w.Metric != nil:
			out = append(out, w.metric(e, metrics[w.Name])...)
		default:
			out = append(out, w.query(queries[w.Name])...)
		}
		delete(metrics, w.Name)
		delete(queries, w.Name)
	}
	for _, w := range sentinel {
		if due(e, w.When) && e.Promise.Private {
			out = append(out, w.sentinel(rules[w.Name])...)
		} else {
			out = append(out, extra(rules[w.Name])...)
		}
		delete(rules, w.Name)
	}
	for _, left := range []map[string][]Resource{metrics, queries, rules} {
		for _, r := range left {
			out = append(out, extra(r)...)
		}
	}
	return out
}

// extra are alerts that nobody wrote for this environment.
func extra(all []Resource) []Finding {
	var out []Finding
	for _, r := range all {
		out = append(out, Finding{Resource: r.ID, Says: "is an alert that is not written, or not for here"})
	}
	return out
}

func (w Watch) described() string { return w.Says + " What to do: docs/playbooks/" + w.Name + ".md" }

func (w Watch) metric(e *Estate, have []Resource) []Finding {
	var out []Finding
	var scopes []string
	m := w.Metric
	for _, r := range have {
		scopes = append(scopes, strings.ToLower(r.Text("properties.scopes.0")))
		dimensions := []any{}
		for _, d := range m.Dimensions {
			dimensions = append(dimensions, map[string]any{"name": d.Name, "operator": "Include", "values": d.Values})
		}
		threshold := m.Threshold
		if m.Share == "instances" { // 30% of an app's are left
			site, _ := e.At(r.Text("properties.scopes.0"))
			most, _ := site.Get("properties.functionAppConfig.scaleAndConcurrency.maximumInstanceCount").(float64)
			threshold = float64(int(most) * 7 / 10)
		}
		const at = "properties.criteria.allOf.0."
		out = append(out, differs(r, map[string]any{
			"properties.description": w.described(), "properties.severity": w.Severity, "properties.scopes.1": nil,
			"properties.evaluationFrequency": m.Frequency, "properties.windowSize": m.Window, "properties.criteria.allOf.1": nil,
			at + "criterionType": "StaticThresholdCriterion", at + "metricNamespace": m.Namespace, at + "metricName": m.Name,
			at + "timeAggregation": m.Aggregation, at + "operator": m.Operator, at + "threshold": threshold, at + "dimensions": dimensions,
		})...)
	}
	return append(out, same("the alert "+w.Name, scopes, about(e, m.Target, m.Namespace))...)
}

func (w Watch) query(have []Resource) []Finding {
	var q struct {
		Text, Operator, Window, Frequency string
		Threshold                         float64
	}
	if err := json.Unmarshal(w.Query, &q); err != nil || len(have) != 1 {
		return []Finding{{Resource: "the alert " + w.Name, Says: fmt.Sprintf("is there %d times (%v)", len(have), err)}}
	}
	const at = "properties.criteria.allOf.0."
	return differs(have[0], map[string]any{
		"properties.description": w.described(), "properties.severity": w.Severity, "properties.evaluationFrequency": q.Frequency,
		"properties.windowSize": q.Window, at + "query": q.Text, at + "timeAggregation": "Count", at + "operator": q.Operator,
		at + "threshold": q.Threshold, at + "failingPeriods.minFailingPeriodsToAlert": 1, "properties.muteActionsDuration": nil,
	})
}

func (w Watch) sentinel(have []Resource) []Finding {
	var q string
	if err := json.Unmarshal(w.Query, &q); err != nil || len(have) != 1 {
		return []Finding{{Resource: "Sentinel's rule " + w.Name, Says: fmt.Sprintf("is there %d times (%v)", len(have), err)}}
	}
	r := have[0]
	var entities []any
	for _, e := range w.Entities {
		field := map[string]any{"identifier": e.Is, "columnName": e.Column}
		entities = append(entities, map[string]any{"entityType": e.Type, "fieldMappings": []any{field}})
	}
	out := differs(r, map[string]any{
		"kind": "Scheduled", "properties.description": w.described(), "properties.severity": w.Severity,
		"properties.queryFrequency": w.Frequency, "properties.queryPeriod": w.Period, "properties.tactics": w.Tactics,
		"properties.entityMappings": entities,
	})
	// Lists of principals are put in at deployment.
	if m := filled.FindStringSubmatch(r.Text("properties.query")); m == nil || strings.ReplaceAll(m[1], "''", "'") != q {
		out = append(out, Finding{Resource: r.ID, Says: "is not as it is written: its query"})
	}
	return out
}
