metadata description = 'A region\'s private names and endpoints. Each region has zones of its own: one zone with the endpoints of two regions would hold two addresses for one name.'

import { Tags, Endpoint } from 'types.bicep'

@description('Ends the names of this region\'s resources.')
param suffix string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('The network that the names hold in.')
param networkId string

@description('The subnet that the endpoints lie in.')
param subnetId string

@description('What to make endpoints for.')
param endpoints Endpoint[]

// Names of private link zones are Microsoft's; those of other clouds differ, and Polis stays in the EU of this one.
var zoneNames = {
  blob: 'privatelink.blob.${environment().suffixes.storage}'
  documents: 'privatelink.documents.azure.com'
  bus: 'privatelink.servicebus.windows.net'
  vault: 'privatelink.vaultcore.azure.net'
  sites: 'privatelink.azurewebsites.net'
  gateway: 'privatelink.azure-api.net'
  openai: 'privatelink.openai.azure.com'
  monitor: 'privatelink.monitor.azure.com'
  oms: 'privatelink.oms.opinsights.azure.com'
  ods: 'privatelink.ods.opinsights.azure.com'
  agents: 'privatelink.agentsvc.azure-automation.net'
}
var needed = sort(union(flatten(map(endpoints, e => e.zones)), []), (a, b) => a < b)

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for z in needed: {
    name: zoneNames[z]
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (z, i) in needed: {
    parent: zones[i]
    name: 'network'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkId }
      // A name of somebody else's private endpoint is not in our zone, and is asked for outside.
      resolutionPolicy: 'NxDomainRedirect'
    }
  }
]

module doors 'endpoint.bicep' = [
  for e in endpoints: {
    name: 'endpoint-${e.name}'
    params: {
      name: e.name
      suffix: suffix
      location: location
      tags: tags
      subnetId: subnetId
      targetId: e.id
      group: e.group
      zoneNames: map(e.zones, z => zoneNames[z])
    }
    dependsOn: [zones]
  }
]
