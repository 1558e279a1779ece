metadata description = 'A region\'s network: five subnets, deny by default, and a firewall that lets out what is on a list.'

import { Tags, managementRange, agentRange } from 'types.bicep'

@description('Ends the names of this region\'s resources.')
param suffix string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('The first two octets of the network: a /16.')
param prefix string

@description('The firewall\'s tier. Basic has no threat intelligence that denies and 250 Mbit/s.')
@allowed(['Basic', 'Standard', 'Premium'])
param firewallTier string

@description('Whether what can be is spread over three zones.')
param zones bool

@description('A DDoS protection plan; empty for none.')
param ddosPlanId string

@description('A VPN gateway for people, who get addresses of this range; null for none.')
param vpn { clients: string }?

@description('An ExpressRoute circuit: where it lands and how wide; null for none.')
param expressRoute { provider: string, place: string, mbps: 50 | 100 | 200 | 500 | 1000 }?

@description('Whether there is a subnet for agents of Azure DevOps.')
param agents bool

@description('Hosts that runner and agents may reach besides Azure\'s own.')
param hosts { runner: string[], agents: string[] }

var zoneList = zones ? ['1', '2', '3'] : []
// Addresses are fixed within the /16, so that the rules below can name them.
var frontend = '${prefix}.0.0/24'
var application = '${prefix}.2.0/23'
var data = '${prefix}.4.0/24'
var management = managementRange(prefix)
var firewallRange = '${prefix}.8.0/26'
var firewallManagement = '${prefix}.8.64/26'
var gateway = '${prefix}.9.0/27'
var agentSubnet = agentRange(prefix)
var firewallAddress = '${prefix}.8.4' // Azure gives the firewall the first address after its own four

// Nothing that is not named comes in or goes out: the platform's own defaults would let
// everything within the network and everything out to the internet.
var denied = [
  {
    name: 'DenyAllInbound'
    properties: {
      priority: 4096
      direction: 'Inbound'
      access: 'Deny'
      protocol: '*'
      sourceAddressPrefix: '*'
      sourcePortRange: '*'
      destinationAddressPrefix: '*'
      destinationPortRange: '*'
    }
  }
  {
    name: 'DenyAllOutbound'
    properties: {
      priority: 4096
      direction: 'Outbound'
      access: 'Deny'
      protocol: '*'
      sourceAddressPrefix: '*'
      sourcePortRange: '*'
      destinationAddressPrefix: '*'
      destinationPortRange: '*'
    }
  }
]
var toData = [
  {
    name: 'ToDataServices'
    properties: {
      priority: 100
      direction: 'Outbound'
      access: 'Allow'
      protocol: 'Tcp'
      sourceAddressPrefix: '*'
      sourcePortRange: '*'
      destinationAddressPrefix: data
      destinationPortRanges: ['443', '5671']
    }
  }
]
// What goes to the internet goes by the firewall, which has the list of names.
var toFirewall = [
  {
    name: 'ToTheFirewall'
    properties: {
      priority: 110
      direction: 'Outbound'
      access: 'Allow'
      protocol: 'Tcp'
      sourceAddressPrefix: '*'
      sourcePortRange: '*'
      destinationAddressPrefix: 'Internet'
      destinationPortRange: '443'
    }
  }
]
// Who comes by VPN asks the firewall for names: Azure's own resolver answers nobody outside the network.
var dnsProxy = vpn != null && firewallTier != 'Basic'
var toResolver = dnsProxy
  ? [
      {
        name: 'ToTheResolver'
        properties: {
          priority: 120
          direction: 'Outbound'
          access: 'Allow'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '${firewallAddress}/32'
          destinationPortRange: '53'
        }
      }
    ]
  : []
var visitors = vpn == null ? [] : [vpn!.clients]
var rules = union(
  agents
    ? {
        agents: concat(
          toData,
          toFirewall,
          toResolver,
          [
            {
              // Ubuntu's packages come by plain HTTP, signed.
              name: 'PackagesByTheFirewall'
              properties: {
                priority: 130
                direction: 'Outbound'
                access: 'Allow'
                protocol: 'Tcp'
                sourceAddressPrefix: '*'
                sourcePortRange: '*'
                destinationAddressPrefix: 'Internet'
                destinationPortRange: '80'
              }
            }
          ],
          denied
        )
      }
    : {},
  {
    frontend: concat(toData, toFirewall, toResolver, denied)
    application: concat(toData, toFirewall, toResolver, denied)
    data: concat(
      [
        {
          name: 'FromOurSubnets'
          properties: {
            priority: 100
            direction: 'Inbound'
            access: 'Allow'
            protocol: 'Tcp'
            sourceAddressPrefixes: concat([frontend, application, management], agents ? [agentSubnet] : [], visitors)
            sourcePortRange: '*'
            destinationAddressPrefix: data
            destinationPortRanges: ['443', '5671']
          }
        }
      ],
      denied
    )
    management: concat(
      [
        {
          // Container Apps need their own subnet and the platform's load balancer.
          name: 'WithinTheSubnet'
          properties: {
            priority: 100
            direction: 'Inbound'
            access: 'Allow'
            protocol: '*'
            sourceAddressPrefix: management
            sourcePortRange: '*'
            destinationAddressPrefix: management
            destinationPortRange: '*'
          }
        }
        {
          name: 'ProbesOfTheLoadBalancer'
          properties: {
            priority: 110
            direction: 'Inbound'
            access: 'Allow'
            protocol: 'Tcp'
            sourceAddressPrefix: 'AzureLoadBalancer'
            sourcePortRange: '*'
            destinationAddressPrefix: management
            destinationPortRange: '30000-32767'
          }
        }
        {
          name: 'WithinTheSubnetOut'
          properties: {
            priority: 125
            direction: 'Outbound'
            access: 'Allow'
            protocol: '*'
            sourceAddressPrefix: management
            sourcePortRange: '*'
            destinationAddressPrefix: management
            destinationPortRange: '*'
          }
        }
      ],
      toData,
      toFirewall,
      toResolver,
      denied
    )
  }
)

resource groups 'Microsoft.Network/networkSecurityGroups@2026-03-01' = [
  for s in items(rules): {
    name: 'nsg-${s.key}-${suffix}'
    location: location
    tags: tags
    properties: { securityRules: s.value }
  }
]

resource groupLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = [
  // 2021-05-01-preview: the only version with category groups.
  for (s, i) in items(rules): {
    scope: groups[i]
    name: 'to-workspace'
    properties: { workspaceId: workspaceId, logs: [{ categoryGroup: 'allLogs', enabled: true }] }
  }
]

resource routes 'Microsoft.Network/routeTables@2026-03-01' = {
  name: 'rt-${suffix}'
  location: location
  tags: tags
  properties: {
    // Else a route from an office would go round the firewall. So nothing here begins a connection to an office or to who
    // came by VPN; answers of private endpoints heed no routes.
    disableBgpRoutePropagation: true
    routes: [
      {
        name: 'out-by-the-firewall'
        properties: { addressPrefix: '0.0.0.0/0', nextHopType: 'VirtualAppliance', nextHopIpAddress: firewallAddress }
      }
    ]
  }
}

var groupOf = toObject(
  map(range(0, length(items(rules))), i => { key: items(rules)[i].key, index: i }),
  x => x.key,
  x => x.index
)

resource vnet 'Microsoft.Network/virtualNetworks@2026-03-01' = {
  name: 'vnet-${suffix}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['${prefix}.0.0/16'] }
    enableDdosProtection: !empty(ddosPlanId)
    ddosProtectionPlan: empty(ddosPlanId) ? null : { id: ddosPlanId }
    dhcpOptions: dnsProxy ? { dnsServers: [firewallAddress] } : null
    subnets: concat(
      [
        {
          name: 'snet-frontend'
          properties: {
            addressPrefix: frontend
            defaultOutboundAccess: false
            networkSecurityGroup: { id: groups[groupOf.frontend].id }
            routeTable: { id: routes.id }
            delegations: [{ name: 'gateway', properties: { serviceName: 'Microsoft.Web/serverFarms' } }]
          }
        }
        {
          name: 'snet-application'
          properties: {
            addressPrefix: application
            defaultOutboundAccess: false
            networkSecurityGroup: { id: groups[groupOf.application].id }
            routeTable: { id: routes.id }
            delegations: [{ name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }]
          }
        }
        {
          name: 'snet-data'
          properties: {
            addressPrefix: data
            defaultOutboundAccess: false
            networkSecurityGroup: { id: groups[groupOf.data].id }
            routeTable: { id: routes.id }
            privateEndpointNetworkPolicies: 'Enabled' // else the rules of the group would not hold for endpoints
          }
        }
        {
          name: 'snet-management'
          properties: {
            addressPrefix: management
            defaultOutboundAccess: false
            networkSecurityGroup: { id: groups[groupOf.management].id }
            routeTable: { id: routes.id }
            delegations: [{ name: 'runner', properties: { serviceName: 'Microsoft.App/environments' } }]
          }
        }
        // The next ones bear no security group: Azure refuses it or breaks on it.
        { name: 'AzureFirewallSubnet', properties: { addressPrefix: firewallRange, defaultOutboundAccess: false } }
      ],
      firewallTier == 'Basic'
        ? [
            {
              name: 'AzureFirewallManagementSubnet'
              properties: { addressPrefix: firewallManagement, defaultOutboundAccess: false }
            }
          ]
        : [],
      agents
        ? [
            {
              name: 'snet-agents'
              properties: {
                addressPrefix: agentSubnet
                defaultOutboundAccess: false
                networkSecurityGroup: { id: groups[groupOf.?agents ?? 0].id }
                routeTable: { id: routes.id }
                delegations: [{ name: 'agents', properties: { serviceName: 'Microsoft.DevOpsInfrastructure/pools' } }]
              }
            }
          ]
        : [],
      vpn != null || expressRoute != null
        ? [{ name: 'GatewaySubnet', properties: { addressPrefix: gateway, defaultOutboundAccess: false } }]
        : []
    )
  }

  resource frontendSubnet 'subnets' existing = { name: 'snet-frontend' }
  resource applicationSubnet 'subnets' existing = { name: 'snet-application' }
  resource dataSubnet 'subnets' existing = { name: 'snet-data' }
  resource managementSubnet 'subnets' existing = { name: 'snet-management' }
  resource firewallSubnet 'subnets' existing = { name: 'AzureFirewallSubnet' }
  resource firewallManagementSubnet 'subnets' existing = { name: 'AzureFirewallManagementSubnet' }
  resource gatewaySubnet 'subnets' existing = { name: 'GatewaySubnet' }
}

resource vnetLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vnet
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

var addresses = concat(
  ['firewall'],
  firewallTier == 'Basic' ? ['firewall-management'] : [],
  vpn != null ? ['vpn'] : [],
  expressRoute != null ? ['er'] : []
)
var addressOf = toObject(
  map(range(0, length(addresses)), i => { key: addresses[i], index: i }),
  x => x.key,
  x => x.index
)

resource publicAddresses 'Microsoft.Network/publicIPAddresses@2026-03-01' = [
  for a in addresses: {
    name: 'pip-${a}-${suffix}'
    location: location
    tags: tags
    zones: zoneList
    sku: { name: 'Standard', tier: 'Regional' }
    properties: { publicIPAllocationMethod: 'Static', publicIPAddressVersion: 'IPv4' }
  }
]

resource publicAddressLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = [
  for (a, i) in addresses: {
    scope: publicAddresses[i]
    name: 'to-workspace'
    properties: {
      workspaceId: workspaceId
      logs: [{ categoryGroup: 'allLogs', enabled: true }]
      metrics: [{ category: 'AllMetrics', enabled: true }]
    }
  }
]

resource firewallPolicy 'Microsoft.Network/firewallPolicies@2026-03-01' = {
  name: 'afwp-${suffix}'
  location: location
  tags: tags
  properties: {
    sku: { tier: firewallTier }
    threatIntelMode: firewallTier == 'Basic' ? 'Alert' : 'Deny'
    intrusionDetection: firewallTier == 'Premium' ? { mode: 'Deny' } : null
    dnsSettings: dnsProxy ? { enableProxy: true } : null
  }
}

resource egress 'Microsoft.Network/firewallPolicies/ruleCollectionGroups@2026-03-01' = {
  parent: firewallPolicy
  name: 'egress'
  properties: {
    priority: 200
    ruleCollections: [
      {
        ruleCollectionType: 'FirewallPolicyFilterRuleCollection'
        name: 'azure'
        priority: 200
        action: { type: 'Allow' }
        rules: [
          {
            ruleType: 'NetworkRule'
            name: 'sign-in-and-telemetry'
            ipProtocols: ['TCP']
            sourceAddresses: concat([frontend, application, management], agents ? [agentSubnet] : [])
            destinationAddresses: ['AzureActiveDirectory', 'AzureMonitor']
            destinationPorts: ['443']
          }
          {
            ruleType: 'NetworkRule'
            name: 'the-gateway-reaches-its-own-parts'
            ipProtocols: ['TCP']
            sourceAddresses: [frontend]
            destinationAddresses: ['Storage.${location}', 'AzureKeyVault.${location}']
            destinationPorts: ['443']
          }
          {
            ruleType: 'NetworkRule'
            name: 'the-runner-deploys'
            ipProtocols: ['TCP']
            sourceAddresses: concat([management], agents ? [agentSubnet] : [])
            destinationAddresses: ['AzureResourceManager', 'MicrosoftContainerRegistry', 'AzureFrontDoor.FirstParty']
            destinationPorts: ['443']
          }
        ]
      }
      {
        ruleCollectionType: 'FirewallPolicyFilterRuleCollection'
        name: 'by-name'
        priority: 300
        action: { type: 'Allow' }
        rules: concat(
          [
            {
              ruleType: 'ApplicationRule'
              // The host fetches its extension bundle where the platform has not put it.
              name: 'extension-bundles'
              protocols: [{ protocolType: 'Https', port: 443 }]
              sourceAddresses: [application]
              targetFqdns: ['cdn.functions.azure.com', 'functionscdn.azureedge.net']
            }
          ],
          empty(hosts.runner)
            ? []
            : [
                {
                  ruleType: 'ApplicationRule'
                  name: 'the-runner-asks-for-work'
                  protocols: [{ protocolType: 'Https', port: 443 }]
                  sourceAddresses: [management]
                  targetFqdns: hosts.runner
                }
              ],
          empty(hosts.agents)
            ? []
            : [
                {
                  ruleType: 'ApplicationRule'
                  name: 'the-agents-ask-for-work'
                  protocols: [{ protocolType: 'Https', port: 443 }, { protocolType: 'Http', port: 80 }]
                  sourceAddresses: [agentSubnet]
                  targetFqdns: hosts.agents
                }
              ]
        )
      }
    ]
  }
}

resource firewall 'Microsoft.Network/azureFirewalls@2026-03-01' = {
  name: 'afw-${suffix}'
  location: location
  tags: tags
  zones: zoneList
  properties: {
    sku: { name: 'AZFW_VNet', tier: firewallTier }
    firewallPolicy: { id: firewallPolicy.id }
    ipConfigurations: [
      {
        name: 'out'
        properties: { subnet: { id: vnet::firewallSubnet.id }, publicIPAddress: { id: publicAddresses[0].id } }
      }
    ]
    managementIpConfiguration: firewallTier == 'Basic'
      ? {
          name: 'management'
          properties: {
            subnet: { id: vnet::firewallManagementSubnet.id }
            publicIPAddress: { id: publicAddresses[1].id }
          }
        }
      : null
  }
  dependsOn: [egress]
}

resource firewallLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: firewall
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource vpnGateway 'Microsoft.Network/virtualNetworkGateways@2026-03-01' = if (vpn != null) {
  name: 'vgw-${suffix}'
  location: location
  tags: tags
  properties: {
    gatewayType: 'Vpn'
    vpnType: 'RouteBased'
    vpnGatewayGeneration: 'Generation2'
    sku: { name: 'VpnGw2AZ', tier: 'VpnGw2AZ' }
    // Who signs in is asked by Entra ID, with its conditions; the audience is Microsoft's own VPN client.
    vpnClientConfiguration: {
      vpnClientAddressPool: { addressPrefixes: visitors }
      vpnClientProtocols: ['OpenVPN']
      vpnAuthenticationTypes: ['AAD']
      aadTenant: '${environment().authentication.loginEndpoint}${tenant().tenantId}'
      aadAudience: 'c632b3df-fb67-4d84-bdcf-b95ad541b5c8'
      aadIssuer: 'https://sts.windows.net/${tenant().tenantId}/'
    }
    ipConfigurations: [
      {
        name: 'default'
        properties: {
          subnet: { id: vnet::gatewaySubnet.id }
          publicIPAddress: { id: publicAddresses[addressOf.?vpn ?? 0].id }
        }
      }
    ]
  }
}

resource vpnLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (vpn != null) {
  scope: vpnGateway
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource circuit 'Microsoft.Network/expressRouteCircuits@2026-03-01' = if (expressRoute != null) {
  name: 'erc-${suffix}'
  location: location
  tags: tags
  sku: { name: 'Standard_MeteredData', tier: 'Standard', family: 'MeteredData' }
  properties: {
    serviceProviderProperties: {
      serviceProviderName: expressRoute.?provider
      peeringLocation: expressRoute.?place
      bandwidthInMbps: expressRoute.?mbps
    }
  }
}

resource circuitLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (expressRoute != null) {
  scope: circuit
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

// The circuit is joined to the gateway once the provider has provisioned it: by hand, with the key that they ask for.
resource circuitGateway 'Microsoft.Network/virtualNetworkGateways@2026-03-01' = if (expressRoute != null) {
  name: 'ergw-${suffix}'
  location: location
  tags: tags
  properties: {
    gatewayType: 'ExpressRoute'
    sku: { name: zones ? 'ErGw1AZ' : 'Standard', tier: zones ? 'ErGw1AZ' : 'Standard' }
    ipConfigurations: [
      {
        name: 'default'
        properties: {
          subnet: { id: vnet::gatewaySubnet.id }
          publicIPAddress: { id: publicAddresses[addressOf.?er ?? 0].id }
        }
      }
    ]
  }
  dependsOn: [vpnGateway] // Azure takes one change of the gateways' subnet at a time
}

resource circuitGatewayLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (expressRoute != null) {
  scope: circuitGateway
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
