metadata description = 'What must be there before the first deployment: the identity that deploys, what it may do, and who of the people may ask for what.'

targetScope = 'subscription'

import { Tags, People } from '../modules/types.bicep'

@description('Which environment this is.')
@allowed(['dev', 'staging', 'prod'])
param environment string

@description('The region.')
@allowed([
  'westeurope'
  'northeurope'
  'francecentral'
  'germanywestcentral'
  'swedencentral'
  'italynorth'
  'polandcentral'
  'spaincentral'
])
param location string

@description('Which team answers for it.')
param owner string

@description('Who pays.')
param costCentre string

@description('How bad it is when it fails.')
@allowed(['low', 'medium', 'high'])
param criticality string

@description('Which jobs may sign in as the deployment identity, without a secret: e.g. GitHub\'s issuer and repo:owner/name:environment:prod.')
param federated { name: string, issuer: string, subject: string }[]

@description('Which jobs may sign in as an identity that sees what a deployment would change and can change nothing: those of pull requests.')
param planners { name: string, issuer: string, subject: string }[] = []

@description('Which jobs may sign in as an identity that does drills, and can neither deploy nor give rights.')
param drillers { name: string, issuer: string, subject: string }[] = []

@description('Defender for Storage with its scan for malware, for the whole subscription: only an Owner may switch it on, for it gives its scanner a right.')
param malwareScan bool = environment == 'prod'

@description('The second region, where copies are kept; empty where there are none.')
param standbyLocation string = ''

@description('Groups of people; each may ask for its role for eight hours.')
param people People = {}

@description('When this was last asked for: a request for eligibility is made once, and Azure refuses one that it knows.')
param asked string = utcNow()

var base = 'polis-${environment}'
var token = take(uniqueString(subscription().id, environment), 5)
var tags Tags = {
  app: 'polis'
  owner: owner
  environment: environment
  criticality: criticality
  'data-class': 'personal'
  'cost-centre': costCentre
  'azd-env-name': environment
}

// Role Based Access Control Administrator, and Reader for people who only look.
var accessAdministrator = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  'f58310d9-a9f6-439a-9e8d-f62e7b41a168'
)

// The roles that templates give: docs/roles.md. The deployment identity can give no other, to nobody but a workload, custodians aside.
var given = [
  'e147488a-f6f5-4113-8e2d-b22465e65bf6' // Key Vault Crypto Service Encryption User
  '4633458b-17de-408a-b874-0445c86b69e6' // Key Vault Secrets User
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' // Storage Blob Data Owner
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe' // Storage Blob Data Contributor
  '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1' // Storage Blob Data Reader
  '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0' // Azure Service Bus Data Receiver
  '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39' // Azure Service Bus Data Sender
  '3913510d-42f4-4e42-8a64-420c390055eb' // Monitoring Metrics Publisher
  '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd' // Cognitive Services OpenAI User
  '4a9ae827-6dc8-4573-8ac7-8239d42aa03f' // Tag Contributor
  '92aaf0da-9dab-42b6-94a3-d43ce8d16293' // Log Analytics Contributor
  '749f88d5-cbae-40b8-bcfc-e573ddc772fa' // Monitoring Contributor
  scalerRole
  joinerRole
]
var custody = [
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe' // Storage Blob Data Contributor
  '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39' // Azure Service Bus Data Sender
]
// What shows contents or opens something, and what `*/read` would include.
var seesNot = [
  'Microsoft.DocumentDB/databaseAccounts/readonlykeys/*'
  'Microsoft.Insights/logs/*'
  'Microsoft.OperationalInsights/workspaces/query/*'
  'Microsoft.OperationalInsights/workspaces/search/*'
  'Microsoft.OperationalInsights/workspaces/sharedKeys/*'
]
var keys = [
  'Microsoft.DocumentDB/databaseAccounts/listKeys/*'
  'Microsoft.DocumentDB/databaseAccounts/readonlykeys/*'
  'Microsoft.DocumentDB/databaseAccounts/listConnectionStrings/*'
  'Microsoft.DocumentDB/databaseAccounts/regenerateKey/*'
]
var scalerRole = guid(subscription().id, base, 'app-scaler')
var joinerRole = guid(subscription().id, base, 'pool-joiner')

resource core 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${base}'
  location: location
  tags: tags
}

module identity 'deployer.bicep' = {
  name: 'bootstrap-deploy'
  scope: core
  params: { name: 'id-${base}-deploy-${token}', location: location, tags: tags, federated: federated }
}

module plan 'deployer.bicep' = if (!empty(planners)) {
  name: 'bootstrap-plan'
  scope: core
  params: { name: 'id-${base}-plan-${token}', location: location, tags: tags, federated: planners }
}

module drill 'deployer.bicep' = if (!empty(drillers)) {
  name: 'bootstrap-drill'
  scope: core
  params: { name: 'id-${base}-drill-${token}', location: location, tags: tags, federated: drillers }
}

// Drills come by a schedule, with nobody to approve them: they move regions, start and stop apps, and see metrics.
resource driller 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, base, 'driller')
  properties: {
    roleName: 'Polis driller (${environment}-${token})'
    description: 'Does drills: changes which region is first, starts and stops apps.'
    type: 'CustomRole'
    assignableScopes: [subscription().id]
    permissions: [
      {
        actions: [
          '*/read'
          'Microsoft.Cdn/profiles/originGroups/origins/write'
          'Microsoft.DocumentDB/databaseAccounts/failoverPriorityChange/action'
          'Microsoft.ServiceBus/namespaces/failover/action'
          'Microsoft.Storage/storageAccounts/failover/action'
          'Microsoft.Web/sites/start/action'
          'Microsoft.Web/sites/stop/action'
          'Microsoft.Web/sites/syncfunctiontriggers/action'
        ]
        notActions: seesNot
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

resource mayDrill 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(drillers)) {
  name: guid(subscription().id, base, 'drill')
  properties: {
    roleDefinitionId: driller.id
    principalId: drill!.outputs.principalId
    principalType: 'ServicePrincipal'
  }
}

// An account for an hour, a copy read into it: in the group of the copies alone, which templates fill later.
resource rehearser 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, base, 'rehearser')
  properties: {
    roleName: 'Polis rehearser (${environment}-${token})'
    description: 'Reads a copy back into an account of its own, and makes copies.'
    type: 'CustomRole'
    assignableScopes: [subscription().id]
    permissions: [
      {
        actions: [
          'Microsoft.DataFactory/factories/managedVirtualNetworks/managedPrivateEndpoints/*'
          'Microsoft.DataFactory/factories/pipelines/createrun/action'
          'Microsoft.DocumentDB/databaseAccounts/*'
          'Microsoft.Insights/diagnosticSettings/*'
          'Microsoft.Resources/deployments/*'
        ]
        notActions: keys
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

resource archive 'Microsoft.Resources/resourceGroups@2025-04-01' = if (!empty(standbyLocation)) {
  name: 'rg-${base}-backup'
  location: empty(standbyLocation) ? location : standbyLocation
  tags: tags
}

// Azure lets nobody send logs to a workspace who may not list its keys (LinkedAuthorizationFailed). They open
// nothing: the workspace takes none (disableLocalAuth).
resource linker 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, base, 'linker')
  properties: {
    roleName: 'Polis linker (${environment}-${token})'
    description: 'Has logs of what it makes sent to the workspace.'
    type: 'CustomRole'
    assignableScopes: [subscription().id]
    permissions: [
      {
        actions: ['Microsoft.OperationalInsights/workspaces/sharedKeys/action']
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

module mayLink 'assigned.bicep' = if (!empty(drillers) && !empty(standbyLocation)) {
  name: 'bootstrap-link'
  scope: core
  params: { principalId: drill!.outputs.principalId, roleDefinitionId: linker.id }
}

module mayRehearse 'assigned.bicep' = if (!empty(drillers) && !empty(standbyLocation)) {
  name: 'bootstrap-rehearse'
  scope: archive
  params: { principalId: drill!.outputs.principalId, roleDefinitionId: rehearser.id }
}

// A pull request brings the script that runs: it reads what there is, and neither logs nor keys.
resource planner 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, base, 'planner')
  properties: {
    roleName: 'Polis planner (${environment}-${token})'
    description: 'Sees what a deployment would change.'
    type: 'CustomRole'
    assignableScopes: [subscription().id]
    permissions: [
      {
        actions: [
          '*/read'
          'Microsoft.Resources/deployments/validate/action'
          'Microsoft.Resources/deployments/whatIf/action'
        ]
        notActions: seesNot
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

resource mayPlan 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(planners)) {
  name: guid(subscription().id, base, 'plan')
  properties: {
    roleDefinitionId: planner.id
    principalId: plan!.outputs.principalId
    principalType: 'ServicePrincipal'
  }
}

// Contributor without what an attacker would want: no reading of keys, no rights to give.
resource deployer 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, base, 'deployer')
  properties: {
    roleName: 'Polis deployer (${environment}-${token})'
    description: 'Makes and changes what the templates of Polis make.'
    type: 'CustomRole'
    assignableScopes: [subscription().id]
    permissions: [
      {
        actions: [
          'Microsoft.ApiManagement/*'
          'Microsoft.App/*'
          'Microsoft.Authorization/locks/*'
          'Microsoft.Authorization/policyAssignments/*'
          'Microsoft.Authorization/*/read'
          'Microsoft.Cdn/*'
          'Microsoft.CognitiveServices/*'
          'Microsoft.Consumption/budgets/*'
          'Microsoft.DataFactory/*'
          'Microsoft.DevCenter/*'
          'Microsoft.DevOpsInfrastructure/*'
          'Microsoft.DocumentDB/*'
          'Microsoft.Insights/*'
          'Microsoft.KeyVault/*'
          'Microsoft.Logic/*'
          'Microsoft.ManagedIdentity/*'
          'Microsoft.Network/*'
          'Microsoft.OperationalInsights/*'
          'Microsoft.Resources/*'
          'Microsoft.Security/pricings/*'
          'Microsoft.Security/securityContacts/*'
          'Microsoft.SecurityInsights/*'
          'Microsoft.ServiceBus/*'
          'Microsoft.Storage/*'
          'Microsoft.Web/*'
        ]
        // Nor a way in of its own that nobody approves: who may sign in as it is said here alone. The workspace's
        // keys stay: Azure asks for them of who sends logs there, and they open nothing, for it takes none.
        notActions: concat(keys, [
          'Microsoft.CognitiveServices/accounts/listKeys/action'
          'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/delete'
          'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write'
          'Microsoft.ServiceBus/namespaces/authorizationRules/*'
          'Microsoft.ServiceBus/namespaces/queues/authorizationRules/*'
          'Microsoft.ServiceBus/namespaces/topics/authorizationRules/*'
          'Microsoft.Storage/storageAccounts/listKeys/action'
          'Microsoft.Storage/storageAccounts/regenerateKey/action'
          'Microsoft.Web/sites/host/listKeys/action'
          'Microsoft.Web/sites/publishxml/action'
        ])
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

resource mayDeploy 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subscription().id, base, 'deploy')
  properties: {
    roleDefinitionId: deployer.id
    principalId: identity.outputs.principalId
    principalType: 'ServicePrincipal'
  }
}

// Reads: may write or delete an assignment only where its role is on the list and its principal a workload, or
// where it is one of the two that custodians need and its principal their group.
var list = join(given, ', ')
var toCustodians = empty(people.?custodians ?? '')
  ? ''
  : ' OR (@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${join(custody, ', ')}} AND @Request[Microsoft.Authorization/roleAssignments:PrincipalId] ForAnyOfAnyValues:GuidEquals {${people.?custodians ?? ''}})'
var condition = '((!(ActionMatches{\'Microsoft.Authorization/roleAssignments/write\'})) OR (@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${list}} AND @Request[Microsoft.Authorization/roleAssignments:PrincipalType] StringEqualsIgnoreCase \'ServicePrincipal\')${toCustodians}) AND ((!(ActionMatches{\'Microsoft.Authorization/roleAssignments/delete\'})) OR (@Resource[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${list}}))'

resource mayGive 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subscription().id, base, 'give')
  properties: {
    roleDefinitionId: accessAdministrator
    principalId: identity.outputs.principalId
    principalType: 'ServicePrincipal'
    conditionVersion: '2.0'
    condition: condition
  }
}

// What callers import is looked at for malware: at most 500 GB a month and account, for it is paid by GB.
resource malware 'Microsoft.Security/pricings@2026-07-01' = if (malwareScan) {
  name: 'StorageAccounts'
  properties: {
    pricingTier: 'Standard'
    subPlan: 'DefenderForStorageV2'
    extensions: [
      {
        name: 'OnUploadMalwareScanning'
        isEnabled: 'True'
        additionalExtensionProperties: { CapGBPerMonthPerStorageAccount: '500' }
      }
    ]
  }
}

// The roles of our own that templates give: the deployment identity may not change them, so they are made here.
resource scaler 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: scalerRole
  properties: {
    roleName: 'Polis app scaler (${environment}-${token})'
    description: 'Changes how many instances of an app are ready.'
    type: 'CustomRole'
    assignableScopes: [subscription().id]
    permissions: [
      {
        actions: ['Microsoft.Web/sites/read', 'Microsoft.Web/sites/write']
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

// What Managed DevOps Pools asks for in place of Network Contributor.
resource joiner 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: joinerRole
  properties: {
    roleName: 'Polis pool joiner (${environment}-${token})'
    description: 'Puts machines of a pool into a subnet that is delegated to pools.'
    type: 'CustomRole'
    assignableScopes: [subscription().id]
    permissions: [
      {
        actions: [
          'Microsoft.Network/virtualNetworks/*/read'
          'Microsoft.Network/virtualNetworks/subnets/join/action'
          'Microsoft.Network/virtualNetworks/subnets/serviceAssociationLinks/validate/action'
          'Microsoft.Network/virtualNetworks/subnets/serviceAssociationLinks/write'
          'Microsoft.Network/virtualNetworks/subnets/serviceAssociationLinks/delete'
        ]
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

// Nobody has a role all day: a member asks for it, with a reason, and has it for eight hours.
var asks = filter(
  [
    { who: people.?readers ?? '', role: 'acdd72a7-3385-48ef-bd42-f606fba81ae7' } // Reader
    { who: people.?operators ?? '', role: '43d0d8ad-25c7-4714-9337-8ba259a9fe05' } // Monitoring Reader
    { who: people.?operators ?? '', role: '090c5cfd-751d-490a-894a-3ce6f1109419' } // Azure Service Bus Data Owner: replays dead letters
    { who: people.?security ?? '', role: '3e150937-b8fe-4cfb-8069-0eaf05ecd056' } // Microsoft Sentinel Responder
    { who: people.?security ?? '', role: '39bc4728-0917-49c7-9d2c-d95423bc2eb4' } // Security Reader
  ],
  a => !empty(a.who)
)

module eligible 'eligible.bicep' = {
  name: 'bootstrap-eligible'
  scope: core
  params: { asks: asks, asked: asked }
}

// A region that is lost takes the runner with it, and a restore is no drill: people do it, as one of these, from any
// computer. It is what the runbooks' scripts ask of Azure, and no more: keys, data and rights stay shut.
resource recoverer 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, base, 'recoverer')
  properties: {
    roleName: 'Polis recoverer (${environment}-${token})'
    description: 'Leaves a region that is lost, restores, changes over: what the runbooks do by hand.'
    type: 'CustomRole'
    assignableScopes: [subscription().id]
    permissions: [
      {
        actions: [
          '*/read'
          'Microsoft.ApiManagement/service/backends/write'
          'Microsoft.Cdn/profiles/originGroups/origins/write'
          'Microsoft.DocumentDB/databaseAccounts/failoverPriorityChange/action'
          'Microsoft.DocumentDB/databaseAccounts/offlineRegion/action'
          'Microsoft.DocumentDB/databaseAccounts/onlineRegion/action'
          'Microsoft.DocumentDB/locations/restorableDatabaseAccounts/restore/action'
          'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action'
          'Microsoft.Network/virtualNetworks/subnets/join/action' // which a site that is written says again
          'Microsoft.Resources/tags/write'
          'Microsoft.ServiceBus/namespaces/failover/action'
          'Microsoft.Storage/storageAccounts/failover/action'
          'Microsoft.Storage/storageAccounts/restoreBlobRanges/action'
          'Microsoft.Web/sites/start/action'
          'Microsoft.Web/sites/stop/action'
          'Microsoft.Web/sites/syncfunctiontriggers/action'
          'Microsoft.Web/sites/write' // a site's ready instances are written with the site
        ]
        notActions: seesNot
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

var recovery = people.?recovery ?? ''

module mayRecover 'eligible-anywhere.bicep' = if (!empty(recovery)) {
  params: { who: recovery, roleDefinitionId: recoverer.id, asked: asked }
}

// Evidence of what they did; and where there are copies, that one may be read back.
module mayKeep 'eligible.bicep' = if (!empty(recovery)) {
  name: 'bootstrap-keep'
  scope: core
  params: {
    asks: [
      { who: recovery, role: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe', container: 'evidence' } // Storage Blob Data Contributor
      { who: recovery, role: linker.name }
    ]
    asked: asked
  }
}

module mayRestore 'eligible.bicep' = if (!empty(recovery) && !empty(standbyLocation)) {
  name: 'bootstrap-restore'
  scope: archive
  params: {
    asks: [
      { who: recovery, role: '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1', container: 'whole' } // Storage Blob Data Reader
      { who: recovery, role: rehearser.name }
    ]
    asked: asked
  }
}

@description('Who plans; empty where nobody does.')
output planClientId string = plan.?outputs.clientId ?? ''

@description('Who does drills; empty where nobody does.')
output drillClientId string = drill.?outputs.clientId ?? ''

@description('Who deploys, for the pipelines\' settings: a client id is no secret.')
output clientId string = identity.outputs.clientId
