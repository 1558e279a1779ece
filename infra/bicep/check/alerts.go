package check

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Signals are what alerts may look at, as Microsoft's references have it: metrics by the type that
// emits them, tables of the workspace with those of their columns that are of use, and places in
// the EU that probes ask from (Zurich is France South's old name). What is misspelt here is often
// no error to Azure: it is an alert that never fires.
type Signals struct {
	Metrics map[string]map[string]Metric `json:"metrics"`
	Tables  map[string][]string          `json:"tables"`
	Places  []string                     `json:"places"`
}

// Metric is what a metric is measured in, how it may be added up, and what it can be split by.
type Metric struct {
	Unit         string   `json:"unit"` // Percent, Count, Seconds or MilliSeconds
	Aggregations []string `json:"aggregations"`
	Dimensions   []string `json:"dimensions"`
}

var (
	playbook = regexp.MustCompile(`docs/playbooks/([a-z0-9-]+)\.md`)
	table    = regexp.MustCompile(`(?:^|\(|')((?:APage|ADF|App|AZ|CDB|Azure|ApiManagement|Storage|Security)[A-Za-z]*)\s*\|`)
	union    = regexp.MustCompile(`\bunion (?:isfuzzy=true )?([A-Za-z, ]+)\|`)
	said     = regexp.MustCompile(`Message has(?:_any)? (?:'([^']+)'|\(([^)]*)\))`)
	quoted   = regexp.MustCompile(`'([^']+)'`)
	filled   = regexp.MustCompile(`^\[(?:replace\()+'((?:[^']|'')*)'`)
	function = regexp.MustCompile(`'([A-Z][A-Za-z]+(?:Nightly|Monthly|Chunks|Work))'`)
)

// alertTypes are types that call somebody.
var alertTypes = []string{
	"Microsoft.Insights/metricAlerts", "Microsoft.Insights/scheduledQueryRules",
	"Microsoft.Insights/activityLogAlerts", "Microsoft.SecurityInsights/alertRules",
}

// page is what a workbook shows: queries, and metrics of resources.
type page struct {
	Items []struct {
		Content struct {
			Query       string
			ResourceIDs []string `json:"resourceIds"`
			Metrics     []struct{ Namespace, Metric string }
		}
	}
}

// charts holds the metrics of a workbook to be ones that its resources emit.
func charts(e *Estate, r Resource, signals Signals) []Finding {
	var p page
	if err := json.Unmarshal([]byte(r.Text("properties.serializedData")), &p); err != nil {
		return nil // queriesOf says so
	}
	var out []Finding
	for _, i := range p.Items {
		for _, m := range i.Content.Metrics {
			name := m.Metric[strings.LastIndex(m.Metric, "-")+1:]
			known := false
			for space, names := range signals.Metrics {
				known = known || strings.EqualFold(space, m.Namespace) && names[name].Unit != ""
			}
			if !known {
				out = append(out, Finding{Resource: r.ID, Says: "shows a metric that nobody emits: " + m.Metric})
			}
		}
		for _, id := range i.Content.ResourceIDs {
			if _, ok := e.At(id); !ok {
				out = append(out, Finding{Resource: r.ID, Says: "shows a resource that is not there: " + id})
			}
		}
	}
	return out
}

// queriesOf are the KQL of a resource: of an alert or a page.
func queriesOf(r Resource) []string {
	switch r.Type {
	case "Microsoft.Insights/scheduledQueryRules":
		return []string{r.Text("properties.criteria.allOf.0.query")}
	case "Microsoft.SecurityInsights/alertRules":
		return []string{r.Text("properties.query")}
	case "Microsoft.Insights/workbooks":
		var p page
		if err := json.Unmarshal([]byte(r.Text("properties.serializedData")), &p); err != nil {
			return []string{"APage | is no JSON"} // a table that is not there
		}
		var out []string
		for _, i := range p.Items {
			if i.Content.Query != "" {
				out = append(out, i.Content.Query)
			}
		}
		return out
	}
	return nil
}

// alerts holds alerts to have a playbook, a severity that reaches somebody, and a signal.
func alerts(e *Estate, p Project) []Finding {
	playbooks, signals, log, functions, needs := p.Playbooks, p.Signals, p.Log, p.Functions, p.Needs
	var out []Finding
	for _, kind := range alertTypes {
		for _, a := range e.Of(kind) {
			m := playbook.FindStringSubmatch(a.Text("properties.description"))
			switch {
			case m == nil:
				out = append(out, Finding{Resource: a.ID, Says: "names no playbook"})
			case !slices.Contains(playbooks, m[1]):
				out = append(out, Finding{Resource: a.ID, Says: "names a playbook that is not there: " + m[1]})
			}
			if !a.Is("properties.enabled", true) {
				out = append(out, Finding{Resource: a.ID, Says: "is off"})
			}
		}
	}
	for _, a := range e.Of("Microsoft.Insights/metricAlerts") {
		out = append(out, reaches(e, a, a.Text("properties.actions.0.actionGroupId"))...)
		if a.Is("properties.criteria.odata.type", "") || a.Text("properties.criteria.webTestId") != "" {
			if _, ok := e.At(a.Text("properties.criteria.webTestId")); !ok {
				out = append(out, Finding{Resource: a.ID, Says: "looks at a probe that is not there"})
			}
			continue
		}
		space, name := a.Text("properties.criteria.allOf.0.metricNamespace"), a.Text("properties.criteria.allOf.0.metricName")
		if m := signals.Metrics[space][name]; m.Unit == "" {
			out = append(out, Finding{Resource: a.ID, Says: "looks at a metric that nobody emits: " + space + " " + name})
		} else {
			out = append(out, m.measures(a)...)
		}
		if d := a.List("properties.criteria.allOf.0.dimensions.0.values"); a.Is("properties.criteria.allOf.0.dimensions.0.name", "EntityName") && !slices.Contains(d, any("*")) {
			var looked, queues []string
			for _, q := range d {
				looked = append(looked, text(q))
			}
			for _, q := range needs.Bus.Queues {
				queues = append(queues, q.Name)
			}
			out = append(out, same(a.ID, looked, queues)...)
		}
		scope, ok := e.At(a.Text("properties.scopes.0"))
		if !ok || !strings.EqualFold(scope.Type, space) {
			out = append(out, Finding{Resource: a.ID, Says: "looks at a resource that is not there, or of another type"})
		}
	}
	for _, a := range e.Of("Microsoft.SecurityInsights/alertRules") {
		if len(a.List("properties.entityMappings")) == 0 {
			out = append(out, Finding{Resource: a.ID, Says: "makes incidents that are about nobody"})
		}
		for i := range a.List("properties.entityMappings") {
			column := a.Text(fmt.Sprintf("properties.entityMappings.%d.fieldMappings.0.columnName", i))
			if column == "" || !strings.Contains(a.Text("properties.query"), column) {
				out = append(out, Finding{Resource: a.ID, Says: "makes incidents about what its query does not find: " + column})
			}
		}
	}
	for _, a := range e.Of("Microsoft.Insights/activityLogAlerts") {
		out = append(out, reaches(e, a, a.Text("properties.actions.actionGroups.0.actionGroupId"))...)
	}
	watched := "" // what alerts ask the log
	for _, a := range e.Of("Microsoft.Insights/scheduledQueryRules") {
		out = append(out, reaches(e, a, a.Text("properties.actions.actionGroups.0"))...)
		watched += a.Text("properties.criteria.allOf.0.query")
	}
	for _, f := range functions {
		if f.Trigger == "timerTrigger" && !strings.Contains(watched, "'"+f.Name+"'") {
			out = append(out, Finding{Resource: "the alerts", Says: "nobody would hear if " + f.Name + " did not run"})
		}
	}
	for _, r := range e.Of("Microsoft.DataFactory/factories/triggers") {
		for i := range r.List("properties.pipelines") {
			name := r.Text(fmt.Sprintf("properties.pipelines.%d.pipelineReference.referenceName", i))
			if !strings.Contains(watched, "PipelineName == '"+name+"'") {
				out = append(out, Finding{Resource: "the alerts", Says: "nobody would hear if " + name + " did not run"})
			}
		}
	}
	var pages []string
	for _, w := range e.Of("Microsoft.Insights/workbooks") {
		name, _, _ := strings.Cut(strings.TrimPrefix(w.Text("properties.displayName"), "Polis: "), ",")
		pages = append(pages, name)
	}
	out = append(out, same("the workbooks", pages, slices.Clone(p.Pages))...)
	for _, w := range e.Of("Microsoft.Insights/workbooks") {
		out = append(out, charts(e, w, signals)...)
	}
	for _, r := range e.Resources {
		for _, q := range queriesOf(r) {
			if m := filled.FindStringSubmatch(q); m != nil {
				q = strings.ReplaceAll(m[1], "''", "'") // lists of principals are put in at deployment
			}
			for _, t := range tablesOf(q) {
				if signals.Tables[t] == nil {
					out = append(out, Finding{Resource: r.ID, Says: "asks a table that is not there: " + t})
				}
			}
			for _, says := range columns(q, signals.Tables) {
				out = append(out, Finding{Resource: r.ID, Says: says})
			}
			for _, o := range p.API.operations(q) {
				out = append(out, Finding{Resource: r.ID, Says: "asks for an operation that API Management has not, or spells otherwise: " + o})
			}
			for _, m := range said.FindAllStringSubmatch(q, -1) {
				words := []string{m[1]}
				if m[1] == "" {
					words = nil
					for _, w := range quoted.FindAllStringSubmatch(m[2], -1) {
						words = append(words, w[1])
					}
				}
				for _, w := range words {
					if !strings.Contains(log, w) {
						out = append(out, Finding{Resource: r.ID, Says: fmt.Sprintf("waits for %q, which the handler never says", w)})
					}
				}
			}
			for _, m := range function.FindAllStringSubmatch(q, -1) {
				if !slices.ContainsFunc(functions, func(f Function) bool { return f.Name == m[1] }) {
					out = append(out, Finding{Resource: r.ID, Says: "waits for a function that is not there: " + m[1]})
				}
			}
		}
	}
	return out
}

// measures holds an alert to how its metric is measured: a way of adding up that the metric has, and
// a threshold in its unit, which the alert's own words say in seconds or per cent.
func (m Metric) measures(a Resource) []Finding {
	var out []Finding
	const at = "properties.criteria.allOf.0."
	if how := a.Text(at + "timeAggregation"); !slices.Contains(m.Aggregations, how) {
		out = append(out, Finding{Resource: a.ID, Says: "adds up in a way that its metric has not: " + how})
	}
	for i := range a.List(at + "dimensions") {
		if d := a.Text(fmt.Sprintf("%sdimensions.%d.name", at, i)); !slices.Contains(m.Dimensions, d) {
			out = append(out, Finding{Resource: a.ID, Says: "splits by what its metric has not: " + d})
		}
	}
	threshold, _ := a.Get(at + "threshold").(float64)
	var words []string
	switch m.Unit {
	case "Percent": // or what is left of it
		words = []string{fmt.Sprintf("%g%%", threshold), fmt.Sprintf("%g%%", 100-threshold)}
	case "Seconds":
		words = []string{fmt.Sprintf("%g s", threshold)}
	case "MilliSeconds":
		words = []string{fmt.Sprintf("%g s", threshold/1000)}
	default:
		return out
	}
	said := a.Text("properties.description")
	if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(" "+said, " "+w) }) {
		out = append(out, Finding{Resource: a.ID, Says: fmt.Sprintf("says something else than its threshold, %s", words[0])})
	}
	return out
}

var minutes = regexp.MustCompile(`^PT(\d+)M$`)

// probes holds probes from outside to be judged over as long as each place takes to ask once: over
// less, too few have reported for an alert that wants several, and it never fires.
func probes(e *Estate, in []string) []Finding {
	var out []Finding
	for _, a := range e.Of("Microsoft.Insights/metricAlerts") {
		test, ok := e.At(a.Text("properties.criteria.webTestId"))
		if !ok {
			continue
		}
		window := 0.0
		if m := minutes.FindStringSubmatch(a.Text("properties.windowSize")); m != nil {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				return []Finding{{Resource: a.ID, Says: err.Error()}}
			}
			window = float64(60 * n)
		}
		every, _ := test.Get("properties.Frequency").(float64)
		places := float64(len(test.List("properties.Locations")))
		for i := range test.List("properties.Locations") {
			if p := test.Text(fmt.Sprintf("properties.Locations.%d.Id", i)); !slices.Contains(in, p) {
				out = append(out, Finding{Resource: test.ID, Says: "asks from a place that is not there, or not in the EU: " + p})
			}
		}
		if test.Tags["hidden-link:"+a.Text("properties.criteria.componentId")] != "Resource" {
			out = append(out, Finding{Resource: test.ID, Says: "does not say whose results it writes"})
		}
		if window < every || every == 0 {
			out = append(out, Finding{Resource: a.ID, Says: fmt.Sprintf("looks at %.0f s of a probe that asks every %.0f s", window, every)})
		}
		if failed, _ := a.Get("properties.criteria.failedLocationCount").(float64); failed < 1 || failed > places {
			out = append(out, Finding{Resource: a.ID, Says: "waits for more places than ask"})
		}
		if wakes := !strings.Contains(test.Text("properties.Request.RequestUrl"), "/edge/"); wakes && every/places < 300 {
			out = append(out, Finding{Resource: test.ID, Says: fmt.Sprintf("wakes an app every %.0f s", every/places)})
		}
	}
	return out
}

// reaches reports an alert that calls the wrong people for its severity, or nobody.
func reaches(e *Estate, a Resource, group string) []Finding {
	severity, ok := a.Get("properties.severity").(float64)
	if a.Type == "Microsoft.Insights/activityLogAlerts" {
		severity, ok = 1, true // such an alert has none of its own
	}
	people, there := e.At(group)
	called := there && people.Is("properties.enabled", true) && len(people.List("properties.emailReceivers")) > 0
	if !ok || severity < 0 || severity > 3 || !called || !strings.Contains(group, fmt.Sprintf("/ag-sev%.0f-", severity)) {
		return []Finding{{Resource: a.ID, Says: "reaches nobody, or not those of its severity"}}
	}
	return nil
}

// tablesOf are the tables that a query asks.
func tablesOf(query string) []string {
	var out []string
	for _, m := range table.FindAllStringSubmatch(query, -1) {
		out = append(out, m[1])
	}
	for _, m := range union.FindAllStringSubmatch(query, -1) {
		for _, t := range strings.Split(m[1], ",") {
			out = append(out, strings.TrimSpace(t))
		}
	}
	return out
}
