metadata description = 'Who may read the key of the GitHub app that runners register by: given where the vault is.'

@description('The identity of the runners.')
param identity string

@description('The vault that holds the GitHub app\'s private key, as secret "runner-app-key".')
param vault string

// Key Vault Secrets User, on the one secret.
var secretsUser = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  '4633458b-17de-408a-b874-0445c86b69e6'
)

resource user 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = { name: identity }

resource keys 'Microsoft.KeyVault/vaults@2026-05-15' existing = {
  name: vault

  resource appKey 'secrets' existing = { name: 'runner-app-key' }
}

resource read 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: keys::appKey
  name: guid(keys::appKey.id, identity, secretsUser)
  properties: {
    roleDefinitionId: secretsUser
    principalId: user.properties.principalId
    principalType: 'ServicePrincipal'
  }
}
