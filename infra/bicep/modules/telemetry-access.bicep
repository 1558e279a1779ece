metadata description = 'Who may write telemetry: the apps, under names of their own.'

@description('Application Insights\' name.')
param insightsName string

@description('Identities that write.')
param writers string[]

var publisher = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  '3913510d-42f4-4e42-8a64-420c390055eb'
)

resource insights 'Microsoft.Insights/components@2020-02-02' existing = { name: insightsName }

resource who 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [for w in writers: { name: w }]

resource write 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (w, i) in writers: {
    scope: insights
    name: guid(insights.id, w, publisher)
    properties: {
      roleDefinitionId: publisher
      principalId: who[i].properties.principalId
      principalType: 'ServicePrincipal'
    }
  }
]
