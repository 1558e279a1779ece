metadata description = 'Cosmos DB for NoSQL: the containers of the estate, no keys, and who may read and write.'

import { Tags, Key } from 'types.bicep'

@description('The account\'s name.')
@minLength(3)
@maxLength(44)
param name string

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('Regions in the order of failover.')
@minLength(1)
param locations string[]

@description('Whether each region is spread over zones.')
param zones bool

@description('Whether it is reached by private endpoints alone.')
param private bool

@description('Autoscale maximum in RU/s; 0 is serverless, which knows one region only.')
@minValue(0)
param throughput int

@description('The key that encrypts it; null for Microsoft\'s own.')
param key Key?

@description('Identities that read and write.')
param writers string[]

@description('Identities that read and do not write: backups.')
param readers string[]

@description('The resource group of the identities.')
param identityGroup string

var estate = loadJsonContent('../../estate/estate.json')
var documents = estate.documents

var several = length(locations) > 1
var serverless = throughput == 0

resource account 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' = {
  name: name
  location: locations[0]
  tags: tags
  kind: 'GlobalDocumentDB'
  identity: key == null
    ? { type: 'None' }
    : { type: 'UserAssigned', userAssignedIdentities: { '${key!.identityId}': {} } }
  properties: {
    databaseAccountOfferType: 'Standard'
    locations: [for (l, i) in locations: { locationName: l, failoverPriority: i, isZoneRedundant: zones }]
    enableAutomaticFailover: several
    enableMultipleWriteLocations: false
    // docs/adr/009: with two regions at most 300 s of writes are lost with one of them. Either level
    // reads what was written before in the region of writes; runs ask for less, and pay for less.
    consistencyPolicy: several
      ? { defaultConsistencyLevel: 'BoundedStaleness', maxIntervalInSeconds: 300, maxStalenessPrefix: 100000 }
      : { defaultConsistencyLevel: 'Strong' }
    capabilities: serverless ? [{ name: 'EnableServerless' }] : []
    backupPolicy: { type: 'Continuous', continuousModeProperties: { tier: 'Continuous30Days' } }
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12' // the most it has
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    networkAclBypass: 'None'
    enableFreeTier: false
    enableBurstCapacity: !serverless
    enablePartitionMerge: false
    defaultIdentity: key == null ? 'FirstPartyIdentity' : 'UserAssignedIdentity=${key!.identityId}'
    keyVaultKeyUri: key == null ? null : '${key!.vaultUri}keys/${key!.name}'
  }
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2026-03-15' = {
  parent: account
  name: documents.database
  tags: tags
  properties: { resource: { id: documents.database } }
}

resource containers 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2026-03-15' = [
  for c in documents.containers: {
    parent: database
    name: c.name
    tags: tags
    properties: {
      resource: {
        id: c.name
        partitionKey: { kind: 'MultiHash', version: 2, paths: c.partitionKey }
        defaultTtl: c.defaultTtl
        indexingPolicy: {
          indexingMode: c.indexingPolicy.indexingMode
          automatic: c.indexingPolicy.automatic
          includedPaths: c.indexingPolicy.includedPaths
          excludedPaths: c.indexingPolicy.excludedPaths
        }
      }
      options: serverless ? {} : { autoscaleSettings: { maxThroughput: throughput } }
    }
  }
]

// Data in and out, and nothing about the account: Cosmos DB Built-in Data Contributor.
resource contributor 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2026-03-15' existing = {
  parent: account
  name: '00000000-0000-0000-0000-000000000002'
}

// Cosmos DB Built-in Data Reader.
resource reader 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2026-03-15' existing = {
  parent: account
  name: '00000000-0000-0000-0000-000000000001'
}

var grants = concat(
  map(writers, w => { identity: w, role: 'data-contributor' }),
  map(readers, r => { identity: r, role: 'data-reader' })
)

resource who 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for x in grants: { name: x.identity, scope: resourceGroup(identityGroup) }
]

// One at a time: an account refuses a second change while it is at one (412, PreconditionFailed).
@batchSize(1)
resource access 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2026-03-15' = [
  for (g, i) in grants: {
    parent: account
    name: guid(account.id, g.identity, g.role)
    properties: {
      roleDefinitionId: g.role == 'data-reader' ? reader.id : contributor.id
      principalId: who[i].properties.principalId
      scope: '${account.id}/dbs/${documents.database}'
    }
    dependsOn: [database]
  }
]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: account
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    // By category: allLogs would bring the text of queries, which may hold ids of customers.
    logs: [
      { category: 'DataPlaneRequests', enabled: true }
      { category: 'PartitionKeyRUConsumption', enabled: true }
      { category: 'PartitionKeyStatistics', enabled: true }
      { category: 'ControlPlaneRequests', enabled: true }
    ]
    metrics: [{ category: 'Requests', enabled: true }]
  }
}

@description('Where it answers.')
output endpoint string = account.properties.documentEndpoint
