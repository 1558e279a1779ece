metadata description = 'A region\'s API Management: a private way in, a way out into the network.'

import { Tags } from 'types.bicep'

@description('The service\'s name.')
@minLength(1)
@maxLength(50)
param name string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('The tier. Only version 2 tiers have both a private way in and a way out; only PremiumV2 has zones.')
@allowed(['StandardV2', 'PremiumV2'])
param tier string

@description('Units; with zones at least two.')
@minValue(1)
@maxValue(30)
param units int

@description('Whether its units are spread over three zones: decided when it is made, and never after.')
param zones bool

@description('The subnet that it goes out by.')
param subnetId string

@description('Its identity.')
param identityId string

@description('Who publishes the API: Azure writes to them, and the developer portal names them.')
param publisher { name: string, mail: string }

@description('Whether it has a developer portal: that is on the internet, for it has no private way in.')
param developerPortal bool

@description('Whether this deployment creates it: Azure closes the public way in only once it exists.')
param creating bool

// 2025-09-01-preview: only previews have zoneRedundant, and zones of the older kind are not for these tiers.
resource service 'Microsoft.ApiManagement/service@2025-09-01-preview' = {
  name: name
  location: location
  tags: tags
  sku: { name: tier, capacity: units }
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    zoneRedundant: zones
    publisherName: publisher.name
    publisherEmail: publisher.mail
    virtualNetworkType: 'External' // for version 2 tiers: it goes out by the subnet, and comes in by private endpoints
    virtualNetworkConfiguration: { subnetResourceId: subnetId }
    publicNetworkAccess: creating ? 'Enabled' : 'Disabled'
    developerPortalStatus: developerPortal ? 'Enabled' : 'Disabled'
    legacyPortalStatus: 'Disabled'
    apiVersionConstraint: { minApiVersion: '2021-08-01' } // older management calls return secrets
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: service
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
