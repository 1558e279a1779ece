metadata description = 'One private endpoint, with its names in the region\'s zones.'

import { Tags } from 'types.bicep'

@description('What it is called by.')
param name string

@description('Ends the names of this region\'s resources.')
param suffix string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('The subnet that it lies in.')
param subnetId string

@description('What it leads to.')
param targetId string

@description('The sub-resource, e.g. blob.')
param group string

@description('Names of the private DNS zones that its names lie in.')
param zoneNames string[]

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' existing = [for z in zoneNames: { name: z }]

resource door 'Microsoft.Network/privateEndpoints@2026-03-01' = {
  name: 'pep-${name}-${suffix}'
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    customNetworkInterfaceName: 'nic-${name}-${suffix}'
    privateLinkServiceConnections: [
      {
        name: name
        properties: {
          privateLinkServiceId: targetId
          groupIds: [group]
          // API Management takes an endpoint that is there for a second one, unless it is said to be let in already.
          privateLinkServiceConnectionState: group == 'Gateway'
            ? { status: 'Approved', description: 'Auto-Approved', actionsRequired: 'None' }
            : null
        }
      }
    ]
  }

  resource names 'privateDnsZoneGroups' = {
    name: 'names'
    properties: {
      privateDnsZoneConfigs: [
        for (z, i) in zoneNames: { name: replace(z, '.', '-'), properties: { privateDnsZoneId: zones[i].id } }
      ]
    }
  }
}
