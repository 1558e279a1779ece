package check

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// API is what the code serves and asks of callers, read from its specification and sources:
// what API Management lets through must be the same.
type API struct {
	Operations []string // ids, as API Management names them
	Open       []string // those without security
	Roles      []string // app roles that the code knows
	Spec       string   // openapi.yaml
}

var (
	operationID  = regexp.MustCompile(`^      operationId: (\w+)$`)
	withoutToken = regexp.MustCompile(`^      security: \[\]$`)
	roleOfCaller = regexp.MustCompile(`(?m)^\t\w+\s+Role\s+= "([a-z.]+)"`)
	openInPolicy = regexp.MustCompile(`new \[\] \{ ([^}]*) \}\.Contains\(context\.Operation\.Id\)`)
	roleInPolicy = regexp.MustCompile(`<value>([a-z.]+)</value>`)
	inQuotes     = regexp.MustCompile(`(?:&quot;|")([^"&]+)(?:&quot;|")`)
	operationIn  = regexp.MustCompile(`OperationId (?:in|==|=~|in~) *(\([^)]*\)|'[^']*')`)
)

// readAPI reads the specification and the roles. API Management converts an operation's id to
// lower case when it imports it, and what asks for one by another spelling never meets it.
func readAPI(root string) (API, error) {
	var a API
	spec, err := os.ReadFile(filepath.Join(root, "handler", "internal", "httpapi", "openapi.yaml"))
	if err != nil {
		return a, fmt.Errorf("reading the specification: %w", err)
	}
	a.Spec = string(spec)
	for _, line := range strings.Split(a.Spec, "\n") {
		if m := operationID.FindStringSubmatch(line); m != nil {
			a.Operations = append(a.Operations, strings.ToLower(m[1]))
		}
		if withoutToken.MatchString(line) && len(a.Operations) > 0 {
			a.Open = append(a.Open, a.Operations[len(a.Operations)-1])
		}
	}
	callers, err := os.ReadFile(filepath.Join(root, "handler", "internal", "caller", "caller.go"))
	if err != nil {
		return a, fmt.Errorf("reading the roles of callers: %w", err)
	}
	for _, m := range roleOfCaller.FindAllStringSubmatch(string(callers), -1) {
		a.Roles = append(a.Roles, m[1])
	}
	if len(a.Open) == 0 || len(a.Roles) == 0 {
		return a, fmt.Errorf("the specification or the roles of callers are in a form that is not known")
	}
	return a, nil
}

// policyTypes hold policies of API Management.
var policyTypes = []string{
	"Microsoft.ApiManagement/service/policies", "Microsoft.ApiManagement/service/apis/policies",
	"Microsoft.ApiManagement/service/products/policies",
}

// notInV2 are policies that version 2 tiers of API Management refuse.
var notInV2 = []string{"<quota-by-key"}

// gateway holds API Management to the specification: who needs no token is who needs none in the
// code, what callers may be is what they may be there, and nothing is asked that the tier has not.
func gateway(e *Estate, api API) []Finding {
	if !e.Promise.Edge {
		return nil
	}
	var out []Finding
	for _, kind := range policyTypes {
		for _, p := range e.Of(kind) {
			for _, no := range notInV2 {
				if strings.Contains(p.Text("properties.value"), no) {
					out = append(out, Finding{Resource: p.ID, Says: "has " + no + ">, which version 2 tiers have not"})
				}
			}
		}
	}
	services := e.Of("Microsoft.ApiManagement/service")
	found := 0
	for _, p := range e.Of("Microsoft.ApiManagement/service/apis/policies") {
		if !strings.HasSuffix(p.Name, "/polis/policy") {
			continue
		}
		found++
		xml := p.Text("properties.value")
		var open, roles []string
		if m := openInPolicy.FindStringSubmatch(xml); m != nil {
			for _, q := range inQuotes.FindAllStringSubmatch(m[1], -1) {
				open = append(open, q[1])
			}
		}
		_, claim, _ := strings.Cut(xml, `<claim name="roles"`)
		claim, _, _ = strings.Cut(claim, "</claim>")
		for _, m := range roleInPolicy.FindAllStringSubmatch(claim, -1) {
			roles = append(roles, m[1])
		}
		out = append(out, same("open operations of "+p.ID, open, slices.Clone(api.Open))...)
		out = append(out, same("roles of "+p.ID, roles, slices.Clone(api.Roles))...)
		if !strings.Contains(xml, "context.Subscription == null") {
			out = append(out, Finding{Resource: p.ID, Says: "lets in who has no subscription, and so no product"})
		}
		// A key that the whole API wants is wanted of probes too, before any policy is looked at.
		a, ok := e.At(strings.TrimSuffix(p.ID, "/policies/policy"))
		if !ok || !a.Is("properties.subscriptionRequired", false) {
			out = append(out, Finding{Resource: p.ID, Says: "asks a key of probes, which have none"})
		}
		if a.Text("properties.value") != api.Spec {
			out = append(out, Finding{Resource: p.ID, Says: "serves something else than openapi.yaml"})
		}
	}
	if found == 0 || found != len(services) {
		out = append(out, Finding{Resource: "the estate", Says: fmt.Sprintf("has %d services and %d policies of the API", len(services), found)})
	}
	return out
}

// operations reports what a query asks of operations that API Management does not have.
func (a API) operations(query string) []string {
	var out []string
	for _, m := range operationIn.FindAllStringSubmatch(query, -1) {
		for _, q := range quoted.FindAllStringSubmatch(m[1], -1) {
			if !slices.Contains(a.Operations, q[1]) {
				out = append(out, q[1])
			}
		}
	}
	return out
}
