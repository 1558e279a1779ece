metadata description = 'Makes chunk workers ready before the nightly run, and lets them go after it: two logic apps with a clock and one right.'

import { Tags } from 'types.bicep'

@description('Ends the names.')
param suffix string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('The app whose workers are meant.')
param siteName string

@description('The identity that does it.')
param identity string

@description('The resource group of the identities.')
param identityGroup string

@description('The role that may scale an app.')
param scalerRoleId string

@description('When they are needed, in UTC, and when they no longer are.')
param hours { from: { hour: int, minute: int }, to: { hour: int, minute: int } }

@description('How many are ready then, and how many else.')
param instances { nightly: int, else: int }

@description('Whether they run: a colour that stands still needs none.')
param running bool

resource user 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identity
  scope: resourceGroup(identityGroup)
}

resource site 'Microsoft.Web/sites@2025-03-01' existing = { name: siteName }

// Reads and changes this one app's settings and scale: no role of Azure's own is that small.
resource scale 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: site
  name: guid(site.id, 'scaler')
  properties: {
    roleDefinitionId: scalerRoleId
    principalId: user.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

var config = 'body(\'read\')?[\'properties\']?[\'functionAppConfig\']'
var chunks = 'function:RunChunks'
var moments = [
  { name: 'up', at: hours.from, ready: [{ name: chunks, instanceCount: instances.nightly }] }
  { name: 'down', at: hours.to, ready: instances.else == 0 ? [] : [{ name: chunks, instanceCount: instances.else }] }
]

resource steps 'Microsoft.Logic/workflows@2019-05-01' = [
  for m in moments: {
    name: 'logic-${m.name}-${suffix}'
    location: location
    tags: tags
    identity: { type: 'UserAssigned', userAssignedIdentities: { '${user.id}': {} } }
    properties: {
      state: running ? 'Enabled' : 'Disabled'
      // Nobody calls it: it has a clock, and neither trigger nor contents have an address that answers.
      accessControl: {
        triggers: { allowedCallerIpAddresses: [{ addressRange: '0.0.0.0/32' }] }
        contents: { allowedCallerIpAddresses: [{ addressRange: '0.0.0.0/32' }] }
        actions: { allowedCallerIpAddresses: [{ addressRange: '0.0.0.0/32' }] }
      }
      definition: {
        '$schema': 'https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#'
        contentVersion: '1.0.0.0'
        triggers: {
          clock: {
            type: 'Recurrence'
            recurrence: {
              frequency: 'Day'
              interval: 1
              timeZone: 'UTC'
              schedule: { hours: [m.at.hour], minutes: [m.at.minute] }
            }
          }
        }
        actions: {
          // The whole of it is sent back, with one value changed: what a part of it would do to the rest is not said.
          read: {
            type: 'Http'
            runAfter: {}
            inputs: {
              method: 'GET'
              uri: '${environment().resourceManager}${substring(site.id, 1)}?api-version=2025-03-01'
              authentication: {
                type: 'ManagedServiceIdentity'
                identity: user.id
                audience: environment().resourceManager
              }
              retryPolicy: { type: 'exponential', count: 4, interval: 'PT20S' }
            }
          }
          scale: {
            type: 'Http'
            runAfter: { read: ['Succeeded'] }
            inputs: {
              method: 'PATCH'
              uri: '${environment().resourceManager}${substring(site.id, 1)}?api-version=2025-03-01'
              authentication: {
                type: 'ManagedServiceIdentity'
                identity: user.id
                audience: environment().resourceManager
              }
              body: {
                properties: {
                  functionAppConfig: '@setProperty(${config}, \'scaleAndConcurrency\', setProperty(${config}?[\'scaleAndConcurrency\'], \'alwaysReady\', json(\'${string(m.ready)}\')))'
                }
              }
              retryPolicy: { type: 'exponential', count: 4, interval: 'PT20S' }
            }
          }
        }
      }
    }
  }
]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = [
  for (m, i) in moments: {
    scope: steps[i]
    name: 'to-workspace'
    properties: {
      workspaceId: workspaceId
      logs: [{ categoryGroup: 'allLogs', enabled: true }]
      metrics: [{ category: 'AllMetrics', enabled: true }]
    }
  }
]
