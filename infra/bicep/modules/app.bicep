metadata description = 'One function app on Flex Consumption, with a plan of its own: a Flex plan holds one app.'

import { Tags, App } from 'types.bicep'

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('The app and its identity.')
param app App

@description('The resource group of the identities.')
param identityGroup string

@description('Whether the plan is spread over zones: two instances for each function group are then always ready, and billed.')
param zones bool

@description('Whether it is reached by a private endpoint alone.')
param private bool

@description('Whether it runs: the workers of the colour that is not active stand still.')
param running bool

@description('The subnet it goes out by; empty for none.')
param subnetId string

@description('The account that holds its package and the host\'s locks.')
param hostAccountName string

@description('Memory of an instance in MB.')
@allowed([512, 2048, 4096])
param memory int

@description('Most instances.')
@minValue(40)
@maxValue(1000)
param maximum int

@description('Instances that are always ready.')
@minValue(0)
param ready int

@description('Application Insights\' name and resource group.')
param insights { name: string, group: string }

@description('Values that settings of the estate come from.')
param sources { bus: string, cosmos: string, blobs: string, audience: string }

@description('Settings that this environment has otherwise than the estate says, e.g. a schedule.')
param overrides { *: string }

var estate = loadJsonContent('../../estate/estate.json')
var host = loadJsonContent('../../../host.json')

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: app.identity
  scope: resourceGroup(identityGroup)
}

resource hostAccount 'Microsoft.Storage/storageAccounts@2026-09-01' existing = { name: hostAccountName }

resource telemetry 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insights.name
  scope: resourceGroup(insights.group)
}

// What the estate leaves to the deployment.
var made = {
  hostBlobs: hostAccount.properties.primaryEndpoints.blob
  clientId: identity.properties.clientId
  bus: sources.bus
  cosmos: sources.cosmos
  blobs: sources.blobs
  insights: telemetry.properties.ConnectionString
  insightsIdentity: 'ClientId=${identity.properties.clientId};Authorization=AAD'
  tenantId: tenant().tenantId
  audience: sources.audience
}
var settings = filter(estate.settings, s => (s.?app ?? app.role) == app.role)

// All HTTP functions scale as one group; a queue's function by itself.
var chunks = 'function:RunChunks'
var alwaysReady = ready == 0 || app.role == 'clock'
  ? []
  : [{ name: app.role == 'api' ? 'http' : chunks, instanceCount: ready }]

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: replace(app.site, 'func-', 'asp-')
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: zones }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: app.site
  location: location
  tags: union(tags, { 'azd-service-name': '${app.role}-${app.colour}' })
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identity.id}': {} } }
  properties: {
    serverFarmId: plan.id
    enabled: running
    httpsOnly: true
    clientAffinityEnabled: false
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    keyVaultReferenceIdentity: identity.id
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${hostAccount.properties.primaryEndpoints.blob}app-${app.role}-${app.colour}'
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identity.id }
        }
      }
      runtime: { name: 'custom', version: '1.0' }
      scaleAndConcurrency: {
        instanceMemoryMB: memory
        maximumInstanceCount: maximum
        alwaysReady: alwaysReady
        // As many as host.json lets through: beyond that the host would answer 429.
        triggers: { http: { perInstanceConcurrency: host.extensions.http.maxConcurrentRequests } }
      }
    }
    // Flex Consumption refuses a site whose configuration has what the plan has not (error 51021: ftpsState, and
    // others as Azure gets to them); a rule names what may be here. FTP is shut by its publishing policy below.
    siteConfig: {
      minTlsVersion: '1.3'
      scmMinTlsVersion: '1.3'
      http20Enabled: true
      cors: { allowedOrigins: [] }
      appSettings: [for s in settings: { name: s.name, value: overrides[?s.name] ?? s.?value ?? made[s.from] }]
    }
  }

  // Publishing passwords are the last keys that a function app has.
  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }

  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: site
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource planLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: plan
  name: 'to-workspace'
  properties: { workspaceId: workspaceId, metrics: [{ category: 'AllMetrics', enabled: true }] }
}

@description('The app.')
output id string = site.id
