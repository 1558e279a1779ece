metadata description = 'Weekly copies of documents and blobs, kept for ten years, unchangeable, with keys of their own, in a group of their own.'

import { Tags } from 'types.bicep'

@description('Ends the names.')
param suffix string

@description('The region: the second one, so that copies and originals do not burn together.')
param location string

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('Whether everything is reached by private endpoints alone.')
param private bool

@description('The copies\' storage account and its containers.')
param storage { name: string, container: string }

@description('The identity that copies, in the group of identities.')
param identity string

@description('The resource group of the identities and of what is copied.')
param coreGroup string

@description('The Cosmos DB account that is copied, and its database and container.')
param source { account: string, database: string, container: string }

@description('The storage account whose blobs are copied, and the containers.')
param blobs { account: string, containers: string[] }

@description('The backup vault\'s key; null for Microsoft\'s own.')
param key { uri: string, identityId: string }?

// ISO 8601: Sundays at three in the morning, from the first one after this was written.
var weekly = 'R/2026-12-06T03:00:00+00:00/P1W'
var tenYears = 'P10Y'

resource user 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identity
  scope: resourceGroup(coreGroup)
}

resource cosmos 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' existing = {
  name: source.account
  scope: resourceGroup(coreGroup)
}

resource data 'Microsoft.Storage/storageAccounts@2026-09-01' existing = {
  name: blobs.account
  scope: resourceGroup(coreGroup)
}

resource copies 'Microsoft.Storage/storageAccounts@2026-09-01' existing = { name: storage.name }

// Cosmos DB keeps 30 days by itself and not one more: what is older is a copy.
resource factory 'Microsoft.DataFactory/factories@2018-06-01' = {
  name: 'adf-${suffix}'
  location: location
  tags: tags
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${user.id}': {} } }
  properties: { publicNetworkAccess: private ? 'Disabled' : 'Enabled' }

  resource credential 'credentials' = {
    name: 'identity'
    properties: { type: 'ManagedIdentity', typeProperties: { resourceId: user.id } }
  }

  resource network 'managedVirtualNetworks' = {
    name: 'default'
    properties: {}

    // Azure waits for their owner to approve them: scripts/deploy does.
    resource toCosmos 'managedPrivateEndpoints' = {
      name: 'cosmos'
      properties: { groupId: 'Sql', privateLinkResourceId: cosmos.id }
    }

    resource toCopies 'managedPrivateEndpoints' = {
      name: 'copies'
      properties: { groupId: 'blob', privateLinkResourceId: copies.id }
    }
  }

  resource runtime 'integrationRuntimes' = {
    name: 'private'
    properties: {
      type: 'Managed'
      managedVirtualNetwork: { type: 'ManagedVirtualNetworkReference', referenceName: network.name }
      typeProperties: { computeProperties: { location: location } }
    }
  }

  // Whence and whither are parameters: the same pipelines copy out, and back into an account that was made for a drill.
  resource documents 'linkedservices' = {
    name: 'documents'
    properties: {
      type: 'CosmosDb'
      parameters: { endpoint: { type: 'String' }, database: { type: 'String' } }
      connectVia: { type: 'IntegrationRuntimeReference', referenceName: runtime.name }
      typeProperties: {
        accountEndpoint: '@{linkedService().endpoint}'
        database: '@{linkedService().database}'
        credential: { type: 'CredentialReference', referenceName: credential.name }
      }
    }
  }

  resource files 'linkedservices' = {
    name: 'files'
    properties: {
      type: 'AzureBlobStorage'
      connectVia: { type: 'IntegrationRuntimeReference', referenceName: runtime.name }
      typeProperties: {
        serviceEndpoint: copies.properties.primaryEndpoints.blob
        accountKind: 'StorageV2'
        credential: { type: 'CredentialReference', referenceName: credential.name }
      }
    }
  }

  resource container 'datasets' = {
    name: 'container'
    properties: {
      type: 'CosmosDbSqlApiCollection'
      parameters: { endpoint: { type: 'String' }, database: { type: 'String' }, container: { type: 'String' } }
      linkedServiceName: {
        type: 'LinkedServiceReference'
        referenceName: documents.name
        parameters: { endpoint: '@dataset().endpoint', database: '@dataset().database' }
      }
      typeProperties: { collectionName: { type: 'Expression', value: '@dataset().container' } }
    }
  }

  resource folder 'datasets' = {
    name: 'folder'
    properties: {
      type: 'Json'
      parameters: { folder: { type: 'String' } }
      linkedServiceName: { type: 'LinkedServiceReference', referenceName: files.name }
      typeProperties: {
        location: {
          type: 'AzureBlobStorageLocation'
          container: storage.container
          folderPath: { type: 'Expression', value: '@dataset().folder' }
        }
        compression: { type: 'gzip' }
      }
    }
  }

  resource out 'pipelines' = {
    name: 'backup'
    properties: {
      description: 'Copies all documents to a folder of today\'s date.'
      concurrency: 1
      activities: [
        {
          name: 'copy'
          type: 'Copy'
          policy: { timeout: '0.12:00:00', retry: 2, retryIntervalInSeconds: 600 }
          typeProperties: {
            source: { type: 'CosmosDbSqlApiSource', preferredRegions: [], detectDatetime: false } // bytes stay bytes
            sink: {
              type: 'JsonSink'
              storeSettings: { type: 'AzureBlobStorageWriteSettings' }
              formatSettings: { type: 'JsonWriteSettings' }
            }
          }
          inputs: [
            {
              type: 'DatasetReference'
              referenceName: container.name
              parameters: {
                endpoint: cosmos.properties.documentEndpoint
                database: source.database
                container: source.container
              }
            }
          ]
          outputs: [
            {
              type: 'DatasetReference'
              referenceName: folder.name
              parameters: { folder: { type: 'Expression', value: '@formatDateTime(utcNow(), \'yyyy-MM-dd\')' } }
            }
          ]
        }
      ]
    }
  }

  resource back 'pipelines' = {
    name: 'restore'
    properties: {
      description: 'Copies the documents of a folder into a container that was made to hold them.'
      concurrency: 1
      parameters: {
        folder: { type: 'String' }
        endpoint: { type: 'String' }
        database: { type: 'String' }
        container: { type: 'String' }
      }
      activities: [
        {
          name: 'copy'
          type: 'Copy'
          policy: { timeout: '0.12:00:00', retry: 2, retryIntervalInSeconds: 600 }
          typeProperties: {
            source: {
              type: 'JsonSource'
              storeSettings: { type: 'AzureBlobStorageReadSettings', recursive: true, wildcardFileName: '*' }
              formatSettings: { type: 'JsonReadSettings' }
            }
            sink: { type: 'CosmosDbSqlApiSink', writeBehavior: 'upsert' }
          }
          inputs: [
            {
              type: 'DatasetReference'
              referenceName: folder.name
              parameters: { folder: { type: 'Expression', value: '@pipeline().parameters.folder' } }
            }
          ]
          outputs: [
            {
              type: 'DatasetReference'
              referenceName: container.name
              parameters: {
                endpoint: { type: 'Expression', value: '@pipeline().parameters.endpoint' }
                database: { type: 'Expression', value: '@pipeline().parameters.database' }
                container: { type: 'Expression', value: '@pipeline().parameters.container' }
              }
            }
          ]
        }
      ]
    }
  }

  // Azure makes triggers stopped: scripts/deploy starts it.
  resource clock 'triggers' = {
    name: 'weekly'
    properties: {
      type: 'ScheduleTrigger'
      pipelines: [{ pipelineReference: { type: 'PipelineReference', referenceName: out.name } }]
      typeProperties: {
        recurrence: {
          frequency: 'Week'
          interval: 1
          startTime: '2026-12-06T05:00:00Z'
          timeZone: 'UTC'
          schedule: { weekDays: ['Sunday'], hours: [5], minutes: [0] }
        }
      }
    }
  }
}

resource factoryLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: factory
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

// 2025-01-01: the types of later versions have lost the parameters of blob backups.
resource vault 'Microsoft.DataProtection/backupVaults@2025-01-01' = {
  name: 'bvault-${suffix}'
  location: location
  tags: tags
  identity: key == null
    ? { type: 'SystemAssigned' }
    : { type: 'SystemAssigned,UserAssigned', userAssignedIdentities: { '${key!.identityId}': {} } }
  properties: {
    storageSettings: [{ datastoreType: 'VaultStore', type: 'GeoRedundant' }]
    securitySettings: {
      // Unlocked can still be undone: docs/bootstrap.md says when and how to lock it for good.
      immutabilitySettings: { state: 'Unlocked' }
      softDeleteSettings: { state: 'On', retentionDurationInDays: 30 }
      encryptionSettings: key == null
        ? null
        : {
            state: 'Enabled'
            infrastructureEncryption: 'Enabled'
            keyVaultProperties: { keyUri: key!.uri }
            kekIdentity: { identityType: 'UserAssigned', identityId: key!.identityId }
          }
    }
    monitoringSettings: { azureMonitorAlertSettings: { alertsForAllJobFailures: 'Enabled' } }
    featureSettings: { crossRegionRestoreSettings: { state: 'Enabled' } }
  }

  resource tenYearsOfWeeks 'backupPolicies' = {
    name: 'weekly-ten-years'
    properties: {
      objectType: 'BackupPolicy'
      datasourceTypes: ['Microsoft.Storage/storageAccounts/blobServices']
      policyRules: [
        {
          objectType: 'AzureBackupRule'
          name: 'weekly'
          backupParameters: { objectType: 'AzureBackupParams', backupType: 'Discrete' }
          dataStore: { objectType: 'DataStoreInfoBase', dataStoreType: 'VaultStore' }
          trigger: {
            objectType: 'ScheduleBasedTriggerContext'
            schedule: { repeatingTimeIntervals: [weekly], timeZone: 'UTC' }
            taggingCriteria: [{ isDefault: true, taggingPriority: 99, tagInfo: { tagName: 'Default' } }]
          }
        }
        {
          objectType: 'AzureRetentionRule'
          name: 'Default'
          isDefault: true
          lifecycles: [
            {
              deleteAfter: { objectType: 'AbsoluteDeleteOption', duration: tenYears }
              sourceDataStore: { objectType: 'DataStoreInfoBase', dataStoreType: 'VaultStore' }
              targetDataStoreCopySettings: []
            }
          ]
        }
      ]
    }
  }

  resource dataBlobs 'backupInstances' = {
    name: 'data-blobs'
    properties: {
      objectType: 'BackupInstance'
      friendlyName: 'data-blobs'
      dataSourceInfo: {
        objectType: 'Datasource'
        resourceID: data.id
        resourceName: data.name
        resourceType: 'Microsoft.Storage/storageAccounts'
        resourceUri: data.id
        resourceLocation: data.location
        datasourceType: 'Microsoft.Storage/storageAccounts/blobServices'
      }
      policyInfo: {
        policyId: tenYearsOfWeeks.id
        policyParameters: {
          backupDatasourceParametersList: [
            { objectType: 'BlobBackupDatasourceParameters', containersList: blobs.containers }
          ]
        }
      }
    }
    dependsOn: [mayRead]
  }
}

module mayRead 'backup-access.bicep' = {
  scope: resourceGroup(coreGroup)
  params: { account: blobs.account, principalId: vault.identity.principalId, vaultName: 'bvault-${suffix}' }
}

resource vaultLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'Health', enabled: true }]
  }
}
