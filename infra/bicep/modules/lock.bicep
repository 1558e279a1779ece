metadata description = 'Keeps a resource group from being deleted, with all that is in it.'

resource lock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'not-by-accident'
  properties: {
    level: 'CanNotDelete'
    notes: 'Holds data or what brings it back. docs/bootstrap.md says how to take an environment down.'
  }
}
