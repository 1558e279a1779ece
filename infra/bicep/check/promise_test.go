package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestPromises: what came with Polis promises what the issue asks of production, and options, which is nobody's, all
// there is to promise. An owner who gives something up says so in the file, and that production is his own.
func TestPromises(t *testing.T) {
	all, err := Promises()
	if err != nil {
		t.Fatal(err)
	}
	for _, environment := range environments {
		if _, ok := all[environment]; !ok {
			t.Errorf("nothing is promised of %s", environment)
		}
	}
	if !all["options"].Reference {
		t.Error("options is not as it came: no rule is shown to fail")
	}
	for _, environment := range []string{"prod", "options"} {
		p := all[environment]
		whole := p.Private && p.Edge && p.Zones && p.Standby && p.OwnKeys && p.Locked && p.Backups && p.Defender && p.GatewayTier == "PremiumV2"
		if p.Reference && (!whole || p.FirewallTier == "Basic") {
			t.Errorf("%s gives something up: then \"reference\" is false", environment)
		}
	}
}

// TestPromisesAreRead: what cannot be promised is refused by name, and findings name keys that there are.
func TestPromisesAreRead(t *testing.T) {
	const good = `{"prod": {"tag": "prod", "regions": ["westeurope"], "private": true, "edge": true, "gatewayTier": "StandardV2", ` +
		`"firewallTier": "Basic", "immutability": "Unlocked", "limits": {"perAddress": 1, "perCaller": 1}}}`
	if _, err := readPromises([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ was, is, says string }{
		{`"tag": "prod"`, `"tag": ""`, "tag"},
		{`["westeurope"]`, `["eastus"]`, "regions"},
		{`["westeurope"]`, `[]`, "regions"},
		{`"StandardV2"`, `"Developer"`, "gatewayTier"},
		{`"Basic"`, `""`, "firewallTier"},
		{`"Unlocked"`, `"no"`, "immutability"},
		{`"perCaller": 1`, `"perCaller": 0`, "limits"},
		{`"edge"`, `"edges"`, "edges"},
		{`{"prod"`, `["prod"`, promisesFile},
	} {
		if _, err := readPromises(bytes.Replace([]byte(good), []byte(c.was), []byte(c.is), 1)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, and not of %s", c.is, err, c.says)
		}
	}
	body, err := json.Marshal(Promise{})
	if err != nil {
		t.Fatal(err)
	}
	for when, c := range conditions {
		if !strings.Contains(string(body), fmt.Sprintf("%q:", c.key)) {
			t.Errorf("%s is decided by %s, which there is not", when, c.key)
		}
	}
}
