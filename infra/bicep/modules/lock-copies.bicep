metadata description = 'Keeps what holds the copies from being deleted, one by one: beside it a drill makes and deletes an account.'

@description('The copies\' storage account.')
param account string

@description('The vault of the key that encrypts them.')
param keyVault string

var why = {
  level: 'CanNotDelete'
  notes: 'Holds what brings data back. docs/bootstrap.md says how to take an environment down.'
}

resource copies 'Microsoft.Storage/storageAccounts@2026-09-01' existing = { name: account }

resource keys 'Microsoft.KeyVault/vaults@2026-05-15' existing = { name: keyVault }

resource copiesLock 'Microsoft.Authorization/locks@2020-05-01' = {
  scope: copies
  name: 'not-by-accident'
  properties: why
}

resource keysLock 'Microsoft.Authorization/locks@2020-05-01' = {
  scope: keys
  name: 'not-by-accident'
  properties: why
}
