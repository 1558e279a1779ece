metadata description = 'What holds for the whole subscription: policy, Defender, budgets and the activity log.'

targetScope = 'subscription'

@description('Begins names, e.g. polis-prod.')
param base string

@description('azd\'s name of its environment: what the budget counts is tagged with it.')
param azdEnvironment string

@description('The region: of the identity that remediates.')
param location string

@description('Where data may lie.')
param locations string[]

@description('Whether a public data plane is refused, and not only reported.')
param private bool

@description('The workspace.')
param workspaceId string

@description('Whether Defender watches; its plans are of the subscription, not of one environment.')
param defender bool

@description('EUR a month.')
@minValue(1)
param budget int

@description('The first of a month: when the budget begins. Azure does not let it be changed.')
param budgetFrom string

@description('Who hears of the budget besides the action group.')
param mail string[]

@description('Resources that log in part on purpose: the rest would hold texts of queries and prompts.')
param loggedInPart string[]

@description('Whom alerts reach of what is to be planned for.')
param actionGroupId string

var kind = 'Microsoft.Authorization/policyDefinitions'
var deny = private ? 'Deny' : 'Audit'

// Built-in definitions by id. What they say is what the templates do already: they are there for what
// is made by hand.
var policies = [
  {
    name: 'locations'
    id: 'e56962a6-4747-49cd-b67b-bf8b01975c4c'
    says: 'Resources lie in the EU'
    parameters: { listOfAllowedLocations: { value: locations } }
  }
  {
    name: 'group-locations'
    id: 'e765b5de-1225-4ba3-bd56-1ac6695af988'
    says: 'Resource groups lie in the EU'
    parameters: { listOfAllowedLocations: { value: locations } }
  }
  {
    name: 'storage-public'
    id: 'b2982f36-99f2-4db5-8eff-283140c09693'
    says: 'Storage is private'
    parameters: { effect: { value: deny } }
  }
  {
    name: 'storage-keys'
    id: '8c6a50c6-9ffd-4ae7-986f-5fa6111f9a54'
    says: 'Storage knows no keys'
    parameters: { effect: { value: 'Deny' } }
  }
  {
    name: 'storage-tls'
    id: 'fe83a0eb-a853-422d-aac2-1bffd182c5d0'
    says: 'Storage speaks TLS 1.2 at least'
    parameters: { effect: { value: 'Deny' }, minimumTlsVersion: { value: 'TLS1_2' } }
  }
  {
    name: 'cosmos-public'
    id: '797b37f7-06b8-444c-b1ad-fc62867f335a'
    says: 'Cosmos DB is private'
    parameters: { effect: { value: deny } }
  }
  {
    name: 'cosmos-keys'
    id: '5450f5bd-9c72-4390-a9c4-a7aba4edfdd2'
    says: 'Cosmos DB knows no keys'
    parameters: { effect: { value: 'Deny' } }
  }
  {
    name: 'bus-public'
    id: 'cbd11fd3-3002-4907-b6c8-579f0e700e13'
    says: 'Service Bus is private'
    parameters: { effect: { value: deny } }
  }
  {
    name: 'bus-keys'
    id: 'cfb11c26-f069-4c14-8e36-56c394dae5af'
    says: 'Service Bus knows no keys'
    parameters: { effect: { value: 'Deny' } }
  }
  {
    name: 'vault-public'
    id: '405c5871-3e91-4644-8a63-58e19d68ff5b'
    says: 'Key Vault is private'
    parameters: { effect: { value: deny } }
  }
  {
    name: 'apps-public'
    id: '969ac98b-88a8-449f-883c-2e9adb123127'
    says: 'Function apps are private'
    parameters: { effect: { value: deny } }
  }
  {
    name: 'apps-tls'
    id: 'f9d614c5-c173-4d56-95a7-b4437057d193'
    says: 'Function apps speak the latest TLS'
    parameters: { effect: { value: 'AuditIfNotExists' } }
  }
]
var by = 'infra/bicep/modules/guard.bicep'
var mandatory = ['owner', 'environment', 'criticality', 'data-class', 'cost-centre']

resource assignments 'Microsoft.Authorization/policyAssignments@2026-07-01' = [
  for p in policies: {
    name: '${base}-${p.name}'
    properties: {
      displayName: 'Polis: ${p.says}'
      description: '${p.says}. The templates do it already: this is for what is made by hand.'
      metadata: { assignedBy: by }
      policyDefinitionId: tenantResourceId(kind, p.id)
      parameters: p.parameters
      enforcementMode: 'Default'
      nonComplianceMessages: [{ message: '${p.says}: infra/bicep/modules/guard.bicep' }]
    }
  }
]

resource tagged 'Microsoft.Authorization/policyAssignments@2026-07-01' = [
  for t in mandatory: {
    name: '${base}-tag-${t}'
    properties: {
      displayName: 'Polis: resource groups have the tag ${t}'
      description: 'A resource group without the tag ${t} is refused.'
      metadata: { assignedBy: by }
      policyDefinitionId: tenantResourceId(kind, '96670d01-0a4d-4649-9c89-2d3abc0a5025')
      parameters: { tagName: { value: t } }
      nonComplianceMessages: [{ message: 'A resource group says its ${t}.' }]
    }
  }
]

// The two that put right what they find need an identity with the rights to do so.
resource inherited 'Microsoft.Authorization/policyAssignments@2026-07-01' = [
  for t in mandatory: {
    name: '${base}-inherit-${t}'
    location: location
    identity: { type: 'SystemAssigned' }
    properties: {
      displayName: 'Polis: resources without the tag ${t} take it from their group'
      description: 'A tag ${t} that a resource has of its own stays.'
      metadata: { assignedBy: by }
      policyDefinitionId: tenantResourceId(kind, 'ea3f2387-9b95-492a-a190-fcdc54f7b070')
      parameters: { tagName: { value: t } }
    }
  }
]

resource logged 'Microsoft.Authorization/policyAssignments@2026-07-01' = {
  name: '${base}-diagnostics'
  location: location
  identity: { type: 'SystemAssigned' }
  properties: {
    displayName: 'Polis: what is made by hand logs to the workspace too'
    description: 'Adds a diagnostic setting where there is none that sends all logs to the workspace.'
    metadata: { assignedBy: by }
    policyDefinitionId: tenantResourceId(
      'Microsoft.Authorization/policySetDefinitions',
      '0884adba-2312-4468-abeb-5422caed1038'
    )
    parameters: { logAnalytics: { value: workspaceId } }
    notScopes: loggedInPart // the initiative would add all that they have
  }
}

// Tag Contributor; Log Analytics Contributor and Monitoring Contributor: what the definitions themselves ask for.
var tagContributor = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  '4a9ae827-6dc8-4573-8ac7-8239d42aa03f'
)
var logContributors = ['92aaf0da-9dab-42b6-94a3-d43ce8d16293', '749f88d5-cbae-40b8-bcfc-e573ddc772fa']

resource tagging 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (t, i) in mandatory: {
    name: guid(subscription().id, base, 'inherit', t)
    properties: {
      roleDefinitionId: tagContributor
      principalId: inherited[i].identity.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource logging 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for r in logContributors: {
    name: guid(subscription().id, base, 'diagnostics', r)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', r)
      principalId: logged.identity.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource activity 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: '${base}-activity'
  properties: {
    workspaceId: workspaceId
    logs: [
      for c in [
        'Administrative'
        'Security'
        'ServiceHealth'
        'Alert'
        'Recommendation'
        'Policy'
        'Autoscale'
        'ResourceHealth'
      ]: { category: c, enabled: true }
    ]
  }
}

// Plans are set one after the other: Azure refuses two at once. That of storage is the bootstrap's: its scan for malware
// gives a right, which the deployment identity may not.
var plans = [
  { name: 'Arm', sub: 'PerSubscription' }
  { name: 'KeyVaults', sub: 'PerKeyVault' }
  { name: 'CosmosDbs', sub: '' }
  { name: 'AppServices', sub: '' }
  { name: 'Api', sub: 'P1' }
]

@batchSize(1)
resource defenders 'Microsoft.Security/pricings@2026-07-01' = [
  for p in (defender ? plans : []): {
    name: p.name
    properties: {
      pricingTier: 'Standard'
      subPlan: empty(p.sub) ? null : p.sub
    }
  }
]

// 2023-12-01-preview: there is no version that is not.
resource securityContact 'Microsoft.Security/securityContacts@2023-12-01-preview' = if (defender) {
  name: 'default'
  properties: {
    isEnabled: true
    emails: join(mail, ';')
    notificationsByRole: { state: 'On', roles: ['Owner'] }
    notificationsSources: [{ sourceType: 'Alert', minimalSeverity: 'Medium' }]
  }
}

var steps = [50, 80, 100]

resource spending 'Microsoft.Consumption/budgets@2026-06-01' = {
  name: base
  properties: {
    category: 'Cost'
    amount: budget
    timeGrain: 'Monthly'
    timePeriod: { startDate: budgetFrom }
    filter: { tags: { name: 'azd-env-name', operator: 'In', values: [azdEnvironment] } }
    notifications: union(
      toObject(steps, s => 'actual-${s}', s => {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: s
        thresholdType: 'Actual'
        contactEmails: mail
        contactGroups: [actionGroupId]
      }),
      {
        'forecast-100': {
          enabled: true
          operator: 'GreaterThanOrEqualTo'
          threshold: 100
          thresholdType: 'Forecasted'
          contactEmails: mail
          contactGroups: [actionGroupId]
        }
      }
    )
  }
}
