metadata description = 'The identities: one for each app, and one for each other program that acts by itself.'

import { Tags } from 'types.bicep'

@description('Tags.')
param tags Tags

@description('Their names and regions.')
param identities { name: string, location: string }[]

resource made 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = [
  for i in identities: {
    name: i.name
    location: i.location
    tags: tags
    properties: { isolationScope: 'None' }
  }
]

@description('Their object ids, in the same order: what logs call them by.')
output principals string[] = [for (i, n) in identities: made[n].properties.principalId]
