package cost

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"polis/infra/bicep/check"
)

const root = "../.."

var update = flag.Bool("update", false, "write the numbers of docs/estate-cost.md anew")

func prices(t *testing.T) *Table {
	t.Helper()
	p, err := Prices()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// estate reads an environment's snapshot; change, if there is one, makes another of it first.
func estate(t *testing.T, environment string, change func(resource map[string]any) (keep bool)) *check.Estate {
	t.Helper()
	path := filepath.Join(root, "infra", "bicep", "environments", environment+".snapshot.json")
	if change != nil {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var snapshot map[string]any
		if err := json.Unmarshal(body, &snapshot); err != nil {
			t.Fatal(err)
		}
		var kept []any
		for _, r := range snapshot["predictedResources"].([]any) {
			if change(r.(map[string]any)) {
				kept = append(kept, r)
			}
		}
		snapshot["predictedResources"] = kept
		if body, err = json.Marshal(snapshot); err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(t.TempDir(), environment+".json")
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, err := check.Read(path, environment)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// committed reports whether environments are as they came with Polis, and says which are not: their numbers are an
// owner's own.
func committed(t *testing.T, environments ...string) bool {
	t.Helper()
	all := true
	for _, environment := range environments {
		if !estate(t, environment, nil).Promise.Reference {
			t.Logf("passed over: %s is an owner's own (infra/bicep/environments/promises.json)", environment)
			all = false
		}
	}
	return all
}

func month(t *testing.T, e *check.Estate, customers float64) []Line {
	t.Helper()
	lines, err := Month(e, prices(t), customers)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func price(t *testing.T, meter string) float64 {
	t.Helper()
	for _, p := range prices(t).Prices {
		if p.Meter == meter {
			return p.Price
		}
	}
	t.Fatalf("no price for %s", meter)
	return 0
}

func properties(resource map[string]any) map[string]any {
	p, _ := resource["properties"].(map[string]any)
	return p
}

// oneRegion leaves what stands in the second region out, copies apart: they lie there in either case.
func oneRegion(second string, resource map[string]any) bool {
	if resource["location"] == second && !strings.Contains(resource["id"].(string), "-backup") {
		return false
	}
	switch resource["type"] {
	case "Microsoft.DocumentDB/databaseAccounts":
		properties(resource)["locations"] = properties(resource)["locations"].([]any)[:1]
	case "Microsoft.ServiceBus/namespaces":
		delete(properties(resource), "geoDataReplication")
	}
	return true
}

func noZones(resource map[string]any) bool {
	if resource["type"] == "Microsoft.Web/serverfarms" {
		properties(resource)["zoneRedundant"] = false
	}
	return true
}

// about rounds to two figures, as an estimate may be said.
func about(dollars float64) string {
	if dollars < 1 {
		return "about 0"
	}
	step := math.Pow(10, math.Floor(math.Log10(dollars))-1)
	n := fmt.Sprintf("%.0f", math.Round(dollars/step)*step)
	if len(n) > 3 {
		n = n[:len(n)-3] + "," + n[len(n)-3:]
	}
	return "about " + n
}

// parts are the page's numbers, by the name of their place in it.
func parts(t *testing.T) map[string]string {
	t.Helper()
	var table, lines, save, apps strings.Builder

	table.WriteString("| environment | at rest | 10,000 customers | 1,000,000 customers | budget, EUR |\n|---|---|---|---|---|\n")
	for _, environment := range []string{"dev", "staging", "prod"} {
		e := estate(t, environment, nil)
		fmt.Fprintf(&table, "| %s |", environment)
		for _, customers := range []float64{0, 10_000, 1_000_000} {
			fmt.Fprintf(&table, " %.0f |", Sum(month(t, e, customers)))
		}
		fmt.Fprintf(&table, " %v |\n", e.Of("Microsoft.Consumption/budgets")[0].Get("properties.amount"))
	}

	prod := estate(t, "prod", nil)
	rest, full := map[string]float64{}, month(t, prod, 1_000_000)
	for _, l := range month(t, prod, 0) {
		rest[l.What] += l.Cost
	}
	lines.WriteString("| production | at rest | 1,000,000 customers |\n|---|---|---|\n")
	for _, l := range full {
		fmt.Fprintf(&lines, "| %s | %.2f | %.2f |\n", l.What, rest[l.What], l.Cost)
	}

	whole := Sum(month(t, prod, 0))
	second := strings.Join(prod.Promise.Regions[1:], "") // which waits, where one does
	premium, standard := price(t, "api management PremiumV2"), price(t, "api management StandardV2")
	unzoned := whole - Sum(month(t, estate(t, "prod", noZones), 0))
	save.WriteString("| what | saves a month | what is lost |\n|---|---|---|\n")
	fmt.Fprintf(&save, "| `gatewayTier = 'StandardV2'`, 2 units | %s | zones of the gateway: with one zone lost Front Door goes to the second region, within a minute or two |\n", about(2*(premium-standard)))
	fmt.Fprintf(&save, "| `standby = false` | %s | the second region: recovery is from backups, in a day, not in 4 hours |\n", about(whole-Sum(month(t, estate(t, "prod", func(r map[string]any) bool { return oneRegion(second, r) }), 0))))
	fmt.Fprintf(&save, "| `firewallTier = 'Basic'` | %s a region | threat intelligence that denies; 250 Mbit/s |\n", about(price(t, "firewall Standard")-price(t, "firewall Basic")))
	fmt.Fprintf(&save, "| `zones = false` | %s, and %s more with Standard v2 at one unit | three zones |\n", about(unzoned), strings.TrimPrefix(about(2*premium-standard), "about "))

	ready := func(instances, gb float64) float64 {
		return instances * gb * secondsOfMonth * price(t, "flex always ready, baseline")
	}
	all := 0.0
	apps.WriteString("| app | groups | instance | always ready in zones | a month |\n|---|---|---|---|---|\n")
	for _, s := range prod.Of("Microsoft.Web/sites") {
		if plan, _ := prod.At(s.Text("properties.serverFarmId")); !plan.Is("properties.zoneRedundant", true) {
			continue
		}
		mb, _ := s.Get("properties.functionAppConfig.scaleAndConcurrency.instanceMemoryMB").(float64)
		n := groups(role(s))
		all += n
		fmt.Fprintf(&apps, "| %s | %.0f | %.0f MB | %.0f | %.0f |\n", role(s), n, mb, zoned*n, ready(zoned*n, mb/1024))
	}
	fmt.Fprintf(&apps, "\nAs one app of 2,048 MB the same would cost %.0f.\n", ready(zoned*all, 2))
	if made := prescaled(prod); made.instances > 0 {
		fmt.Fprintf(&apps, "Scheduled pre-scaling makes %.0f chunk workers ready at %s UTC and lets them go at %s, %.0f minutes later.\n", made.instances, hour(made.up), hour(made.down), made.minutes())
	}
	return map[string]string{"table": table.String(), "lines": lines.String(), "save": save.String(), "apps": apps.String()}
}

var place = regexp.MustCompile(`(?s)(<!-- cost: (\w+) -->\n).*?(<!-- end -->)`)

// TestPage: the page's numbers are what the snapshots and the prices come to. Whose environments are his own has them
// with -update, as far as the table has prices for what is in them.
func TestPage(t *testing.T) {
	if !committed(t, "dev", "staging", "prod") && !*update {
		return
	}
	path := filepath.Join(root, "docs", "estate-cost.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, seen := parts(t), map[string]bool{}
	made := place.ReplaceAllFunc(page, func(was []byte) []byte {
		m := place.FindSubmatch(was)
		seen[string(m[2])] = true
		return []byte(string(m[1]) + want[string(m[2])] + string(m[3]))
	})
	for name := range want {
		if !seen[name] {
			t.Errorf("docs/estate-cost.md has no place for %s", name)
		}
	}
	if *update {
		if err := os.WriteFile(path, made, 0o600); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(made, page) {
		t.Errorf("docs/estate-cost.md has other numbers; go test ./infra/cost -update writes\n%s", made)
	}
}

// TestPrices: each price says where it was seen, or that it was not; and each is of something that an environment has,
// or would have without a second region.
func TestPrices(t *testing.T) {
	used := map[string]bool{"blob Standard_ZRS": true}
	environments := []string{"dev", "staging", "prod"}
	all := committed(t, environments...)
	if !all {
		environments = nil // what is used is an owner's to say
	}
	for _, environment := range environments {
		for _, l := range month(t, estate(t, environment, nil), 1_000_000) {
			used[l.Meter] = true
		}
	}
	for _, p := range prices(t).Prices {
		switch p.Status {
		case "seen", "known":
			if p.Where == "" {
				t.Errorf("%s is %s, and does not say where", p.Meter, p.Status)
			}
		case "remembered":
		default:
			t.Errorf("%s: status %q", p.Meter, p.Status)
		}
		if all && !used[p.Meter] {
			t.Errorf("nothing is counted by %s", p.Meter)
		}
	}
}

// TestNight: how long workers are ready is counted over midnight too.
func TestNight(t *testing.T) {
	for _, c := range []struct {
		made    night
		minutes float64
		from    string
	}{
		{night{up: 100, down: 240}, 140, "01:40"},
		{night{up: 1420, down: 60}, 80, "23:40"},
		{night{}, 0, "00:00"},
	} {
		if c.made.minutes() != c.minutes || hour(c.made.up) != c.from {
			t.Errorf("%v: %.0f minutes from %s, and not %.0f from %s", c.made, c.made.minutes(), hour(c.made.up), c.minutes, c.from)
		}
	}
	if made := prescaled(estate(t, "prod", nil)); made.instances == 0 || made.minutes() == 0 {
		t.Errorf("production has clocks, and not %v", made)
	}
	if made := prescaled(estate(t, "dev", nil)); made != (night{}) {
		t.Errorf("dev has none, and not %v", made)
	}
}

// TestBudgets: a budget is more than what the environment costs at rest, by nearly a tenth at least, and not by a multiple:
// one that nobody reaches tells nobody anything. How much more is an owner's own to say.
func TestBudgets(t *testing.T) {
	for environment, most := range map[string]float64{"dev": 3, "staging": 2, "prod": 2} {
		own := !committed(t, environment)
		if own {
			most = math.Inf(1)
		}
		e := estate(t, environment, nil)
		lines, err := Month(e, prices(t), 0)
		if err != nil && own {
			t.Logf("%s: its budget cannot be judged: %v", environment, err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		budget, _ := e.Of("Microsoft.Consumption/budgets")[0].Get("properties.amount").(float64)
		if rest := Sum(lines); budget < 1.09*rest || budget > most*rest {
			t.Errorf("%s: a budget of %.0f for %.0f at rest, which with a tenth more is the least", environment, budget, rest)
		}
	}
}

// TestFunctionGroups: the groups that are counted are those of functions/.
func TestFunctionGroups(t *testing.T) {
	functions, err := check.Functions(filepath.Join(root, "functions"))
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]float64{}
	for _, f := range functions {
		n[f.Trigger]++
	}
	if groups("work") != n["serviceBusTrigger"] || groups("clock") != n["timerTrigger"] {
		t.Errorf("functions/ has %v groups", n)
	}
}

// TestDevRests: development costs next to nothing while nobody calls it.
func TestDevRests(t *testing.T) {
	if !committed(t, "dev") {
		return
	}
	lines := month(t, estate(t, "dev", nil), 0)
	if sum := Sum(lines); sum > 30 {
		t.Errorf("development costs %.0f a month at rest: %v", sum, lines)
	}
}
