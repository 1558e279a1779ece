metadata description = 'An identity of pipelines, and the jobs that may sign in as it.'

import { Tags } from '../modules/types.bicep'

@description('Its name.')
param name string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('Jobs that may sign in as it.')
param federated { name: string, issuer: string, subject: string }[]

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
  properties: { isolationScope: 'None' }
}

// One at a time: Azure refuses two at once on one identity.
@batchSize(1)
resource credentials 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2024-11-30' = [
  for f in federated: {
    parent: identity
    name: f.name
    properties: { issuer: f.issuer, subject: f.subject, audiences: ['api://AzureADTokenExchange'] }
  }
]

@description('As role assignments know it.')
output principalId string = identity.properties.principalId

@description('As jobs know it.')
output clientId string = identity.properties.clientId
