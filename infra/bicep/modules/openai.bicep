metadata description = 'Azure OpenAI in the EU\'s data zone, without keys.'

import { Tags, App } from 'types.bicep'

@description('The account\'s name.')
@minLength(2)
@maxLength(64)
param name string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('Whether it is reached by private endpoints alone.')
param private bool

@description('The model that writes drafts.')
param model { name: string, version: string, thousandTokensPerMinute: int }

@description('The apps that ask it.')
param apps App[]

@description('The resource group of the identities.')
param identityGroup string

// Asks models, and changes nothing: Cognitive Services OpenAI User.
var user = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd')

resource account 'Microsoft.CognitiveServices/accounts@2026-09-01' = {
  name: name
  location: location
  tags: tags
  kind: 'OpenAI'
  sku: { name: 'S0' }
  properties: {
    // No key of our own: the account keeps nothing of ours. Drafts are asked for and forgotten.
    customSubDomainName: name
    disableLocalAuth: true
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    networkAcls: { defaultAction: private ? 'Deny' : 'Allow' }
    restrictOutboundNetworkAccess: true
    allowedFqdnList: []
  }
}

// The data zone keeps what is sent within the EU, wherever in it a model has room.
resource deployment 'Microsoft.CognitiveServices/accounts/deployments@2026-09-01' = {
  parent: account
  name: 'drafts'
  sku: { name: 'DataZoneStandard', capacity: model.thousandTokensPerMinute }
  properties: {
    model: { format: 'OpenAI', name: model.name, version: model.version }
    versionUpgradeOption: 'NoAutoUpgrade' // a draft is judged before another model writes it
    raiPolicyName: 'Microsoft.DefaultV2'
  }
}

resource who 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for x in apps: { name: x.identity, scope: resourceGroup(identityGroup) }
]

resource ask 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (a, i) in apps: {
    scope: account
    name: guid(account.id, a.identity, user)
    properties: {
      roleDefinitionId: user
      principalId: who[i].properties.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: account
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    // Not what was asked and answered: that may hold personal data.
    logs: [{ categoryGroup: 'Audit', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
