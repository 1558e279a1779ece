metadata description = 'Who brings in tenants, books and models from the command line: what those commands need, and nothing else.'

import { Custodian } from 'types.bicep'

@description('Who.')
@minLength(1)
param custodians Custodian[]

@description('The account of the documents.')
param cosmos string

@description('The account of the blobs.')
param data string

@description('The namespace of the queues.')
param bus string

var estate = loadJsonContent('../../estate/estate.json')
var box = filter(estate.blobs, b => b.account == 'data')[0].name

var contributor = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
)
var sender = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39')

resource account 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' existing = {
  name: cosmos

  // Cosmos DB Built-in Data Contributor.
  resource writer 'sqlRoleDefinitions' existing = {
    name: '00000000-0000-0000-0000-000000000002'
  }
}

resource storage 'Microsoft.Storage/storageAccounts@2026-09-01' existing = {
  name: data

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource container 'containers' existing = {
      name: box
    }
  }
}

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' existing = {
  name: bus
}

// Who sends to what is said in the estate.
var toQueues = filter(estate.bus.queues, q => contains(q.sentBy, 'custodians'))
var toTopics = filter(estate.bus.topics, t => contains(t.sentBy, 'custodians'))
var queueSenders = flatten(map(range(0, length(toQueues)), i => map(custodians, c => { queue: i, who: c })))
var topicSenders = flatten(map(range(0, length(toTopics)), i => map(custodians, c => { topic: i, who: c })))

resource queues 'Microsoft.ServiceBus/namespaces/queues@2026-01-01' existing = [
  for q in toQueues: { parent: namespace, name: q.name }
]

resource topics 'Microsoft.ServiceBus/namespaces/topics@2026-01-01' existing = [
  for t in toTopics: { parent: namespace, name: t.name }
]

// Azure has no eligibility for these: where it is a group, membership is what is asked for.
@batchSize(1) // as cosmos.bicep's
resource documents 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2026-03-15' = [
  for c in custodians: {
    parent: account
    name: guid(account.id, c.principalId, 'data-contributor')
    properties: {
      roleDefinitionId: account::writer.id
      principalId: c.principalId
      scope: '${account.id}/dbs/${estate.documents.database}'
    }
  }
]

resource files 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for c in custodians: {
    scope: storage::blobs::container
    name: guid(storage.id, box, c.principalId, contributor)
    properties: { roleDefinitionId: contributor, principalId: c.principalId, principalType: c.kind }
  }
]

resource send 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for s in queueSenders: {
    scope: queues[s.queue]
    name: guid(queues[s.queue].id, s.who.principalId, sender)
    properties: { roleDefinitionId: sender, principalId: s.who.principalId, principalType: s.who.kind }
  }
]

resource publish 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for s in topicSenders: {
    scope: topics[s.topic]
    name: guid(topics[s.topic].id, s.who.principalId, sender)
    properties: { roleDefinitionId: sender, principalId: s.who.principalId, principalType: s.who.kind }
  }
]
