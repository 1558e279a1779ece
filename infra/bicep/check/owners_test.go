package check

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var cli = flag.String("owners", "", "the Bicep CLI, by an absolute path: hold what owners may make of production to the rules")

// sizes are all bigger than production's.
const sizes = `{
  memory: { api: 4096, work: 2048, clock: 512 }
  maximum: { api: 200, work: 200, clock: 40 }
  ready: { api: 3, work: 2, clock: 0 }
  nightly: 64
  throughput: 20000
  messagingUnits: 4
  gatewayUnits: 4
  logsPerDay: -1
}`

// owners are changes that an owner may make of production: of parameters, and of what is promised.
var owners = map[string]struct {
	Params  map[string]string
	Promise string // JSON, over production's
}{
	"schedule": {map[string]string{"settings": `{ RISK_SCHEDULE: '0 15 3 * * *' }`}, `{"settings": {"RISK_SCHEDULE": "0 15 3 * * *"}}`},
	"claim":    {map[string]string{"settings": `{ ENTRA__tenantClaim: 'tenant' }`}, `{"settings": {"ENTRA__tenantClaim": "tenant"}}`},
	"agents": {
		map[string]string{"agents": `{ organization: 'https://dev.azure.com/insurer', project: 'polis', principalId: '44444444-4444-4444-4444-444444444444' }`},
		`{"organization": "insurer"}`,
	},
	"runner": {
		map[string]string{
			"runner": `{ repository: 'insurer/polis', appId: '1', installationId: '1', image: 'registry.example.com/runner@sha256:` +
				`0000000000000000000000000000000000000000000000000000000000000000' }`,
			"runnerHosts": `['registry.example.com']`,
		},
		`{"hosts": ["registry.example.com"]}`,
	},
	"portal":            {map[string]string{"developerPortal": "true"}, `{"developerPortal": true}`},
	"locked":            {map[string]string{"immutability": "'Locked'"}, `{"immutability": "Locked"}`},
	"standard gateway":  {map[string]string{"gatewayTier": "'StandardV2'"}, `{"gatewayTier": "StandardV2"}`},
	"no zones":          {map[string]string{"zones": "false", "gatewayTier": "'StandardV2'"}, `{"zones": false, "gatewayTier": "StandardV2"}`},
	"basic firewall":    {map[string]string{"firewallTier": "'Basic'"}, `{"firewallTier": "Basic"}`},
	"premium firewall":  {map[string]string{"firewallTier": "'Premium'"}, `{"firewallTier": "Premium"}`},
	"one region":        {map[string]string{"standby": "false", "backups": "false"}, `{"standby": false, "backups": false}`},
	"no copies":         {map[string]string{"backups": "false"}, `{"backups": false}`},
	"other regions":     {map[string]string{"location": "'swedencentral'", "standbyLocation": "'francecentral'"}, `{"regions": ["swedencentral", "francecentral"]}`},
	"more calls":        {map[string]string{"limits": "{ perAddress: 12000, perCaller: 30000 }"}, `{"limits": {"perAddress": 12000, "perCaller": 30000}}`},
	"bigger":            {map[string]string{"sizes": sizes, "budget": "30000"}, `{}`},
	"unlocked, no eyes": {map[string]string{"locked": "false", "defender": "false"}, `{"locked": false, "defender": false}`},
}

// TestOwners: what pages tell an owner to write into prod.bicepparam keeps every rule, once what it promises is changed
// with it; and breaks one as long as it is not, where there is something to promise. Each takes the CLI ten seconds and
// more, so this is run by hand: go test ./infra/bicep/check -run TestOwners -owners CLI.
func TestOwners(t *testing.T) {
	if *cli == "" {
		t.Skip("needs -owners, the Bicep CLI: snapshots of 16 environments")
	}
	dir := t.TempDir()
	for _, from := range append([]string{"infra/bicep"}, fed...) {
		to := filepath.Join(dir, filepath.FromSlash(from))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cp", "-R", filepath.Join(root, filepath.FromSlash(from)), to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	params, err := os.ReadFile(filepath.Join(dir, "infra/bicep/environments/prod.bicepparam"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := Promises()
	if err != nil {
		t.Fatal(err)
	}
	references, err := Baseline()
	if err != nil {
		t.Fatal(err)
	}
	held := rules(t)
	for name, o := range owners {
		t.Run(name, func(t *testing.T) {
			own := string(params)
			for param, value := range o.Params {
				was := regexp.MustCompile(`(?ms)^param ` + param + ` = (\{\n.*?^\}|[^\n]*)\n`)
				own = was.ReplaceAllString(own, "") + "param " + param + " = " + value + "\n"
			}
			file := filepath.Join(dir, "infra/bicep/environments", strings.ReplaceAll(name, " ", "-")+".bicepparam")
			if err := os.WriteFile(file, []byte(own), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(*cli, "snapshot", file, "--mode", "overwrite", "--subscription-id", "00000000-0000-0000-0000-000000000000", "--location", "westeurope").CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			body, err := os.ReadFile(strings.TrimSuffix(file, ".bicepparam") + ".snapshot.json")
			if err != nil {
				t.Fatal(err)
			}
			promise := all["prod"]
			promise.Regions, promise.Settings = slices.Clone(promise.Regions), nil // JSON is read into what is there
			if err := json.Unmarshal([]byte(o.Promise), &promise); err != nil {
				t.Fatal(err)
			}
			if err := promise.check(); err != nil {
				t.Fatal(err)
			}
			findings := func(p Promise) []Finding {
				e, err := parseAs(body, "prod", p)
				if err != nil {
					t.Fatal(err)
				}
				found := Check(e, held)
				for _, f := range references {
					if f.Type != "" {
						found = append(found, f.Check(e)...)
					}
				}
				return found
			}
			for _, f := range findings(promise) {
				t.Error(f)
			}
			if o.Promise == "{}" {
				return
			}
			says := false
			for _, f := range findings(all["prod"]) {
				says = says || strings.Contains(f.Says, promisesFile)
			}
			if !says {
				t.Error("it is not promised, and no finding says where to promise it")
			}
		})
	}
}
