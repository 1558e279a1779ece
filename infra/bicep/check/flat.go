package check

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Flat is the estate as one ARM template without parameters, loops or modules, for checkers
// that read templates: what a parameter or module would hide from them is there.
func (e *Estate) Flat() ([]byte, error) {
	var resources []map[string]any
	for _, r := range e.Resources {
		flat := map[string]any{}
		for k, v := range r.raw {
			if k != "id" {
				flat[k] = v
			}
		}
		if i := strings.LastIndex(r.ID, "/providers/"); i > 0 && strings.Contains(r.ID[:i], "/providers/") {
			flat["scope"] = r.ID[:i] // of an extension: what it is on
		}
		resources = append(resources, flat)
	}
	body, err := json.MarshalIndent(map[string]any{
		"$schema":        "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
		"contentVersion": "1.0.0.0",
		"resources":      resources,
	}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("writing %s as a template: %w", e.Environment, err)
	}
	return append(body, '\n'), nil
}
