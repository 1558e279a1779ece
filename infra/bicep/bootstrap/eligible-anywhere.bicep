metadata description = 'Makes a group eligible for a role on the subscription.'

targetScope = 'subscription'

@description('The group.')
param who string

@description('The role.')
param roleDefinitionId string

@description('When this was asked for.')
param asked string

resource request 'Microsoft.Authorization/roleEligibilityScheduleRequests@2020-10-01' = {
  name: guid(subscription().id, who, roleDefinitionId, asked)
  properties: {
    requestType: 'AdminAssign'
    principalId: who
    roleDefinitionId: roleDefinitionId
    justification: 'People of Polis: docs/bootstrap.md'
    scheduleInfo: { startDateTime: asked, expiration: { type: 'AfterDuration', duration: 'P365D' } }
  }
}
