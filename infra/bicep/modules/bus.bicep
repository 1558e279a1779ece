metadata description = 'Service Bus: the queues and topics of the estate, no keys, and who may send and receive on each.'

import { Tags, App, Key, Subscriber } from 'types.bicep'

@description('The namespace\'s name.')
@minLength(6)
@maxLength(50)
param name string

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('The region.')
param location string

@description('The region that messages are replicated to; empty for none. Premium only.')
param standbyLocation string

@description('Whether it is reached by private endpoints alone. Premium only.')
param private bool

@description('Messaging units; 0 is the Standard tier, which has no private endpoints, no own keys and no replication.')
@allowed([0, 1, 2, 4, 8, 16])
param units int

@description('The key that encrypts it; null for Microsoft\'s own.')
param key Key?

@description('The apps.')
param apps App[]

@description('The resource group of the identities.')
param identityGroup string

@description('Workloads of users that send requests, by the object ids of their identities.')
param integrations { name: string, principalId: string }[]

@description('Subscribers of results and events.')
param subscribers Subscriber[]

var estate = loadJsonContent('../../estate/estate.json')
var bus = estate.bus
var premium = units > 0

var receiver = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0')
var sender = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39')

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' = {
  name: name
  location: location
  tags: tags
  sku: premium ? { name: 'Premium', tier: 'Premium', capacity: units } : { name: 'Standard', tier: 'Standard' }
  identity: key == null
    ? { type: 'None' }
    : { type: 'UserAssigned', userAssignedIdentities: { '${key!.identityId}': {} } }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.3'
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    zoneRedundant: true // the platform's own wherever a region has zones
    premiumMessagingPartitions: premium ? 1 : null
    // Asynchronous, and never more than the recovery point behind: beyond that sending is held up or refused.
    geoDataReplication: !premium || empty(standbyLocation)
      ? null
      : {
          maxReplicationLagDurationInSeconds: 300
          locations: [
            { locationName: location, roleType: 'Primary' }
            { locationName: standbyLocation, roleType: 'Secondary' }
          ]
        }
    encryption: key == null
      ? null
      : {
          keySource: 'Microsoft.KeyVault'
          requireInfrastructureEncryption: true
          keyVaultProperties: [
            {
              keyName: key!.name
              keyVaultUri: key!.vaultUri
              keyVersion: ''
              identity: { userAssignedIdentity: key!.identityId }
            }
          ]
        }
  }
}

resource network 'Microsoft.ServiceBus/namespaces/networkRuleSets@2026-01-01' = if (premium) {
  parent: namespace
  name: 'default'
  properties: {
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    defaultAction: private ? 'Deny' : 'Allow'
    trustedServiceAccessEnabled: false
    ipRules: []
    virtualNetworkRules: []
  }
}

resource queues 'Microsoft.ServiceBus/namespaces/queues@2026-01-01' = [
  for q in bus.queues: {
    parent: namespace
    name: q.name
    properties: {
      lockDuration: bus.lock
      maxDeliveryCount: bus.maxDeliveries
      requiresDuplicateDetection: true
      duplicateDetectionHistoryTimeWindow: bus.duplicateWindow
      defaultMessageTimeToLive: bus.timeToLive
      deadLetteringOnMessageExpiration: true // what was not worked in time is looked at, not lost
      requiresSession: false
      enablePartitioning: false
    }
  }
]

resource topics 'Microsoft.ServiceBus/namespaces/topics@2026-01-01' = [
  for t in bus.topics: {
    parent: namespace
    name: t.name
    properties: {
      requiresDuplicateDetection: true
      duplicateDetectionHistoryTimeWindow: bus.duplicateWindow
      defaultMessageTimeToLive: bus.timeToLive
      enablePartitioning: false
      supportOrdering: false
    }
  }
]

var standing = flatten(map(bus.topics, t => map(t.subscriptions, s => { topic: t.name, name: s.name })))

resource subscriptions 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2026-01-01' = [
  for s in standing: {
    name: '${name}/${s.topic}/${s.name}'
    properties: {
      lockDuration: bus.lock
      maxDeliveryCount: bus.maxDeliveries
      defaultMessageTimeToLive: bus.timeToLive
      deadLetteringOnMessageExpiration: false // kept for who comes late; what nobody wanted ends
      deadLetteringOnFilterEvaluationExceptions: true
    }
    dependsOn: [topics]
  }
]

resource theirs 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2026-01-01' = [
  for s in subscribers: {
    name: '${name}/${s.topic}/${s.name}'
    properties: {
      lockDuration: bus.lock
      maxDeliveryCount: bus.maxDeliveries
      defaultMessageTimeToLive: bus.timeToLive
      deadLetteringOnMessageExpiration: true
      deadLetteringOnFilterEvaluationExceptions: true
    }
    dependsOn: [topics]
  }
]

// $Default lets everything through: it is made the filter instead of having one beside it.
resource filters 'Microsoft.ServiceBus/namespaces/topics/subscriptions/rules@2026-01-01' = [
  for (s, i) in subscribers: {
    parent: theirs[i]
    name: '$Default'
    properties: {
      filterType: 'CorrelationFilter'
      correlationFilter: {
        properties: s.?engine == null ? { tenant: s.tenant } : { tenant: s.tenant, engine: s.engine! }
      }
    }
  }
]

resource theirAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (s, i) in subscribers: {
    scope: theirs[i]
    name: guid(namespace.id, s.topic, s.name, s.principalId, receiver)
    properties: { roleDefinitionId: receiver, principalId: s.principalId, principalType: 'ServicePrincipal' }
  }
]

// Who sends and who receives is said in the estate, queue by queue.
var queueReceivers = flatten(map(
  range(0, length(bus.queues)),
  i => map(filter(apps, a => a.role == bus.queues[i].receivedBy), a => { queue: i, app: a })
))
var queueSenders = flatten(map(
  range(0, length(bus.queues)),
  i => map(filter(apps, a => contains(bus.queues[i].sentBy, a.role)), a => { queue: i, app: a })
))
var topicSenders = flatten(map(
  range(0, length(bus.topics)),
  i => map(filter(apps, a => contains(bus.topics[i].sentBy, a.role)), a => { topic: i, app: a })
))
var outside = flatten(map(
  range(0, length(bus.queues)),
  i => contains(bus.queues[i].sentBy, 'integrations') ? map(integrations, n => { queue: i, from: n }) : []
))

resource receivers 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for x in queueReceivers: { name: x.app.identity, scope: resourceGroup(identityGroup) }
]

resource senders 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for x in queueSenders: { name: x.app.identity, scope: resourceGroup(identityGroup) }
]

resource publishers 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for x in topicSenders: { name: x.app.identity, scope: resourceGroup(identityGroup) }
]

resource receive 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (r, i) in queueReceivers: {
    scope: queues[r.queue]
    name: guid(queues[r.queue].id, r.app.identity, receiver)
    properties: {
      roleDefinitionId: receiver
      principalId: receivers[i].properties.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource send 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (r, i) in queueSenders: {
    scope: queues[r.queue]
    name: guid(queues[r.queue].id, r.app.identity, sender)
    properties: {
      roleDefinitionId: sender
      principalId: senders[i].properties.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource publish 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (r, i) in topicSenders: {
    scope: topics[r.topic]
    name: guid(topics[r.topic].id, r.app.identity, sender)
    properties: {
      roleDefinitionId: sender
      principalId: publishers[i].properties.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource request 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for r in outside: {
    scope: queues[r.queue]
    name: guid(queues[r.queue].id, r.from.principalId, sender)
    properties: { roleDefinitionId: sender, principalId: r.from.principalId, principalType: 'ServicePrincipal' }
  }
]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: namespace
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Where it answers.')
output host string = replace(replace(namespace.properties.serviceBusEndpoint, 'https://', ''), ':443/', '')
