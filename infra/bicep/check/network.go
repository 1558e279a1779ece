package check

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// bare are subnets that Azure lets have no security group or route table.
var bare = map[string]bool{"AzureFirewallSubnet": true, "AzureFirewallManagementSubnet": true, "GatewaySubnet": true}

func network(e *Estate) []Finding {
	var out []Finding
	for _, v := range e.Of("Microsoft.Network/virtualNetworks") {
		names := map[string]bool{}
		for i := range v.List("properties.subnets") {
			at := fmt.Sprintf("properties.subnets.%d.", i)
			name := v.Text(at + "name")
			names[name] = true
			if !v.Is(at+"properties.defaultOutboundAccess", false) {
				out = append(out, Finding{Resource: v.ID, Says: name + " goes out by itself"})
			}
			if bare[name] {
				continue
			}
			if g, ok := e.At(v.Text(at + "properties.networkSecurityGroup.id")); !ok || !strings.HasPrefix(g.Name, strings.Replace(name, "snet-", "nsg-", 1)+"-") || g.Location != v.Location {
				out = append(out, Finding{Resource: v.ID, Says: name + " has no security group of its own"})
			}
			if t, ok := e.At(v.Text(at + "properties.routeTable.id")); !ok || t.Location != v.Location {
				out = append(out, Finding{Resource: v.ID, Says: name + " has no route table"})
			}
			if name == "snet-data" && !v.Is(at+"properties.privateEndpointNetworkPolicies", "Enabled") {
				out = append(out, Finding{Resource: v.ID, Says: "security groups do not hold for the endpoints"})
			}
		}
		for _, want := range []string{"snet-frontend", "snet-application", "snet-data", "snet-management", "AzureFirewallSubnet"} {
			if !names[want] {
				out = append(out, Finding{Resource: v.ID, Says: "has no " + want})
			}
		}
	}
	plans := e.Of("Microsoft.Network/ddosProtectionPlans")
	for _, v := range e.Of("Microsoft.Network/virtualNetworks") {
		if len(plans) > 0 && (!v.Is("properties.enableDdosProtection", true) || !v.Is("properties.ddosProtectionPlan.id", plans[0].ID)) {
			out = append(out, Finding{Resource: v.ID, Says: "is not in the plan against floods"})
		}
	}
	out = append(out, unnamed(e)...)
	own := addresses(e)
	for _, g := range e.Of("Microsoft.Network/networkSecurityGroups") {
		denies := map[string]bool{}
		for i := range g.List("properties.securityRules") {
			name := g.Text(fmt.Sprintf("properties.securityRules.%d.name", i))
			r := packet{g, fmt.Sprintf("properties.securityRules.%d.properties.", i)}
			everything := r.is("sourceAddressPrefix") && r.is("destinationAddressPrefix") && r.is("destinationPortRange") && r.is("sourcePortRange") && g.Is(r.at+"protocol", "*")
			if g.Is(r.at+"access", "Deny") && everything && g.Is(r.at+"priority", 4096) {
				denies[g.Text(r.at+"direction")] = true
			}
			if !g.Is(r.at+"access", "Allow") {
				if !everything || !g.Is(r.at+"priority", 4096) {
					out = append(out, Finding{Resource: g.ID, Says: name + " denies what comes before the rest: nothing is to be denied but all that is left"})
				}
				continue
			}
			for _, says := range r.tooWide(own) {
				out = append(out, Finding{Resource: g.ID, Says: name + " " + says})
			}
		}
		for _, d := range []string{"Inbound", "Outbound"} {
			if !denies[d] {
				out = append(out, Finding{Resource: g.ID, Says: "does not deny what is left, " + d})
			}
		}
	}
	return out
}

// unnamed finds networks where who comes by VPN does not find private names: he asks the firewall, which asks the private
// zones on his behalf. A Basic one does not answer for names.
func unnamed(e *Estate) []Finding {
	var out []Finding
	for _, p := range e.Of("Microsoft.Network/firewallPolicies") {
		by := func(r Resource) bool {
			return r.Location == p.Location && r.Get("properties.vpnClientConfiguration") != nil
		}
		if p.Is("properties.sku.tier", "Basic") || !slices.ContainsFunc(e.Of("Microsoft.Network/virtualNetworkGateways"), by) {
			continue
		}
		if !p.Is("properties.dnsSettings.enableProxy", true) {
			out = append(out, Finding{Resource: p.ID, Says: "does not answer for names, which who comes by VPN asks it for"})
		}
		firewall := ""
		for _, t := range e.Of("Microsoft.Network/routeTables") {
			if t.Location == p.Location {
				firewall = t.Text("properties.routes.0.properties.nextHopIpAddress")
			}
		}
		for _, v := range e.Of("Microsoft.Network/virtualNetworks") {
			if v.Location == p.Location && !fits(v.Get("properties.dhcpOptions.dnsServers"), whole{firewall}) {
				out = append(out, Finding{Resource: v.ID, Says: "does not ask the firewall for names, as who comes by VPN must"})
			}
		}
	}
	return out
}

// addresses are the estate's own: those of its networks, and of who comes by VPN.
func addresses(e *Estate) []netip.Prefix {
	var all []any
	for _, v := range e.Of("Microsoft.Network/virtualNetworks") {
		all = append(all, v.List("properties.addressSpace.addressPrefixes")...)
	}
	for _, v := range e.Of("Microsoft.Network/virtualNetworkGateways") {
		all = append(all, v.List("properties.vpnClientConfiguration.vpnClientAddressPool.addressPrefixes")...)
	}
	var out []netip.Prefix
	for _, a := range all {
		if p, err := netip.ParsePrefix(text(a)); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// within reports whether an address or range lies in one of others, and is a private one.
func within(what string, own []netip.Prefix) bool {
	p, err := netip.ParsePrefix(what)
	if err != nil {
		a, err := netip.ParseAddr(what)
		if err != nil {
			return false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	return p.Addr().IsPrivate() && slices.ContainsFunc(own, func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) })
}

// packet is a rule of a security group: what it lets through.
type packet struct {
	group Resource
	at    string
}

// is reports whether a property is everything.
func (p packet) is(name string) bool { return p.group.Is(p.at+name, "*") }

// both are what a property has, of which Azure takes one value by one name or several by another.
func (p packet) both(name, plural string) []string {
	var out []string
	if one := p.group.Text(p.at + name); one != "" {
		out = append(out, one)
	}
	for _, v := range p.group.List(p.at + plural) {
		out = append(out, text(v))
	}
	return out
}

// ports are what is spoken in the network: HTTPS, AMQP, names, and packages by the firewall, which knows them by name.
var ports = []string{"443", "5671", "53", "80"}

// tooWide says what a rule lets through that nobody needs. In comes what is of the estate itself, out goes what is for
// it or for the firewall ("Internet": the route leads there), by the ports that are spoken; all ports are open only
// within a subnet, where Container Apps want it, and to the platform's probes of it.
func (p packet) tooWide(own []netip.Prefix) []string {
	var out []string
	from, to := p.both("sourceAddressPrefix", "sourceAddressPrefixes"), p.both("destinationAddressPrefix", "destinationAddressPrefixes")
	inbound := !p.group.Is(p.at+"direction", "Outbound")
	probes := inbound && slices.Equal(from, []string{"AzureLoadBalancer"})
	for _, f := range from {
		if inbound && !probes && !within(f, own) {
			out = append(out, "lets everybody in: "+f)
		}
	}
	for _, t := range to {
		if !within(t, own) && (inbound || t != "Internet") {
			out = append(out, "lets everything out: "+t)
		}
	}
	on := p.both("destinationPortRange", "destinationPortRanges")
	inside := len(from) == 1 && slices.Equal(from, to)
	if !p.group.Is(p.at+"protocol", "Tcp") && !inside && !slices.Equal(on, []string{"53"}) {
		out = append(out, "speaks something else than TCP")
	}
	for _, port := range on {
		if !inside && !slices.Contains(ports, port) && !(probes && port == "30000-32767") {
			out = append(out, "opens ports that nobody needs: "+port)
		}
	}
	if len(from) == 0 || len(to) == 0 {
		out = append(out, "says in another way for whom it is")
	}
	return out
}

// ownEdge is the name of the estate's own endpoint at the edge, which Azure gives it.
var ownEdge = regexp.MustCompile(`/Microsoft\.Cdn/profiles/[^/']+/afdEndpoints/[^/']+'.*\.hostName`)

// ours reports whether a name is the edge's: Azure's for it, or the domain that it has.
func ours(e *Estate, name string) bool {
	for _, d := range e.Of("Microsoft.Cdn/profiles/customDomains") {
		if d.Text("properties.hostName") == name {
			return true
		}
	}
	return ownEdge.MatchString(name)
}

// containerApps are what Container Apps want behind a firewall, in all of Microsoft's scenarios.
var containerApps = []string{"MicrosoftContainerRegistry", "AzureFrontDoor.FirstParty", "packages.aks.azure.com", "acs-mirror.azureedge.net"}

// tags of Azure's own that what leaves may be for, of the firewall's rules by address. Those of storage and vaults are
// everybody's accounts in a region, so they are for the gateway alone, which Azure runs: no code of ours is in its subnet.
var (
	serviceTags = []string{"AzureActiveDirectory", "AzureMonitor", "AzureResourceManager", "MicrosoftContainerRegistry", "AzureFrontDoor.FirstParty"}
	regionTags  = []string{"Storage.", "AzureKeyVault."}
)

// hosts are the names that the firewall lets out to; "*" begins those that somebody else gives their names under.
// What an owner's runner and agents reach besides is promised by environment.
var hosts = []string{
	"cdn.functions.azure.com", "functionscdn.azureedge.net", // the host's extension bundle
	// The runner: GitHub's own list for one that it does not host.
	"github.com", "api.github.com", "codeload.github.com", "*.actions.githubusercontent.com", "ghcr.io", "pkg-containers.githubusercontent.com",
	"packages.aks.azure.com", "acs-mirror.azureedge.net", // Container Apps
	// The agents: Microsoft's list for Managed DevOps Pools.
	"*.prod.manageddevops.microsoft.com", "rmprodbuilds.azureedge.net", "[format('*.queue.{0}', environment().suffixes.storage)]",
	"download.agent.dev.azure.com", "dev.azure.com", "*.dev.azure.com", "packages.microsoft.com", "www.microsoft.com", "azure.archive.ubuntu.com", "security.ubuntu.com",
}

// onList reports whether a name is one that an estate may reach: of the list above, or its own.
func onList(p Promise, host string) bool {
	organization, ok := strings.CutSuffix(host, ".visualstudio.com")
	organization = strings.TrimSuffix(strings.TrimSuffix(organization, ".vsblob"), ".vssps")
	return slices.Contains(hosts, host) || slices.Contains(p.Hosts, host) || ok && organization != "" && organization == p.Organization
}

// results are the accounts that GitHub keeps logs and artefacts in, by name.
var results = regexp.MustCompile(`^\[format\('productionresultssa\{0\}\.blob\.\{1\}', [0-9]+, environment\(\)\.suffixes\.storage\)\]$`)

// ways are all that a rule of the firewall has here; by another it could let through what nobody looks at.
var ways = []string{"ruleType", "name", "description", "ipProtocols", "protocols", "sourceAddresses", "destinationAddresses", "destinationPorts", "targetFqdns"}

// letsOut says what a rule of the firewall lets through that is not on the list, and for whom.
func letsOut(e *Estate, g Resource, rule string, subnets map[string]string) []string {
	var out []string
	raw, _ := g.Get(rule).(map[string]any)
	for way := range raw {
		if !slices.Contains(ways, way) {
			out = append(out, "says in another way what it lets through: "+way)
		}
	}
	from := g.List(rule + ".sourceAddresses")
	byGateway := len(from) > 0
	for _, f := range from {
		if subnets[text(f)] == "" {
			out = append(out, "is for who is not ours: "+text(f))
		}
		byGateway = byGateway && subnets[text(f)] == "snet-frontend"
	}
	if len(from) == 0 {
		out = append(out, "is for everybody")
	}
	for _, to := range g.List(rule + ".destinationAddresses") {
		regional := slices.ContainsFunc(regionTags, func(t string) bool {
			in, ok := strings.CutPrefix(text(to), t)
			return ok && slices.Contains(e.Promise.Regions, in)
		})
		if !slices.Contains(serviceTags, text(to)) && !(regional && byGateway) {
			out = append(out, "lets everything out: "+text(to))
		}
	}
	for _, to := range g.List(rule + ".targetFqdns") {
		if host := text(to); !onList(e.Promise, host) && !results.MatchString(host) && !ours(e, host) {
			out = append(out, "lets everything out: "+host+e.promised("hosts"))
		}
	}
	for _, p := range g.List(rule + ".destinationPorts") {
		if p != "443" {
			out = append(out, "opens ports that nobody needs: "+text(p))
		}
	}
	for _, p := range g.List(rule + ".protocols") {
		m, _ := p.(map[string]any)
		if said := fmt.Sprint(m["protocolType"], m["port"]); said != "Https443" && said != "Http80" {
			out = append(out, "opens ports that nobody needs: "+said)
		}
	}
	for _, p := range g.List(rule + ".ipProtocols") {
		if p != "TCP" {
			out = append(out, "speaks something else than TCP: "+text(p))
		}
	}
	return out
}

func egress(e *Estate) []Finding {
	var out []Finding
	subnets := map[string]string{}   // names, by range
	firewalls := map[string]string{} // ranges, by region
	for _, v := range e.Of("Microsoft.Network/virtualNetworks") {
		for i := range v.List("properties.subnets") {
			at := fmt.Sprintf("properties.subnets.%d.", i)
			subnets[v.Text(at+"properties.addressPrefix")] = v.Text(at + "name")
			if v.Is(at+"name", "AzureFirewallSubnet") {
				firewalls[v.Location] = v.Text(at + "properties.addressPrefix")
			}
		}
	}
	for _, t := range e.Of("Microsoft.Network/routeTables") {
		p, err := netip.ParsePrefix(firewalls[t.Location])
		leads := err == nil && within(t.Text("properties.routes.0.properties.nextHopIpAddress"), []netip.Prefix{p})
		if len(t.List("properties.routes")) != 1 || !leads || !t.Is("properties.routes.0.properties.addressPrefix", "0.0.0.0/0") || !t.Is("properties.routes.0.properties.nextHopType", "VirtualAppliance") {
			out = append(out, Finding{Resource: t.ID, Says: "does not lead to the firewall"})
		}
	}
	for _, p := range e.Of("Microsoft.Network/firewallPolicies") {
		if p.Is("properties.sku.tier", "Premium") && !p.Is("properties.intrusionDetection.mode", "Deny") {
			out = append(out, Finding{Resource: p.ID, Says: "can refuse attacks, and does not"})
		}
	}
	for _, g := range e.Of("Microsoft.Network/firewallPolicies/ruleCollectionGroups") {
		for i := range g.List("properties.ruleCollections") {
			at := fmt.Sprintf("properties.ruleCollections.%d.", i)
			if !g.Is(at+"ruleCollectionType", "FirewallPolicyFilterRuleCollection") || !g.Is(at+"action.type", "Allow") {
				out = append(out, Finding{Resource: g.ID, Says: g.Text(at+"name") + " does something else than let out"})
			}
			for k := range g.List(at + "rules") {
				rule := fmt.Sprintf("%srules.%d", at, k)
				for _, says := range letsOut(e, g, rule, subnets) {
					out = append(out, Finding{Resource: g.ID, Says: g.Text(rule+".name") + " " + says})
				}
			}
		}
	}
	// Deployments and drills are judged by what the edge answers to whoever deploys, in each network.
	if p := e.Promise; p.Private && p.Edge {
		for _, n := range e.Of("Microsoft.Network/firewallPolicies") {
			g, ok := e.At(n.ID + "/ruleCollectionGroups/edge")
			if !ok || !ours(e, g.Text("properties.ruleCollections.0.rules.0.targetFqdns.0")) {
				out = append(out, Finding{Resource: n.ID, Says: "does not let who deploys ask the edge"})
			}
		}
	}
	for _, c := range e.Of("Microsoft.App/managedEnvironments") {
		for _, n := range e.Of("Microsoft.Network/firewallPolicies/ruleCollectionGroups") {
			policy, _ := e.At(n.ID[:strings.LastIndex(n.ID, "/ruleCollectionGroups/")])
			if policy.Location != c.Location || strings.HasSuffix(n.ID, "/edge") {
				continue
			}
			body, err := json.Marshal(n.raw)
			if err != nil {
				return []Finding{{Resource: n.ID, Says: err.Error()}}
			}
			for _, host := range containerApps {
				if !strings.Contains(string(body), `"`+host+`"`) {
					out = append(out, Finding{Resource: n.ID, Says: "does not let Container Apps ask " + host})
				}
			}
		}
	}
	for _, s := range e.Of("Microsoft.Web/sites") {
		if e.Promise.Private && !strings.HasSuffix(s.Text("properties.virtualNetworkSubnetId"), "/snet-application") {
			out = append(out, Finding{Resource: s.ID, Says: "does not go out by the network"})
		}
	}
	return out
}
