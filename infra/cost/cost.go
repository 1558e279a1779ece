// Package cost estimates what an environment costs in a month: what stands there at rest is
// counted in its snapshot, what customers cause is counted by the formulas below, and both are
// multiplied by a dated table of list prices. It is an estimate, to choose sizes by and to
// set budgets from; docs/estate-cost.md says how it was made.
package cost

import (
	_ "embed" // the prices
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"polis/infra/bicep/check"
)

//go:embed prices.json
var file []byte

// Price is one of the table's.
type Price struct {
	Meter  string  `json:"meter"`
	Unit   string  `json:"unit"`
	Price  float64 `json:"price"`
	Status string  `json:"status"` // seen, known or remembered
	Where  string  `json:"where"`  // what it was seen in; not for what is remembered
}

// Table is the prices, with the day that they are of.
type Table struct {
	AsOf     string  `json:"asOf"`
	Currency string  `json:"currency"`
	Region   string  `json:"region"`
	Note     string  `json:"note"`
	Prices   []Price `json:"prices"`
}

// Prices reads the table.
func Prices() (*Table, error) {
	var t Table
	if err := json.Unmarshal(file, &t); err != nil {
		return nil, fmt.Errorf("reading the prices: %w", err)
	}
	return &t, nil
}

// Line is an amount of something, and what it costs in a month.
type Line struct {
	What   string
	Amount float64
	Meter  string
	Cost   float64
}

// What customers cause. Seconds and sizes are the project's own figures (README, "Measured");
// request units are an estimate until they have been measured.
const (
	secondsOfMonth = 730 * 3600
	daysOfMonth    = 30.0
	nights         = daysOfMonth
	weeks          = 4.0

	// CustomersPerCoreSecond is how many a nightly run takes, with 1% changed.
	CustomersPerCoreSecond = 5950
	// KBPerCustomer is what is stored of one: aggregate, scores, places, superseded scores.
	KBPerCustomer = 15
	// UnitsPerRead and UnitsPerWrite are request units for a customer's documents: some 4 KB read
	// in pages of a query, some 4 KB written with one path indexed.
	UnitsPerRead  = 1.0
	UnitsPerWrite = 48.0
	// ChangedShare is how many are written a night.
	ChangedShare = 0.01
	// CallsPerCustomer is how often a month somebody asks for one.
	CallsPerCustomer = 1.0
	// UnitsPerCall, KBPerCall and KBLogsPerCall are of a request that reads a customer.
	UnitsPerCall  = 5.0
	KBPerCall     = 4.0
	KBLogsPerCall = 3.0
	// KBPerRead and KBPerWrite are what goes over the network for a customer's documents.
	KBPerRead  = 4.0
	KBPerWrite = 4.0
	// RestLogsGB is what probes, the firewall and idle hosts write in a month, a region: our guess, until
	// a bill says otherwise. Half of it is in tables that are exported to the audit log.
	RestLogsGB    = 15.0
	ExportedShare = 0.5
	// FreeLogDays is how long a workspace keeps logs for nothing; with Sentinel as long as ours keeps them.
	FreeLogDays = 31.0
	// CopyDIUHours is the least of a weekly copy: four units, for the minutes that the private runtime takes to begin.
	CopyDIUHours = 0.5
)

// Month is what an environment costs with so many customers.
func Month(e *check.Estate, t *Table, customers float64) ([]Line, error) {
	by := map[string]float64{}
	for _, p := range t.Prices {
		by[p.Meter] = p.Price
	}
	var lines []Line
	var missing error
	add := func(what string, amount float64, meter string) {
		price, ok := by[meter]
		if !ok {
			missing = fmt.Errorf("the table has no price for %s", meter)
		}
		if amount > 0 {
			lines = append(lines, Line{what, amount, meter, amount * price})
		}
	}
	count := func(kind string) float64 { return float64(len(e.Of(kind))) }

	// At rest: what stands there.
	regions := 1.0
	for _, c := range e.Of("Microsoft.DocumentDB/databaseAccounts") {
		regions = float64(len(c.List("properties.locations")))
	}
	ready := 0.0           // GB that are always there
	crew, size := 0.0, 0.0 // chunk workers that are always ready where the runs are, and their GB
	for _, s := range e.Of("Microsoft.Web/sites") {
		gb, _ := s.Get("properties.functionAppConfig.scaleAndConcurrency.instanceMemoryMB").(float64)
		gb /= 1024
		plan, _ := e.At(s.Text("properties.serverFarmId"))
		asked := 0.0
		for i := range s.List("properties.functionAppConfig.scaleAndConcurrency.alwaysReady") {
			n, _ := s.Get(fmt.Sprintf("properties.functionAppConfig.scaleAndConcurrency.alwaysReady.%d.instanceCount", i)).(float64)
			asked += n
		}
		if plan.Is("properties.zoneRedundant", true) {
			// For each group that scales by itself.
			asked = max(asked, zoned*groups(role(s)))
		}
		if role(s) == "work" && s.Is("properties.enabled", true) {
			crew, size = asked, gb
			if plan.Is("properties.zoneRedundant", true) {
				crew -= zoned * (groups("work") - 1)
			}
		}
		ready += asked * gb
	}
	add("apps: instances always ready, GB-s", ready*secondsOfMonth, "flex always ready, baseline")
	made := prescaled(e)
	add("apps: chunk workers made ready for the night, GB-s", max(0, made.instances-crew)*size*made.minutes()*60*nights, "flex always ready, baseline")
	for _, a := range e.Of("Microsoft.ApiManagement/service") {
		n, _ := a.Get("sku.capacity").(float64)
		add("API Management in "+a.Location+", units", n, "api management "+a.Text("sku.name"))
	}
	add("Front Door", count("Microsoft.Cdn/profiles"), "front door premium")
	for _, f := range e.Of("Microsoft.Network/azureFirewalls") {
		add("firewall in "+f.Location, 1, "firewall "+f.Text("properties.sku.tier"))
	}
	add("private endpoints", count("Microsoft.Network/privateEndpoints"), "private endpoint")
	add("private DNS zones", count("Microsoft.Network/privateDnsZones"), "private dns zone")
	add("public addresses", count("Microsoft.Network/publicIPAddresses"), "public address")
	for _, b := range e.Of("Microsoft.ServiceBus/namespaces") {
		if b.Is("sku.name", "Premium") {
			n, _ := b.Get("sku.capacity").(float64)
			add("Service Bus, units in all regions", n*max(1, float64(len(b.List("properties.geoDataReplication.locations")))), "service bus premium")
		} else {
			add("Service Bus", 1, "service bus standard")
		}
	}
	serverless, peak := true, 0.0
	for _, c := range e.Of("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers") {
		if n, ok := c.Get("properties.options.autoscaleSettings.maxThroughput").(float64); ok {
			serverless, peak = false, peak+n
		}
	}
	add("keys in HSMs", count("Microsoft.KeyVault/vaults/keys"), "hsm key, 3072 bits")
	probes := 0.0
	for _, w := range e.Of("Microsoft.Insights/webtests") {
		every, _ := w.Get("properties.Frequency").(float64)
		probes += float64(len(w.List("properties.Locations"))) * secondsOfMonth / every / 1000
	}
	add("probes, thousands", probes, "probe from a place")
	add("metric alerts", count("Microsoft.Insights/metricAlerts"), "metric alert")
	every := map[string]float64{}
	for _, r := range e.Of("Microsoft.Insights/scheduledQueryRules") {
		every[r.Text("properties.evaluationFrequency")]++
	}
	for _, often := range slices.Sorted(maps.Keys(every)) {
		add("log alerts, "+often, every[often], "log alert "+often)
	}
	// Autoscale bills each hour's peak, a tenth of the maximum at least: the run's hour
	// to the full, the others at rest.
	hundred := (peak*1/24 + peak/10*23/24) / 100
	for _, p := range e.Of("Microsoft.Security/pricings") {
		switch p.Name {
		case "AppServices": // of machines of one's own; on Flex Consumption there are none
		case "CosmosDbs":
			add("Defender for Cosmos DB", hundred*regions, "defender CosmosDbs")
		case "KeyVaults":
			add("Defender for vaults", count("Microsoft.KeyVault/vaults"), "defender KeyVaults")
		default:
			add("Defender for "+p.Name, 1, "defender "+p.Name)
		}
	}
	if count("Microsoft.Security/pricings") > 0 { // and so the bootstrap's plan for storage
		add("Defender for storage, accounts", count("Microsoft.Storage/storageAccounts"), "defender for storage")
	}

	// By customers.
	gb := customers * KBPerCustomer / 1e6
	coreSeconds := nights * customers / CustomersPerCoreSecond
	calls := customers * CallsPerCustomer
	units := nights*customers*(UnitsPerRead+ChangedShare*UnitsPerWrite) + calls*UnitsPerCall
	add("nightly runs and calls, GB-s", 2*coreSeconds+calls*0.1, "flex on demand, execution") // a core comes with 2 GB
	add("executions, millions", (calls+nights*64*5)/1e6, "flex executions")
	if count("Microsoft.Cdn/profiles") > 0 {
		add("requests at the edge, millions", calls/1e6, "front door requests")
		add("answers at the edge, GB", calls*KBPerCall/1e6, "front door answers")
	}
	if serverless {
		add("Cosmos DB, million RU", units/1e6, "cosmos serverless")
	} else {
		add("Cosmos DB, hundreds of RU/s, all regions", hundred*regions, "cosmos autoscale")
	}
	add("documents, GB in all regions", gb*regions, "cosmos storage")
	add("documents' backup of 30 days, GB in all regions", gb*regions, "cosmos backup 30 days")
	read := (customers*nights*KBPerRead + calls*KBPerCall) / 1e6
	written := customers * nights * ChangedShare * KBPerWrite / 1e6 // documents, and as much in messages
	copied := gb/4 + 1                                              // gzip makes a quarter of the documents; models are copied whole
	if count("Microsoft.Network/privateEndpoints") > 0 {
		add("through private endpoints, GB", read+2*written, "private endpoint, data")
	}
	if regions > 1 {
		add("messages to the second region, GB", written, "service bus replication")
		add("documents and copies to the second region, GB", written+weeks*copied, "between regions")
	}
	for _, s := range e.Of("Microsoft.Storage/storageAccounts") {
		switch {
		case strings.HasPrefix(s.Name, "stdata"):
			add("blobs: models, imports, GB", 1+gb/2, "blob "+s.Text("sku.name"))
		case strings.HasPrefix(s.Name, "stbackup"):
			add("weekly copies of a year, GB", copied*52+gb/2, "blob "+s.Text("sku.name")) // what was imported once
		}
	}
	if count("Microsoft.DataFactory/factories") > 0 {
		add("weekly copies, DIU-hours", weeks*(CopyDIUHours+gb/20*4), "data factory")
	}
	if count("Microsoft.Security/pricings") > 0 {
		add("looked at for malware: imports, copies, GB", gb/2+weeks*copied, "defender for storage, malware")
	}
	logs := calls * KBLogsPerCall / 1e6
	if count("Microsoft.Network/azureFirewalls") > 0 {
		logs += RestLogsGB * regions
	} else {
		logs += 0.5
	}
	add("logs, GB", logs, "logs")
	for _, w := range e.Of("Microsoft.OperationalInsights/workspaces") {
		kept, _ := w.Get("properties.retentionInDays").(float64)
		if count("Microsoft.SecurityInsights/onboardingStates") > 0 {
			add("Sentinel, GB", logs, "sentinel")
		} else {
			add("logs kept, GB", logs*max(0, kept-FreeLogDays)/daysOfMonth, "logs, kept beyond 31 days")
		}
	}
	longest := 0.0 // days in the archive
	for _, t := range e.Of("Microsoft.OperationalInsights/workspaces/tables") {
		all, _ := t.Get("properties.totalRetentionInDays").(float64)
		online, _ := t.Get("properties.retentionInDays").(float64)
		longest = max(longest, all-online)
	}
	add("logs in the archive, GB", logs*longest/daysOfMonth, "logs, archive")
	if count("Microsoft.OperationalInsights/workspaces/dataExports") > 0 {
		add("audit log, exported, GB", logs*ExportedShare, "logs, export")
		for _, s := range e.Of("Microsoft.Storage/storageAccounts") {
			if strings.HasPrefix(s.Name, "staudit") {
				add("audit log of a year, GB", logs*ExportedShare*12, "blob "+s.Text("sku.name"))
			}
		}
	}
	return lines, missing
}

// zoned is how many instances of each function group a plan in zones keeps ready, whatever was asked for.
const zoned = 2

// role is which of the three apps a site is: func-polis-prod-weu-work-blue-token.
func role(site check.Resource) string { return strings.Split(site.Name, "-")[4] }

// night is when the clocks of the app whose workers run make chunk workers ready, in minutes of the day (UTC), and how many.
type night struct{ instances, up, down float64 }

// minutes is how long workers are ready, over midnight too.
func (n night) minutes() float64 { return math.Mod(n.down-n.up+24*60, 24*60) }

// hour is a minute of the day as a clock shows it.
func hour(minute float64) string { return fmt.Sprintf("%02d:%02d", int(minute)/60, int(minute)%60) }

// prescaled reads the night off the clocks.
func prescaled(e *check.Estate) night {
	var out night
	for _, w := range e.Of("Microsoft.Logic/workflows") {
		if !w.Is("properties.state", "Enabled") {
			continue
		}
		const clock = "properties.definition.triggers.clock.recurrence.schedule."
		h, _ := w.Get(clock + "hours.0").(float64)
		m, _ := w.Get(clock + "minutes.0").(float64)
		if !strings.HasPrefix(w.Name, "logic-up-") {
			out.down = 60*h + m
			continue
		}
		out.up = 60*h + m
		_, after, _ := strings.Cut(w.Text("properties.definition.actions.scale.inputs.body.properties.functionAppConfig"), `"instanceCount":`)
		digits, _, _ := strings.Cut(after, "}")
		if n, err := strconv.Atoi(digits); err == nil {
			out.instances = float64(n)
		}
	}
	return out
}

// groups is how many function groups of an app scale by themselves.
func groups(role string) float64 {
	switch role {
	case "api":
		return 1 // all HTTP functions together
	case "work":
		return 8 // each queue's
	default:
		return 6 // each timer's
	}
}

// Sum adds lines up.
func Sum(lines []Line) float64 {
	sum := 0.0
	for _, l := range lines {
		sum += l.Cost
	}
	return sum
}
