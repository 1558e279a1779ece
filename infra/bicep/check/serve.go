package check

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func colours(e *Estate) []Finding {
	var out []Finding
	running := map[string][]string{} // workers that run, by role
	for _, s := range e.Of("Microsoft.Web/sites") {
		parts := strings.Split(s.Name, "-") // func-polis-prod-weu-api-blue-token
		role, colour := parts[4], parts[5]
		if role == "api" && !s.Is("properties.enabled", true) {
			out = append(out, Finding{Resource: s.ID, Says: "does not answer: nobody could try it"})
		}
		if role != "api" && s.Is("properties.enabled", true) {
			running[role] = append(running[role], parts[3]+" "+colour)
		}
	}
	for _, role := range []string{"work", "clock"} {
		if len(running[role]) != 1 {
			out = append(out, Finding{Resource: "the apps", Says: fmt.Sprintf("%s runs in %v, not in one", role, running[role])})
		}
	}
	for _, b := range e.Of("Microsoft.ApiManagement/service/backends") {
		out = append(out, leads(e, b)...)
	}
	return out
}

// leads holds a backend to lead to an app of its region and colour, and the pool to the colour that works: the other
// is in it only while it is tried, with the lesser weight.
func leads(e *Estate, b Resource) []Finding {
	service, _ := e.At(b.ID[:strings.LastIndex(b.ID, "/backends/")])
	if colour, ok := strings.CutPrefix(last(b.Name), "api-"); ok {
		m := referred.FindStringSubmatch(b.Text("properties.url"))
		if m == nil {
			return []Finding{{Resource: b.ID, Says: "leads to no app"}}
		}
		site, there := e.At(m[1])
		if !there || site.Location != service.Location || !strings.Contains(site.Name, "-api-"+colour+"-") {
			return []Finding{{Resource: b.ID, Says: "leads to an app that is not its own: " + last(m[1])}}
		}
		return nil
	}
	weights := map[string]float64{} // by colour
	total := 0.0
	for i := range b.List("properties.pool.services") {
		at := fmt.Sprintf("properties.pool.services.%d.", i)
		member, there := e.At(b.Text(at + "id"))
		if !there || !strings.HasPrefix(member.ID, service.ID+"/") || !b.Is(at+"priority", 1) {
			return []Finding{{Resource: b.ID, Says: "leads elsewhere: " + b.Text(at+"id")}}
		}
		weight, _ := b.Get(at + "weight").(float64)
		weights[strings.TrimPrefix(last(member.Name), "api-")] += weight
		total += weight
	}
	_, colour := e.serving()
	switch {
	case total == 0 || !b.Is("properties.type", "Pool"):
		return []Finding{{Resource: b.ID, Says: "has nobody in it"}}
	case weights[colour] < total/2:
		return []Finding{{Resource: b.ID, Says: "leads to the colour that does not work"}}
	}
	return nil
}

func waf(e *Estate) []Finding {
	if !e.Promise.Edge {
		return nil
	}
	policies := e.Of("Microsoft.Network/FrontDoorWebApplicationFirewallPolicies")
	if len(policies) != 1 {
		return []Finding{{Resource: "the estate", Says: fmt.Sprintf("has %d firewall policies at the edge", len(policies))}}
	}
	var out []Finding
	w := policies[0]
	protected := map[string]bool{} // by id: endpoints and domains
	for _, p := range e.Of("Microsoft.Cdn/profiles/securityPolicies") {
		if !p.Is("properties.parameters.wafPolicy.id", w.ID) {
			continue
		}
		for _, d := range p.All("properties.parameters.associations.*.domains.*.id") {
			protected[text(d)] = true
		}
	}
	groups := map[string]bool{} // those that a route leads to
	for _, r := range e.Of("Microsoft.Cdn/profiles/afdEndpoints/routes") {
		groups[r.Text("properties.originGroup.id")] = true
		if len(e.Of("Microsoft.Cdn/profiles/customDomains")) > 0 && !r.Is("properties.linkToDefaultDomain", "Disabled") {
			out = append(out, Finding{Resource: r.ID, Says: "is reached by another name than the domain"})
		}
	}
	for _, d := range append(e.Of("Microsoft.Cdn/profiles/afdEndpoints"), e.Of("Microsoft.Cdn/profiles/customDomains")...) {
		if !protected[d.ID] {
			out = append(out, Finding{Resource: d.ID, Says: "is not protected"})
		}
	}
	services := map[string]int{}
	for _, o := range e.Of("Microsoft.Cdn/profiles/originGroups/origins") {
		service, there := e.At(o.Text("properties.sharedPrivateLinkResource.privateLink.id"))
		if !there || service.Type != "Microsoft.ApiManagement/service" {
			out = append(out, Finding{Resource: o.ID, Says: "is reached over the internet"})
			continue
		}
		services[service.ID]++
		if !strings.Contains(o.Text("properties.hostName"), "'"+service.ID+"'") || o.Text("properties.originHostHeader") != o.Text("properties.hostName") {
			out = append(out, Finding{Resource: o.ID, Says: "is asked by another name than its own"})
		}
		if !o.Is("properties.sharedPrivateLinkResource.privateLinkLocation", service.Location) {
			out = append(out, Finding{Resource: o.ID, Says: "is looked for in another region"})
		}
		if !groups[o.ID[:strings.LastIndex(o.ID, "/origins/")]] {
			out = append(out, Finding{Resource: o.ID, Says: "is in a group that no route leads to"})
		}
	}
	if len(services) != len(e.Of("Microsoft.ApiManagement/service")) {
		out = append(out, Finding{Resource: "the edge", Says: "does not lead to every gateway"})
	}
	return out
}

// readConcurrency reads how many requests host.json lets through at once; beyond that the host answers 429.
func readConcurrency(root string) (float64, error) {
	body, err := os.ReadFile(filepath.Join(root, "host.json"))
	if err != nil {
		return 0, fmt.Errorf("reading the host's configuration: %w", err)
	}
	var host struct {
		Extensions struct {
			HTTP struct{ MaxConcurrentRequests float64 }
		}
	}
	if err := json.Unmarshal(body, &host); err != nil {
		return 0, fmt.Errorf("reading the host's configuration: %w", err)
	}
	return host.Extensions.HTTP.MaxConcurrentRequests, nil
}

// scale holds apps to have instances ready of functions that are there, two of each group where they are to survive a
// zone, and clocks to make more of them ready before the night's first run and to let them go after its last.
func scale(e *Estate, p Project) []Finding {
	var out []Finding
	region, colour := e.serving()
	for _, s := range e.Of("Microsoft.Web/sites") {
		parts := strings.Split(s.Name, "-") // func-polis-prod-weu-api-blue-token
		const at = "properties.functionAppConfig.scaleAndConcurrency."
		if !s.Is(at+"triggers.http.perInstanceConcurrency", p.Concurrency) {
			out = append(out, Finding{Resource: s.ID, Says: "takes another number of requests at once than its host"})
		}
		ready := 0.0
		for i := range s.List(at + "alwaysReady") {
			name := s.Text(fmt.Sprintf("%salwaysReady.%d.name", at, i))
			n, _ := s.Get(fmt.Sprintf("%salwaysReady.%d.instanceCount", at, i)).(float64)
			function, byName := strings.CutPrefix(name, "function:")
			known := slices.ContainsFunc(p.Functions, func(f Function) bool { return f.Name == function })
			if (byName && known) != (parts[4] == "work") || !byName && name != "http" {
				out = append(out, Finding{Resource: s.ID, Says: "keeps ready what is not there: " + name})
			}
			ready += n
		}
		serves := parts[3] == region && parts[5] == colour && parts[4] != "clock"
		if e.Promise.Zones && serves && ready < 2 {
			out = append(out, Finding{Resource: s.ID, Says: "has nobody ready in a second zone" + e.promised("zones")})
		}
	}
	if !e.Promise.Edge {
		return out
	}
	first, end := math.Inf(1), 0.0 // the night's runs, in minutes of the day
	for _, n := range p.Needs.Settings {
		value := e.Promise.value(n)
		if f := strings.Fields(value); strings.HasSuffix(n.Name, "_SCHEDULE") && len(f) == 6 && f[3] == "*" {
			m, err1 := strconv.Atoi(f[1])
			h, err2 := strconv.Atoi(f[2])
			if err1 != nil || err2 != nil {
				return append(out, Finding{Resource: n.Name, Says: "is no time of a day: " + value})
			}
			first, end = min(first, float64(60*h+m)), max(end, float64(60*h+m))
		}
	}
	for _, c := range []string{"blue", "green"} {
		for _, way := range []string{"up", "down"} {
			out = append(out, nightly(e, way, region, c, c == colour, first, end)...)
		}
	}
	return out
}

// nightly holds one clock of a colour to go off in the hour before the first run, or in the three hours after the last.
func nightly(e *Estate, way, region, colour string, runs bool, first, end float64) []Finding {
	name := fmt.Sprintf("logic-%s-polis-%s-%s-%s-", way, e.Promise.Tag, region, colour)
	all := e.Of("Microsoft.Logic/workflows")
	i := slices.IndexFunc(all, func(w Resource) bool { return strings.HasPrefix(w.Name, name) })
	if i < 0 {
		return []Finding{{Resource: "the estate", Says: "has no " + name}}
	}
	w := all[i]
	var out []Finding
	if state := map[bool]string{true: "Enabled", false: "Disabled"}[runs]; !w.Is("properties.state", state) {
		out = append(out, Finding{Resource: w.ID, Says: "is not " + state})
	}
	const clock = "properties.definition.triggers.clock."
	hour, _ := w.Get(clock + "recurrence.schedule.hours.0").(float64)
	minute, _ := w.Get(clock + "recurrence.schedule.minutes.0").(float64)
	at, from, to := 60*hour+minute, first-60, first-5
	if way == "down" {
		from, to = end+60, end+180
	}
	daily := w.Is(clock+"type", "Recurrence") && w.Is(clock+"recurrence.frequency", "Day") && w.Is(clock+"recurrence.interval", 1) && w.Is(clock+"recurrence.timeZone", "UTC")
	if !daily || at < from || at > to || len(w.List(clock+"recurrence.schedule.hours")) != 1 {
		out = append(out, Finding{Resource: w.ID, Says: fmt.Sprintf("goes off at %.0f:%02.0f, and the night's runs begin between %.0f and %.0f minutes after midnight", hour, minute, first, end)})
	}
	const scale = "properties.definition.actions.scale.inputs."
	if !w.Is(scale+"method", "PATCH") || !strings.Contains(w.Text(scale+"uri"), fmt.Sprintf("-%s-work-%s-", region, colour)) {
		out = append(out, Finding{Resource: w.ID, Says: "makes another app ready than the workers"})
	}
	body := w.Text(scale + "body.properties.functionAppConfig")
	many := 0
	if _, n, ok := strings.Cut(body, `"name":"function:RunChunks","instanceCount":`); ok {
		n, _, _ = strings.Cut(n, "}")
		many, _ = strconv.Atoi(n)
	}
	// Down leaves as many as the app has by itself; up makes more.
	kept := 0.0
	for _, s := range e.Of("Microsoft.Web/sites") {
		if strings.Contains(s.Name, fmt.Sprintf("-%s-work-%s-", region, colour)) {
			kept, _ = s.Get("properties.functionAppConfig.scaleAndConcurrency.alwaysReady.0.instanceCount").(float64)
		}
	}
	if way == "up" && float64(many) <= kept || way == "down" && runs && float64(many) != kept {
		out = append(out, Finding{Resource: w.ID, Says: fmt.Sprintf("makes %d ready, where %.0f are", many, kept)})
	}
	return out
}
