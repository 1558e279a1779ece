metadata description = 'Makes groups eligible for roles on this resource group.'

@description('Groups and role ids; and the container of blobs that a role is for, where it is for one alone.')
param asks { who: string, role: string, container: string? }[]

@description('When this was asked for.')
param asked string

// Reads: what is done to a blob is done in this container.
var blob = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs'
var does = ['read', 'write', 'add/action', 'delete', 'move/action']
var others = join(map(does, d => '!(ActionMatches{\'${blob}/${d}\'})'), ' AND ')
var named = '@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name]'

resource requests 'Microsoft.Authorization/roleEligibilityScheduleRequests@2020-10-01' = [
  for a in asks: {
    name: guid(resourceGroup().id, a.who, a.role, asked)
    properties: {
      requestType: 'AdminAssign'
      principalId: a.who
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', a.role)
      justification: 'People of Polis: docs/bootstrap.md'
      condition: a.?container == null ? null : '((${others}) OR (${named} StringEquals \'${a.?container}\'))'
      conditionVersion: a.?container == null ? null : '2.0'
      scheduleInfo: { startDateTime: asked, expiration: { type: 'AfterDuration', duration: 'P365D' } }
    }
  }
]
