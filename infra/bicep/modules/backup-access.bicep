metadata description = 'Lets the backup vault read the blobs that it copies.'

@description('The storage account.')
param account string

@description('The vault\'s own identity.')
param principalId string

@description('The vault\'s name.')
param vaultName string

// Storage Account Backup Contributor: what the vault needs, and no keys.
var role = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'e5e2a7ff-d759-4cd2-bb51-3152d37e2eb1')

resource data 'Microsoft.Storage/storageAccounts@2026-09-01' existing = { name: account }

resource may 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: data
  name: guid(data.id, vaultName, role)
  properties: { roleDefinitionId: role, principalId: principalId, principalType: 'ServicePrincipal' }
}
