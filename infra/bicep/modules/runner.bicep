metadata description = 'A runner inside the network: it wakes for a job, does it, and is gone.'

import { Tags } from 'types.bicep'

@description('Ends the names.')
param suffix string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('The subnet that it is in.')
param subnetId string

@description('Whether the environment is spread over zones.')
param zones bool

@description('The identity that reads the app\'s key (runner-key.bicep), and may do nothing else.')
param identity string

@description('The resource group of the identities and the vault.')
param coreGroup string

@description('The vault that holds the GitHub app\'s private key, as secret "runner-app-key".')
param vault string

@description('Whose jobs it does: a GitHub app that is installed on the repository, and an image of infra/bicep/runner/Dockerfile, with its digest.')
param github { repository: string, appId: string, installationId: string, image: string }

@description('Labels that jobs ask for.')
param labels string

var owner = split(github.repository, '/')[0]
var repository = split(github.repository, '/')[1]

resource user 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identity
  scope: resourceGroup(coreGroup)
}

resource keys 'Microsoft.KeyVault/vaults@2026-05-15' existing = {
  name: vault
  scope: resourceGroup(coreGroup)

  resource appKey 'secrets' existing = { name: 'runner-app-key' }
}

resource house 'Microsoft.App/managedEnvironments@2026-01-01' = {
  name: 'cae-${suffix}'
  location: location
  tags: tags
  properties: {
    zoneRedundant: zones
    publicNetworkAccess: 'Disabled'
    vnetConfiguration: { internal: true, infrastructureSubnetId: subnetId }
    workloadProfiles: [{ name: 'Consumption', workloadProfileType: 'Consumption' }]
    appLogsConfiguration: { destination: 'azure-monitor' }
    peerAuthentication: { mtls: { enabled: true } }
  }
}

resource houseLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: house
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource job 'Microsoft.App/jobs@2026-01-01' = {
  name: 'caj-${take(suffix, 24)}'
  location: location
  tags: tags
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${user.id}': {} } }
  properties: {
    environmentId: house.id
    workloadProfileName: 'Consumption'
    configuration: {
      triggerType: 'Event'
      replicaTimeout: 21600 // six hours: as long as GitHub lets a job run, and longer than any drill
      replicaRetryLimit: 0
      // The platform uses it to fetch the key; a job has no identity here. What a job may do it is given
      // by federation, for the environment that it runs in, and so after that environment's approval.
      identitySettings: [{ identity: user.id, lifecycle: 'None' }]
      secrets: [{ name: 'app-key', keyVaultUrl: keys::appKey.properties.secretUri, identity: user.id }]
      eventTriggerConfig: {
        parallelism: 1
        replicaCompletionCount: 1
        scale: {
          minExecutions: 0
          maxExecutions: 2
          pollingInterval: 30
          rules: [
            {
              name: 'github'
              type: 'github-runner'
              metadata: {
                owner: owner
                repos: repository
                runnerScope: 'repo'
                labels: labels
                applicationID: github.appId
                installationID: github.installationId
                targetWorkflowQueueLength: '1'
              }
              auth: [{ triggerParameter: 'appKey', secretRef: 'app-key' }]
            }
          ]
        }
      }
    }
    template: {
      containers: [
        {
          name: 'runner'
          image: github.image
          command: ['/bin/sh', '-c']
          args: [loadTextContent('../runner/start.sh')]
          resources: { cpu: json('1.0'), memory: '2Gi' }
          env: [
            { name: 'APP_ID', value: github.appId }
            { name: 'INSTALLATION_ID', value: github.installationId }
            { name: 'REPOSITORY', value: github.repository }
            { name: 'LABELS', value: labels }
            { name: 'APP_KEY', secretRef: 'app-key' }
          ]
        }
      ]
    }
  }
}
