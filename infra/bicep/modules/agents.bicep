metadata description = 'Agents inside the network for Azure DevOps: Managed DevOps Pools, a machine for a job and none between.'

import { Tags } from 'types.bicep'

@description('Ends the names.')
param suffix string

@description('The pool\'s name, as pipelines call it.')
param name string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('The network that they are in; its subnet snet-agents is theirs.')
param networkName string

@description('Whose jobs they do: the organization\'s address, the project, and the object id of DevOpsInfrastructure, which puts machines into the network.')
param project { organization: string, project: string, principalId: string }

@description('The role that may put machines into a subnet.')
param joinerRoleId string

resource network 'Microsoft.Network/virtualNetworks@2026-03-01' existing = {
  name: networkName

  resource subnet 'subnets' existing = { name: 'snet-agents' }
}

resource join 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: network
  name: guid(network.id, project.principalId, joinerRoleId)
  properties: {
    roleDefinitionId: joinerRoleId
    principalId: project.principalId
    principalType: 'ServicePrincipal'
  }
}

// A pool belongs to a project of a dev center; Polis uses neither for anything else.
resource center 'Microsoft.DevCenter/devcenters@2025-02-01' = {
  name: 'dc-${take(suffix, 23)}'
  location: location
  tags: tags
}

resource home 'Microsoft.DevCenter/projects@2025-02-01' = {
  name: 'dcp-${suffix}'
  location: location
  tags: tags
  properties: { devCenterId: center.id, maxDevBoxesPerUser: 0 }
}

// No identity: a job signs in by its service connection, after the approval of its environment.
resource pool 'Microsoft.DevOpsInfrastructure/pools@2025-09-20' = {
  name: name
  location: location
  tags: tags
  properties: {
    devCenterProjectResourceId: home.id
    maximumConcurrency: 2
    organizationProfile: {
      kind: 'AzureDevOps'
      organizations: [{ url: project.organization, projects: [project.project], parallelism: 2 }]
      permissionProfile: { kind: 'CreatorOnly' }
    }
    agentProfile: { kind: 'Stateless' }
    fabricProfile: {
      kind: 'Vmss'
      sku: { name: 'Standard_D2ads_v5' }
      images: [{ wellKnownImageName: 'ubuntu-24.04/latest', buffer: '*' }]
      osProfile: { logonType: 'Service' }
      storageProfile: { osDiskStorageAccountType: 'StandardSSD' }
      networkProfile: { subnetId: network::subnet.id }
    }
  }
  dependsOn: [join]
}

resource poolLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: pool
  name: 'to-workspace'
  properties: { workspaceId: workspaceId, logs: [{ categoryGroup: 'allLogs', enabled: true }] }
}

resource centerLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: center
  name: 'to-workspace'
  properties: { workspaceId: workspaceId, logs: [{ categoryGroup: 'allLogs', enabled: true }] }
}
