package check

import (
	"fmt"
	"slices"
	"strings"

	"polis/infra/estate"
)

// source is what a setting is taken from: a property of a resource of this estate.
type source struct{ kind, named, property string }

// sources are those of estate.json ("from"). An app reaches its host's account in its own region.
var sources = map[string]source{
	"hostBlobs":        {"Microsoft.Storage/storageAccounts", "sthost", ".primaryEndpoints.blob"},
	"blobs":            {"Microsoft.Storage/storageAccounts", "stdata", ".primaryEndpoints.blob"},
	"clientId":         {"Microsoft.ManagedIdentity/userAssignedIdentities", "", ".clientId"},
	"insightsIdentity": {"Microsoft.ManagedIdentity/userAssignedIdentities", "", ".clientId"},
	"bus":              {"Microsoft.ServiceBus/namespaces", "", ".serviceBusEndpoint"},
	"cosmos":           {"Microsoft.DocumentDB/databaseAccounts", "", ".documentEndpoint"},
	"insights":         {"Microsoft.Insights/components", "", ".ConnectionString"},
}

// comes reports whether a value is taken from where it should be: its own identity, and resources of this estate.
func comes(e *Estate, site Resource, from, value string) bool {
	users, _ := site.Get("identity.userAssignedIdentities").(map[string]any)
	switch from {
	case "tenantId":
		return strings.Contains(value, "tenant().tenantId")
	case "audience":
		// What tokens are for is the same at the edge, where there is one.
		named := e.Of("Microsoft.ApiManagement/service/namedValues")
		return value != "" && !slices.ContainsFunc(named, func(n Resource) bool {
			return strings.HasSuffix(n.Name, "/audience") && !n.Is("properties.value", value)
		})
	case "insightsIdentity":
		if !strings.Contains(value, "'ClientId={0};Authorization=AAD'") {
			return false
		}
	}
	s, known := sources[from]
	m := referred.FindAllStringSubmatch(value, -1)
	if !known || len(m) != 1 || !strings.Contains(value, s.property) {
		return false
	}
	r, there := e.At(m[0][1])
	_, own := users[r.ID]
	return there && r.Type == s.kind && strings.HasPrefix(r.Name, s.named) && (own || !strings.HasSuffix(s.kind, "Identities")) &&
		(from != "hostBlobs" || r.Location == site.Location)
}

func settings(e *Estate, needs *estate.Estate) []Finding {
	var out []Finding
	for _, s := range e.Of("Microsoft.Web/sites") {
		parts := strings.Split(s.Name, "-") // func-polis-prod-weu-api-blue-token
		role, colour := parts[4], parts[5]
		var got, want []string
		values := map[string]string{}
		for i := range s.List("properties.siteConfig.appSettings") {
			at := fmt.Sprintf("properties.siteConfig.appSettings.%d.", i)
			got = append(got, s.Text(at+"name"))
			values[s.Text(at+"name")] = s.Text(at + "value")
			if s.Get(at+"value") == nil {
				out = append(out, Finding{Resource: s.ID, Says: got[len(got)-1] + " has no value"})
			}
		}
		for _, n := range needs.Settings {
			if n.App != "" && n.App != role {
				continue
			}
			want = append(want, n.Name)
			const otherwise = " has another value than the estate says"
			switch {
			case n.From == "" && values[n.Name] != e.Promise.value(n):
				out = append(out, Finding{Resource: s.ID, Says: n.Name + otherwise + e.promised("settings")})
			case n.From != "" && !comes(e, s, n.From, values[n.Name]):
				out = append(out, Finding{Resource: s.ID, Says: n.Name + otherwise})
			}
		}
		out = append(out, same(s.ID, got, want)...)
		// Its package lies in its region, in a container of its own.
		value := s.Text("properties.functionAppConfig.deployment.storage.value")
		if !comes(e, s, "hostBlobs", value) || !strings.Contains(value, fmt.Sprintf("'%s', '%s'", role, colour)) {
			out = append(out, Finding{Resource: s.ID, Says: "takes its package from elsewhere"})
		}
		if plan, ok := e.At(s.Text("properties.serverFarmId")); !ok || plan.Name != strings.Replace(s.Name, "func-", "asp-", 1) {
			out = append(out, Finding{Resource: s.ID, Says: "has no plan of its own"})
		}
		for _, path := range []string{"properties.keyVaultReferenceIdentity", "properties.functionAppConfig.deployment.storage.authentication.userAssignedIdentityResourceId"} {
			users, _ := s.Get("identity.userAssignedIdentities").(map[string]any)
			if _, own := users[s.Text(path)]; !own {
				out = append(out, Finding{Resource: s.ID, Says: "acts as somebody else: " + path})
			}
		}
	}
	return out
}
