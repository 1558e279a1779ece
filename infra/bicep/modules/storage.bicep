metadata description = 'A storage account without keys: the data\'s, the audit log\'s, a host\'s or the backups\'.'

import { Tags, Key, Access } from 'types.bicep'

@description('The account\'s name.')
@minLength(3)
@maxLength(24)
param name string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('How it is replicated.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GZRS', 'Standard_RAGZRS'])
param replication string

@description('Whether it is reached by private endpoints alone.')
param private bool

@description('The key that encrypts it; null for Microsoft\'s own.')
param key Key?

@description('Its containers. Immutable ones refuse change and deletion for so many days; 0 is an ordinary container.')
param containers { name: string, immutableDays: int }[]

@description('Days after which blobs below a prefix are deleted, "container/prefix".')
param expire { prefix: string, days: int }[]

@description('Days until a blob that nobody writes any more goes to cooler tiers: cool, cold; 0 is never.')
param cool { cool: int, cold: int }

@description('Whether blobs can be put back as they were at a point in time; not where any container is immutable.')
param pointInTime bool

@description('Days for which every blob of the account is immutable, appended to aside; null for none. For logs that the platform exports into containers of its own naming.')
@minValue(1)
param immutableDays int?

@description('Whether what is immutable is locked for good. Policies of containers are then the template\'s no more: Azure takes no change of them but an extension.')
@allowed(['Unlocked', 'Locked'])
param immutability string = 'Unlocked'

@description('Who may do what with which container.')
param access Access[]

@description('The resource group of the identities.')
param identityGroup string

// Changes are kept for 35 days, so that each of 30 days of deletions can still be undone for some.
var softDeleteDays = 30

var roleIds = {
  'Storage Blob Data Owner': 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  'Storage Blob Data Contributor': 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  'Storage Blob Data Reader': '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
}

resource account 'Microsoft.Storage/storageAccounts@2026-09-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: replication }
  identity: key == null
    ? { type: 'None' }
    : { type: 'UserAssigned', userAssignedIdentities: { '${key!.identityId}': {} } }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    allowCrossTenantReplication: false
    allowedCopyScope: 'AAD'
    defaultToOAuthAuthentication: true
    isLocalUserEnabled: false
    isSftpEnabled: false
    minimumTlsVersion: 'TLS1_2' // TLS 1.3 is spoken too; no setting asks for it alone
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    networkAcls: { defaultAction: private ? 'Deny' : 'Allow', bypass: 'AzureServices' }
    encryption: {
      requireInfrastructureEncryption: true
      keySource: key == null ? 'Microsoft.Storage' : 'Microsoft.Keyvault'
      identity: key == null ? null : { userAssignedIdentity: key!.identityId }
      keyvaultproperties: key == null ? null : { keyvaulturi: key!.vaultUri, keyname: key!.name }
      services: {
        blob: { enabled: true, keyType: 'Account' }
        file: { enabled: true, keyType: 'Account' }
        queue: { enabled: true, keyType: 'Account' }
        table: { enabled: true, keyType: 'Account' }
      }
    }
    immutableStorageWithVersioning: immutableDays == null
      ? null
      : {
          enabled: true
          // Unlocked can still be undone; docs/bootstrap.md says when and how to lock it for good.
          immutabilityPolicy: {
            state: immutability
            immutabilityPeriodSinceCreationInDays: immutableDays
            allowProtectedAppendWrites: true
          }
        }
    sasPolicy: { expirationAction: 'Block', sasExpirationPeriod: '0.01:00:00' }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      isVersioningEnabled: true
      changeFeed: { enabled: true, retentionInDays: 90 }
      deleteRetentionPolicy: { enabled: true, days: softDeleteDays, allowPermanentDelete: false }
      containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
      restorePolicy: pointInTime ? { enabled: true, days: softDeleteDays - 1 } : { enabled: false }
    }

    resource box 'containers' = [
      for c in containers: {
        name: c.name
        properties: { publicAccess: 'None' }
      }
    ]
  }

  resource lifecycle 'managementPolicies' = {
    name: 'default'
    properties: {
      policy: {
        rules: concat(
          [
            {
              name: 'old-versions'
              type: 'Lifecycle'
              enabled: true
              definition: {
                filters: { blobTypes: ['blockBlob'] }
                actions: {
                  version: { delete: { daysAfterCreationGreaterThan: 35 } }
                  snapshot: { delete: { daysAfterCreationGreaterThan: 35 } }
                }
              }
            }
          ],
          map(expire, e => {
            name: 'expire-${replace(replace(e.prefix, '/', '-'), '_', '-')}'
            type: 'Lifecycle'
            enabled: true
            definition: {
              filters: { blobTypes: ['blockBlob'], prefixMatch: [e.prefix] }
              actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: e.days } } }
            }
          }),
          cool.cool == 0
            ? []
            : [
                {
                  name: 'cooler'
                  type: 'Lifecycle'
                  enabled: true
                  definition: {
                    filters: { blobTypes: ['blockBlob'] }
                    actions: {
                      baseBlob: {
                        tierToCool: { daysAfterModificationGreaterThan: cool.cool }
                        tierToCold: { daysAfterModificationGreaterThan: cool.cold }
                      }
                    }
                  }
                }
              ]
        )
      }
    }
    dependsOn: [blobs]
  }
}

var frozen = filter(containers, c => c.immutableDays > 0 && immutability == 'Unlocked')

resource immutable 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2026-09-01' = [
  for c in frozen: {
    name: '${name}/default/${c.name}/default'
    properties: { immutabilityPeriodSinceCreationInDays: c.immutableDays, allowProtectedAppendWrites: true }
    dependsOn: [account::blobs::box]
  }
]

var onAccount = filter(access, a => empty(a.container))
var onContainers = filter(access, a => !empty(a.container))

resource boxes 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-09-01' existing = [
  for a in onContainers: { parent: account::blobs, name: a.container }
]

resource accountUsers 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for x in onAccount: { name: x.identity, scope: resourceGroup(identityGroup) }
]

resource containerUsers 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for x in onContainers: { name: x.identity, scope: resourceGroup(identityGroup) }
]

resource accountAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (a, i) in onAccount: {
    scope: account
    name: guid(account.id, a.identity, a.role)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[a.role])
      principalId: accountUsers[i].properties.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource containerAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (a, i) in onContainers: {
    scope: boxes[i]
    name: guid(account.id, a.container, a.identity, a.role)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[a.role])
      principalId: containerUsers[i].properties.principalId
      principalType: 'ServicePrincipal'
    }
    dependsOn: [account::blobs::box]
  }
]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: account
  name: 'to-workspace'
  properties: { workspaceId: workspaceId, metrics: [{ category: 'Transaction', enabled: true }] }
}

resource blobLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: account::blobs
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

@description('Where its blobs answer.')
output blobs string = account.properties.primaryEndpoints.blob
