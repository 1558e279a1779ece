package check

import (
	"os"
	"strings"
	"testing"
)

// writeShapes makes shapes.txt of all environments together, and holds them to it from then on.
func writeShapes(t *testing.T) {
	t.Helper()
	var all []*Estate
	for _, environment := range environments {
		all = append(all, good(t, environment))
	}
	file := Shapes(all)
	if err := os.WriteFile("shapes.txt", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	known = readShapes(file)
}

// TestShapes: what is less, or another value or name, is an owner's right; what is new is told once, by where it begins.
func TestShapes(t *testing.T) {
	for _, c := range []struct {
		what, kind, path string
		value            any
		says             []string // a part of each finding
	}{
		{"less", "Microsoft.Network/virtualNetworks", "properties.subnets", []any{}, nil},
		{"nothing", "Microsoft.Network/virtualNetworks", "properties.virtualNetworkPeerings", nil, nil},
		{"another value", "Microsoft.Network/virtualNetworks", "location", "francecentral", nil},
		{"a tag", "Microsoft.Network/virtualNetworks", "tags.team", "claims", nil},
		{"an identity", "Microsoft.ApiManagement/service", "identity.userAssignedIdentities./subscriptions/s/id-other", map[string]any{}, nil},
		{"one more of a list", "Microsoft.ServiceBus/namespaces/queues", "properties", map[string]any{"lockDuration": "PT5M"}, nil},
		{"a property", "Microsoft.Network/virtualNetworks", "properties.encryption.enabled", true, []string{"sets properties.encryption, which"}},
		{"in a list", "Microsoft.Network/virtualNetworks", "properties.subnets", []any{map[string]any{"name": "a", "zone": "1"}, map[string]any{"zone": "2"}}, []string{"sets properties.subnets.*.zone,"}},
		{"an empty list", "Microsoft.Network/virtualNetworks", "properties.ipAllocations", []any{}, []string{"sets properties.ipAllocations,"}},
		{"an object where a value was", "Microsoft.Network/virtualNetworks", "location", map[string]any{"name": "x"}, []string{"sets location.name,"}},
		{"another API's name of a type", "Microsoft.Network/virtualNetworks", "type", "Microsoft.Network/virtualHubs", []string{"is a Microsoft.Network/virtualHubs,"}},
	} {
		raw := another(good(t, "options").Of(c.kind)[0].raw)
		e := &Estate{Resources: []Resource{resource(with(raw, strings.Split(c.path, "."), c.value).(map[string]any))}}
		found := shapes(e)
		if len(found) != len(c.says) {
			t.Errorf("%s: %v", c.what, found)
			continue
		}
		for i, f := range found {
			if !strings.Contains(f.Says, c.says[i]) {
				t.Errorf("%s: %q, and not %q", c.what, f.Says, c.says[i])
			}
		}
	}
}
