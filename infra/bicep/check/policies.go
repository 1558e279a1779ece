package check

import (
	"slices"
	"strings"
)

// policy is one of Azure's own definitions: what Microsoft calls it, and the effects that it takes;
// none where it takes no such parameter.
type policy struct {
	id, name string
	effects  []string
}

var denies = []string{"Audit", "Deny", "Disabled"}

// policyOf says which definition an assignment is of, by the end of the assignment's name. An id says
// nothing to who reads it, and Azure assigns whatever it finds by it.
var policyOf = map[string]policy{
	"locations":       {"e56962a6-4747-49cd-b67b-bf8b01975c4c", "Allowed locations", nil},
	"group-locations": {"e765b5de-1225-4ba3-bd56-1ac6695af988", "Allowed locations for resource groups", nil},
	"storage-public":  {"b2982f36-99f2-4db5-8eff-283140c09693", "Storage accounts should disable public network access", denies},
	"storage-keys":    {"8c6a50c6-9ffd-4ae7-986f-5fa6111f9a54", "Storage accounts should prevent shared key access", denies},
	"storage-tls":     {"fe83a0eb-a853-422d-aac2-1bffd182c5d0", "Storage accounts should have the specified minimum TLS version", denies},
	"cosmos-public":   {"797b37f7-06b8-444c-b1ad-fc62867f335a", "Azure Cosmos DB should disable public network access", denies},
	"cosmos-keys":     {"5450f5bd-9c72-4390-a9c4-a7aba4edfdd2", "Cosmos DB database accounts should have local authentication methods disabled", denies},
	"bus-public":      {"cbd11fd3-3002-4907-b6c8-579f0e700e13", "Service Bus Namespaces should disable public network access", denies},
	"bus-keys":        {"cfb11c26-f069-4c14-8e36-56c394dae5af", "Azure Service Bus namespaces should have local authentication methods disabled", denies},
	"vault-public":    {"405c5871-3e91-4644-8a63-58e19d68ff5b", "Azure Key Vault should disable public network access", denies},
	"apps-public":     {"969ac98b-88a8-449f-883c-2e9adb123127", "Function apps should disable public network access", denies},
	"apps-tls":        {"f9d614c5-c173-4d56-95a7-b4437057d193", "Function apps should use the latest TLS version", []string{"AuditIfNotExists", "Disabled"}},
	"tag-":            {"96670d01-0a4d-4649-9c89-2d3abc0a5025", "Require a tag on resource groups", nil},
	"inherit-":        {"ea3f2387-9b95-492a-a190-fcdc54f7b070", "Inherit a tag from the resource group if missing", nil},
	"diagnostics":     {"0884adba-2312-4468-abeb-5422caed1038", "Enable allLogs category group resource logging for supported resources to Log Analytics", nil},
}

// policies holds each assignment to the definition that its name stands for, and wants all of them.
func policies(e *Estate) []Finding {
	var out []Finding
	found := map[string]bool{}
	for _, a := range e.Of("Microsoft.Authorization/policyAssignments") {
		parts := strings.SplitN(a.Name, "-", 3) // polis-prod-storage-keys
		kind := parts[len(parts)-1]
		for _, tag := range required {
			if strings.HasSuffix(kind, "-"+tag) {
				kind = strings.TrimSuffix(kind, tag)
			}
		}
		p, ok := policyOf[kind]
		found[kind] = true
		switch {
		case !ok:
			out = append(out, Finding{Resource: a.ID, Says: "is a policy that nobody has looked up"})
		case last(a.Text("properties.policyDefinitionId")) != p.id:
			out = append(out, Finding{Resource: a.ID, Says: "is another policy than " + p.name})
		case p.effects == nil && a.Text("properties.parameters.effect.value") == "":
		case !slices.ContainsFunc(p.effects, func(f string) bool {
			return strings.EqualFold(f, a.Text("properties.parameters.effect.value"))
		}):
			out = append(out, Finding{Resource: a.ID, Says: "has no such effect"})
		}
	}
	for kind, p := range policyOf {
		if !found[kind] {
			out = append(out, Finding{Resource: "the subscription", Says: "lacks the policy " + p.name})
		}
	}
	return out
}
