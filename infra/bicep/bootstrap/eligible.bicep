metadata description = 'Makes groups eligible for roles on this resource group.'

@description('Groups and role ids.')
param asks { who: string, role: string }[]

@description('When this was asked for.')
param asked string

resource requests 'Microsoft.Authorization/roleEligibilityScheduleRequests@2020-10-01' = [
  for a in asks: {
    name: guid(resourceGroup().id, a.who, a.role, asked)
    properties: {
      requestType: 'AdminAssign'
      principalId: a.who
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', a.role)
      justification: 'People of Polis: docs/bootstrap.md'
      scheduleInfo: { startDateTime: asked, expiration: { type: 'AfterDuration', duration: 'P365D' } }
    }
  }
]
