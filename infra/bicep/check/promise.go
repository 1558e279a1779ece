package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	files "polis/infra/bicep/environments"
	"polis/infra/estate"
)

// promisesFile is where promises are changed: below the project's root.
const promisesFile = "infra/bicep/environments/promises.json"

// Promise is what an environment is for: development may be public, small and in one zone; it is keyless, watched and
// in the EU like the others. Its keys are the names of the parameters that keep it, where there is one.
type Promise struct {
	// Reference says that the environment is as it came with Polis. Tests of our own numbers and names pass over one that
	// is not; every rule holds it all the same.
	Reference bool     `json:"reference"`
	Tag       string   `json:"tag"`     // what its resources say they are of
	Regions   []string `json:"regions"` // the only ones that anything lies in: which serves, and which waits or holds copies
	Private   bool     `json:"private"` // no public way in, and a list of what goes out
	Edge      bool     `json:"edge"`    // callers come by Front Door and API Management
	Zones     bool     `json:"zones"`   // three zones
	Standby   bool     `json:"standby"` // a second region
	OwnKeys   bool     `json:"ownKeys"` // encrypted with keys of our own
	Locked    bool     `json:"locked"`  // what holds data cannot be deleted by accident
	Backups   bool     `json:"backups"` // weekly copies
	Defender  bool     `json:"defender"`
	// GatewayTier is API Management's in the region that serves; where there is an edge.
	GatewayTier string `json:"gatewayTier"`
	// FirewallTier is the network's firewall's; where it is private.
	FirewallTier string `json:"firewallTier"`
	// Immutability is Locked once what is immutable is locked for good; until then Unlocked.
	Immutability    string `json:"immutability"`
	DeveloperPortal bool   `json:"developerPortal"` // which is on the internet
	// Limits are the most calls a minute that the edge may let through.
	Limits struct {
		PerAddress float64 `json:"perAddress"`
		PerCaller  float64 `json:"perCaller"`
	} `json:"limits"`
	// Settings are those that it has otherwise than the estate says.
	Settings map[string]string `json:"settings"`
	// Organization is Azure DevOps's, where it has agents.
	Organization string `json:"organization"`
	// Hosts are names that runner and agents may reach besides what they need to get their jobs.
	Hosts []string `json:"hosts"`
}

// Promises are those of all environments.
func Promises() (map[string]Promise, error) { return readPromises(files.Promises) }

func readPromises(body []byte) (map[string]Promise, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	var out map[string]Promise
	if err := d.Decode(&out); err != nil {
		return nil, fmt.Errorf("reading %s: %w", promisesFile, err)
	}
	for environment, p := range out {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("reading %s: %s: %w", promisesFile, environment, err)
		}
	}
	return out, nil
}

// check refuses what cannot be promised.
func (p Promise) check() error {
	switch {
	case p.Tag == "":
		return fmt.Errorf("tag is missing")
	case len(p.Regions) == 0 || len(p.Regions) > 2 || slices.ContainsFunc(p.Regions, func(r string) bool { return !slices.Contains(eu, r) }):
		return fmt.Errorf("regions are one or two of the EU: %v", eu)
	case p.Edge && p.GatewayTier != "StandardV2" && p.GatewayTier != "PremiumV2":
		return fmt.Errorf("gatewayTier is StandardV2 or PremiumV2")
	case p.Private && p.FirewallTier != "Basic" && p.FirewallTier != "Standard" && p.FirewallTier != "Premium":
		return fmt.Errorf("firewallTier is Basic, Standard or Premium")
	case p.Private && p.Immutability != "Unlocked" && p.Immutability != "Locked":
		return fmt.Errorf("immutability is Unlocked or Locked")
	case p.Edge && (p.Limits.PerAddress < 1 || p.Limits.PerCaller < 1):
		return fmt.Errorf("limits are perAddress and perCaller, at least 1")
	}
	return nil
}

// conditions are under which a row of values.json or an exception of the baseline holds, and the key of the
// promise that decides it.
var conditions = map[string]struct {
	key   string
	holds func(Promise) bool
}{
	"private":       {"private", func(p Promise) bool { return p.Private }},
	"public":        {"private", func(p Promise) bool { return !p.Private }},
	"portalless":    {"developerPortal", func(p Promise) bool { return p.Private && !p.DeveloperPortal }},
	"edge":          {"edge", func(p Promise) bool { return p.Edge }},
	"zones":         {"zones", func(p Promise) bool { return p.Zones }},
	"unzoned":       {"zones", func(p Promise) bool { return !p.Zones }},
	"zoned gateway": {"gatewayTier", func(p Promise) bool { return p.Zones && p.GatewayTier == "PremiumV2" }},
	"firewall":      {"firewallTier", func(p Promise) bool { return p.Private && p.FirewallTier != "Basic" }},
	"basic":         {"firewallTier", func(p Promise) bool { return p.Private && p.FirewallTier == "Basic" }},
	"standby":       {"standby", func(p Promise) bool { return p.Standby }},
	"backups":       {"backups", func(p Promise) bool { return p.Backups }},
	"defender":      {"defender", func(p Promise) bool { return p.Defender }},
	"lasting":       {"tag", func(p Promise) bool { return p.Tag == "prod" }},
	"keys":          {"ownKeys", func(p Promise) bool { return p.OwnKeys }},
}

// holds reports whether a condition does; "" always, one that is not known never.
func (p Promise) holds(when string) bool {
	c, known := conditions[when]
	return when == "" || known && c.holds(p)
}

// value is a setting's, where it is not taken from the estate: what this environment has, or all have.
func (p Promise) value(of estate.Setting) string {
	if own, otherwise := p.Settings[of.Name]; otherwise {
		return own
	}
	return of.Value
}

// tier is what is promised by a key, for values that are a promise's.
func (p Promise) tier(key string) string {
	return map[string]string{"gatewayTier": p.GatewayTier, "firewallTier": p.FirewallTier}[key]
}

// most is the limit of a key.
func (p Promise) most(key string) float64 {
	return map[string]float64{"perAddress": p.Limits.PerAddress, "perCaller": p.Limits.PerCaller}[key]
}

// promised ends what a finding says: who wants it otherwise changes this key.
func (e *Estate) promised(key string) string {
	return fmt.Sprintf(" (promised by %q of %s in %s)", key, e.Environment, promisesFile)
}
