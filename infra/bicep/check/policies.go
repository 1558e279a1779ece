package check

import (
	"slices"
	"strings"
)

// policy is one of Azure's own definitions: what Microsoft calls it, and the effect that it is to have where an estate is
// private and where it is not; none where it takes no such parameter.
type policy struct {
	id, name     string
	closed, open string
}

// policyOf says which definition an assignment is of, by the end of the assignment's name. An id says
// nothing to who reads it, and Azure assigns whatever it finds by it.
var policyOf = map[string]policy{
	"locations":       {"e56962a6-4747-49cd-b67b-bf8b01975c4c", "Allowed locations", "", ""},
	"group-locations": {"e765b5de-1225-4ba3-bd56-1ac6695af988", "Allowed locations for resource groups", "", ""},
	"storage-public":  {"b2982f36-99f2-4db5-8eff-283140c09693", "Storage accounts should disable public network access", "Deny", "Audit"},
	"storage-keys":    {"8c6a50c6-9ffd-4ae7-986f-5fa6111f9a54", "Storage accounts should prevent shared key access", "Deny", "Deny"},
	"storage-tls":     {"fe83a0eb-a853-422d-aac2-1bffd182c5d0", "Storage accounts should have the specified minimum TLS version", "Deny", "Deny"},
	"cosmos-public":   {"797b37f7-06b8-444c-b1ad-fc62867f335a", "Azure Cosmos DB should disable public network access", "Deny", "Audit"},
	"cosmos-keys":     {"5450f5bd-9c72-4390-a9c4-a7aba4edfdd2", "Cosmos DB database accounts should have local authentication methods disabled", "Deny", "Deny"},
	"bus-public":      {"cbd11fd3-3002-4907-b6c8-579f0e700e13", "Service Bus Namespaces should disable public network access", "Deny", "Audit"},
	"bus-keys":        {"cfb11c26-f069-4c14-8e36-56c394dae5af", "Azure Service Bus namespaces should have local authentication methods disabled", "Deny", "Deny"},
	"vault-public":    {"405c5871-3e91-4644-8a63-58e19d68ff5b", "Azure Key Vault should disable public network access", "Deny", "Audit"},
	"apps-public":     {"969ac98b-88a8-449f-883c-2e9adb123127", "Function apps should disable public network access", "Deny", "Audit"},
	"apps-tls":        {"f9d614c5-c173-4d56-95a7-b4437057d193", "Function apps should use the latest TLS version", "AuditIfNotExists", "AuditIfNotExists"},
	"tag-":            {"96670d01-0a4d-4649-9c89-2d3abc0a5025", "Require a tag on resource groups", "", ""},
	"inherit-":        {"ea3f2387-9b95-492a-a190-fcdc54f7b070", "Inherit a tag from the resource group if missing", "", ""},
	"diagnostics":     {"0884adba-2312-4468-abeb-5422caed1038", "Enable allLogs category group resource logging for supported resources to Log Analytics", "", ""},
}

// policies holds each assignment to the definition that its name stands for, to be enforced with the effect and values
// that are wanted, on everything; and wants all of them, those of tags for each tag.
func policies(e *Estate) []Finding {
	var out []Finding
	found := map[string]bool{}
	for _, a := range e.Of("Microsoft.Authorization/policyAssignments") {
		kind := strings.TrimPrefix(a.Name, "polis-"+e.Promise.Tag+"-")
		found[kind] = true
		tag := ""
		for _, t := range required {
			if of, ok := strings.CutSuffix(kind, "-"+t); ok {
				kind, tag = of+"-", t
			}
		}
		p, ok := policyOf[kind]
		if !ok {
			out = append(out, Finding{Resource: a.ID, Says: "is a policy that nobody has looked up"})
			continue
		}
		effect := map[bool]string{true: p.closed, false: p.open}[e.Promise.Private]
		workspace, _ := e.At(a.Text("properties.parameters.logAnalytics.value"))
		switch mode := a.Text("properties.enforcementMode"); {
		case last(a.Text("properties.policyDefinitionId")) != p.id:
			out = append(out, Finding{Resource: a.ID, Says: "is another policy than " + p.name})
		case a.Text("properties.parameters.effect.value") != effect:
			out = append(out, Finding{Resource: a.ID, Says: "has another effect than " + effect})
		case mode != "" && mode != "Default":
			out = append(out, Finding{Resource: a.ID, Says: "is not enforced"})
		case a.Text("properties.parameters.tagName.value") != tag:
			out = append(out, Finding{Resource: a.ID, Says: "asks for another tag than its name says"})
		case kind == "diagnostics" && workspace.Type != "Microsoft.OperationalInsights/workspaces":
			out = append(out, Finding{Resource: a.ID, Says: "sends logs elsewhere"})
		case kind == "storage-tls" && !a.Is("properties.parameters.minimumTlsVersion.value", "TLS1_2"):
			out = append(out, Finding{Resource: a.ID, Says: "asks for another TLS than 1.2"})
		case (kind == "diagnostics" || kind == "inherit-") && a.Text("identity.type") != "SystemAssigned":
			out = append(out, Finding{Resource: a.ID, Says: "has nobody to put things right as"})
		case kind != "diagnostics" && len(a.List("properties.notScopes")) > 0:
			out = append(out, Finding{Resource: a.ID, Says: "leaves something out"})
		}
		if strings.HasSuffix(kind, "locations") {
			list := a.List("properties.parameters.listOfAllowedLocations.value")
			for _, l := range list {
				if l != "global" && !slices.Contains(eu, text(l)) {
					out = append(out, Finding{Resource: a.ID, Says: "allows " + text(l)})
				}
			}
			if len(list) == 0 {
				out = append(out, Finding{Resource: a.ID, Says: "allows nothing, or everything"})
			}
		}
	}
	for _, x := range e.Of("Microsoft.Authorization/policyExemptions") {
		out = append(out, Finding{Resource: x.ID, Says: "leaves something out"})
	}
	for kind, p := range policyOf {
		tags := []string{""}
		if strings.HasSuffix(kind, "-") {
			tags = required
		}
		for _, t := range tags {
			if !found[kind+t] {
				out = append(out, Finding{Resource: "the subscription", Says: "lacks the policy " + strings.TrimSpace(p.name+" "+t)})
			}
		}
	}
	return out
}
