metadata description = 'Weekly copies of documents and blobs, kept for ten years, unchangeable, with a key of their own, in a group of their own.'

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

@description('The copies\' storage account and its containers: of documents, of blobs, and of what says that a copy is whole.')
param storage { name: string, documents: string, blobs: string, whole: string }

@description('The identity that copies, in the group of identities.')
param identity string

@description('The resource group of the identities and of what is copied.')
param coreGroup string

@description('The Cosmos DB account that is copied, and its database and container.')
param source { account: string, database: string, container: string }

@description('The storage account and container whose blobs are copied, and which: those below a prefix that were written in so many days.')
param blobs { account: string, container: string, prefixes: { folder: string, days: int }[] }

// Where a run writes: a day may have two.
var run = '@concat(formatDateTime(pipeline().TriggerTime, \'yyyy-MM-dd\'), \'/\', pipeline().RunId)'
var fromData = {
  endpoint: data.properties.primaryEndpoints.blob
  container: blobs.container
  folder: { type: 'Expression', value: '@item().folder' }
}

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

    resource toData 'managedPrivateEndpoints' = {
      name: 'data'
      properties: { groupId: 'blob', privateLinkResourceId: data.id }
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
      parameters: { endpoint: { type: 'String' } }
      connectVia: { type: 'IntegrationRuntimeReference', referenceName: runtime.name }
      typeProperties: {
        serviceEndpoint: '@{linkedService().endpoint}'
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
      linkedServiceName: {
        type: 'LinkedServiceReference'
        referenceName: files.name
        parameters: { endpoint: copies.properties.primaryEndpoints.blob }
      }
      typeProperties: {
        location: {
          type: 'AzureBlobStorageLocation'
          container: storage.documents
          folderPath: { type: 'Expression', value: '@dataset().folder' }
        }
        compression: { type: 'gzip' }
      }
    }
  }

  resource bytes 'datasets' = {
    name: 'bytes'
    properties: {
      type: 'Binary'
      parameters: { endpoint: { type: 'String' }, container: { type: 'String' }, folder: { type: 'String' } }
      linkedServiceName: {
        type: 'LinkedServiceReference'
        referenceName: files.name
        parameters: { endpoint: '@dataset().endpoint' }
      }
      typeProperties: {
        location: {
          type: 'AzureBlobStorageLocation'
          container: { type: 'Expression', value: '@dataset().container' }
          folderPath: { type: 'Expression', value: '@dataset().folder' }
        }
      }
    }
  }

  // A run writes where no other has: what it wrote cannot be changed, so a second try begins anew, in a
  // folder of its own, and no activity is tried twice. What is whole says so in a container of its own.
  resource out 'pipelines' = {
    name: 'backup'
    properties: {
      description: 'Copies documents and blobs to a folder of today\'s date and of this run, and writes down that they are whole.'
      concurrency: 1
      activities: [
        {
          name: 'documents'
          type: 'Copy'
          policy: { timeout: '0.12:00:00', retry: 0 }
          typeProperties: {
            source: { type: 'CosmosDbSqlApiSource', preferredRegions: [], detectDatetime: false } // bytes stay bytes
            sink: {
              type: 'JsonSink'
              storeSettings: { type: 'AzureBlobStorageWriteSettings' }
              formatSettings: { type: 'JsonWriteSettings', filePattern: 'setOfObjects' } // a document a line: anything reads it
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
              parameters: { folder: { type: 'Expression', value: run } }
            }
          ]
        }
        {
          name: 'blobs'
          type: 'ForEach'
          typeProperties: {
            isSequential: true
            items: { type: 'Expression', value: '@json(\'${string(blobs.prefixes)}\')' }
            activities: [
              {
                name: 'are-there-any' // a folder that nothing has been written to is none, and copying it fails
                type: 'GetMetadata'
                policy: { timeout: '0.00:10:00', retry: 2, retryIntervalInSeconds: 60 }
                typeProperties: {
                  dataset: { type: 'DatasetReference', referenceName: bytes.name, parameters: fromData }
                  fieldList: ['exists']
                  storeSettings: { type: 'AzureBlobStorageReadSettings', recursive: true }
                  formatSettings: { type: 'BinaryReadSettings' }
                }
              }
              {
                name: 'if-any'
                type: 'IfCondition'
                dependsOn: [{ activity: 'are-there-any', dependencyConditions: ['Succeeded'] }]
                typeProperties: {
                  expression: { type: 'Expression', value: '@activity(\'are-there-any\').output.exists' }
                  ifTrueActivities: [
                    {
                      name: 'copy'
                      type: 'Copy'
                      policy: { timeout: '0.12:00:00', retry: 0 }
                      typeProperties: {
                        source: {
                          type: 'BinarySource'
                          storeSettings: {
                            type: 'AzureBlobStorageReadSettings'
                            recursive: true
                            modifiedDatetimeStart: {
                              type: 'Expression'
                              value: '@formatDateTime(addDays(utcNow(), mul(-1, item().days)), \'yyyy-MM-ddTHH:mm:ssZ\')'
                            }
                          }
                          formatSettings: { type: 'BinaryReadSettings' }
                        }
                        sink: {
                          type: 'BinarySink'
                          storeSettings: { type: 'AzureBlobStorageWriteSettings', copyBehavior: 'PreserveHierarchy' }
                        }
                        validateDataConsistency: true // sizes and digests are compared
                      }
                      inputs: [{ type: 'DatasetReference', referenceName: bytes.name, parameters: fromData }]
                      outputs: [
                        {
                          type: 'DatasetReference'
                          referenceName: bytes.name
                          parameters: {
                            endpoint: copies.properties.primaryEndpoints.blob
                            container: storage.blobs
                            folder: {
                              type: 'Expression'
                              value: '@concat(formatDateTime(pipeline().TriggerTime, \'yyyy-MM-dd\'), \'/\', pipeline().RunId, \'/\', item().folder)'
                            }
                          }
                        }
                      ]
                    }
                  ]
                }
              }
            ]
          }
        }
        {
          name: 'whole'
          type: 'WebActivity'
          dependsOn: [
            { activity: 'documents', dependencyConditions: ['Succeeded'] }
            { activity: 'blobs', dependencyConditions: ['Succeeded'] }
            { activity: 'all-written', dependencyConditions: ['Succeeded'] }
          ]
          policy: { timeout: '0.00:10:00', retry: 2, retryIntervalInSeconds: 60, secureInput: false }
          typeProperties: {
            method: 'PUT'
            url: {
              type: 'Expression'
              value: '@concat(\'${copies.properties.primaryEndpoints.blob}${storage.whole}/\', formatDateTime(pipeline().TriggerTime, \'yyyy-MM-dd\'), \'/\', pipeline().RunId, \'.json\')'
            }
            headers: {
              'x-ms-blob-type': 'BlockBlob'
              'x-ms-version': '2021-08-06'
              'x-ms-date': { type: 'Expression', value: '@formatDateTime(utcNow(), \'R\')' }
              'Content-Type': 'application/json'
            }
            body: {
              type: 'Expression'
              value: '@concat(\'{"run":"\', pipeline().RunId, \'","read":\', string(activity(\'documents\').output.rowsRead), \',"written":\', string(activity(\'documents\').output.rowsCopied), \'}\')'
            }
            authentication: {
              type: 'UserAssignedManagedIdentity'
              resource: 'https://storage.azure.com/'
              credential: { type: 'CredentialReference', referenceName: credential.name }
            }
            connectVia: { type: 'IntegrationRuntimeReference', referenceName: runtime.name }
          }
        }
        {
          name: 'all-written'
          type: 'IfCondition'
          dependsOn: [{ activity: 'documents', dependencyConditions: ['Succeeded'] }]
          typeProperties: {
            expression: {
              type: 'Expression'
              value: '@equals(activity(\'documents\').output.rowsCopied, activity(\'documents\').output.rowsRead)'
            }
            ifFalseActivities: [
              {
                name: 'not-all-written'
                type: 'Fail'
                typeProperties: {
                  message: {
                    type: 'Expression'
                    value: '@concat(\'documents written: \', string(activity(\'documents\').output.rowsCopied), \' of \', string(activity(\'documents\').output.rowsRead))'
                  }
                  errorCode: 'not-all'
                }
              }
            ]
          }
        }
      ]
    }
  }

  resource back 'pipelines' = {
    name: 'restore'
    properties: {
      description: 'Copies the documents of a folder into a container that was made to hold them, and fails where they are not as many as were read for it.'
      concurrency: 1
      parameters: {
        folder: { type: 'String' }
        read: { type: 'Int' }
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
        {
          name: 'are-they-all'
          type: 'IfCondition'
          dependsOn: [{ activity: 'copy', dependencyConditions: ['Succeeded'] }]
          typeProperties: {
            expression: {
              type: 'Expression'
              value: '@equals(activity(\'copy\').output.rowsCopied, pipeline().parameters.read)'
            }
            ifFalseActivities: [
              {
                name: 'they-are-not'
                type: 'Fail'
                typeProperties: {
                  message: {
                    type: 'Expression'
                    value: '@concat(\'documents read back: \', string(activity(\'copy\').output.rowsCopied), \' of \', string(pipeline().parameters.read))'
                  }
                  errorCode: 'not-all'
                }
              }
            ]
          }
        }
      ]
    }
  }

  resource blobsBack 'pipelines' = {
    name: 'restore-blobs'
    properties: {
      description: 'Copies the blobs of a folder into a container that this identity may write to.'
      concurrency: 1
      parameters: { folder: { type: 'String' }, endpoint: { type: 'String' }, container: { type: 'String' } }
      activities: [
        {
          name: 'copy'
          type: 'Copy'
          policy: { timeout: '0.12:00:00', retry: 2, retryIntervalInSeconds: 600 }
          typeProperties: {
            source: {
              type: 'BinarySource'
              storeSettings: { type: 'AzureBlobStorageReadSettings', recursive: true }
              formatSettings: { type: 'BinaryReadSettings' }
            }
            sink: {
              type: 'BinarySink'
              storeSettings: { type: 'AzureBlobStorageWriteSettings', copyBehavior: 'PreserveHierarchy' }
            }
            validateDataConsistency: true
          }
          inputs: [
            {
              type: 'DatasetReference'
              referenceName: bytes.name
              parameters: {
                endpoint: copies.properties.primaryEndpoints.blob
                container: storage.blobs
                folder: { type: 'Expression', value: '@pipeline().parameters.folder' }
              }
            }
          ]
          outputs: [
            {
              type: 'DatasetReference'
              referenceName: bytes.name
              parameters: {
                endpoint: { type: 'Expression', value: '@pipeline().parameters.endpoint' }
                container: { type: 'Expression', value: '@pipeline().parameters.container' }
                folder: ''
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
