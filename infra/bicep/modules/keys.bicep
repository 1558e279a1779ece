metadata description = 'A vault with HSM keys that encrypt what is at rest, and the right to use them.'

import { Tags } from 'types.bicep'

@description('The vault\'s name.')
@minLength(3)
@maxLength(24)
param name string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('Whether the vault is reached by private endpoints alone.')
param private bool

@description('The keys: one for each thing that they encrypt.')
param keys string[]

@description('The identity that services use them by.')
param identity string

@description('The resource group of the identities.')
param identityGroup string

// Key Vault Crypto Service Encryption User: wrap, unwrap and read a key, nothing else.
var encryptionUser = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  'e147488a-f6f5-4113-8e2d-b22465e65bf6'
)

resource user 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identity
  scope: resourceGroup(identityGroup)
}

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'premium' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    // Cosmos DB, Storage and Service Bus come by this bypass: their own networks are not ours.
    networkAcls: { bypass: 'AzureServices', defaultAction: 'Deny' }
  }
}

resource encryption 'Microsoft.KeyVault/vaults/keys@2026-05-15' = [
  for k in keys: {
    parent: vault
    name: k
    tags: tags
    properties: {
      kty: 'RSA-HSM'
      keySize: 3072
      keyOps: ['wrapKey', 'unwrapKey']
      attributes: { enabled: true, exportable: false }
      // A year's use, and a year more in which what it encrypted is still read.
      rotationPolicy: {
        attributes: { expiryTime: 'P2Y' }
        lifetimeActions: [
          { action: { type: 'rotate' }, trigger: { timeAfterCreate: 'P1Y' } }
          { action: { type: 'notify' }, trigger: { timeBeforeExpiry: 'P30D' } }
        ]
      }
    }
  }
]

resource use 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (k, i) in keys: {
    scope: encryption[i]
    name: guid(encryption[i].id, identity, encryptionUser)
    properties: {
      roleDefinitionId: encryptionUser
      principalId: user.properties.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
