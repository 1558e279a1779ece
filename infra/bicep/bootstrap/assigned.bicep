metadata description = 'A role in one resource group, for one workload.'

@description('The workload.')
param principalId string

@description('The role.')
param roleDefinitionId string

resource assigned 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, roleDefinitionId)
  properties: { roleDefinitionId: roleDefinitionId, principalId: principalId, principalType: 'ServicePrincipal' }
}
