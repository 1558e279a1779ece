metadata description = 'The workspace, and telemetry that is signed in for.'

import { Tags } from 'types.bicep'

@description('Ends the names.')
param suffix string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('Whether logs come in by private link alone.')
param private bool

@description('GB a day that the workspace takes before it stops; -1 is no limit.')
@minValue(-1)
param logsPerDay int

// Online for 90 days, then in the archive for a year.
@export()
var online = 90
@export()
var kept = online + 365

// The tables that hold what happened. What only measures (metrics) is not archived.
var archived = [
  'AppRequests'
  'AppTraces'
  'AppExceptions'
  'AppDependencies'
  'AppAvailabilityResults'
  'AzureActivity'
  'AzureDiagnostics' // what Front Door saw and its firewall blocked
  'ADFPipelineRun'
  'AZFWApplicationRule'
  'AZFWNetworkRule'
  'ApiManagementGatewayLogs'
  'CDBControlPlaneRequests'
  'CDBDataPlaneRequests'
  'FunctionAppLogs'
  'StorageBlobLogs'
  'AZMSVnetConnectionEvents'
  'AZMSOperationalLogs'
  'AZKVAuditLogs'
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' = {
  name: 'log-${suffix}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: online
    features: {
      disableLocalAuth: true
      enableLogAccessUsingOnlyResourcePermissions: true // who may see a resource may see its logs, and no others
    }
    workspaceCapping: logsPerDay < 0 ? null : { dailyQuotaGb: logsPerDay }
    publicNetworkAccessForIngestion: private ? 'Disabled' : 'Enabled'
    publicNetworkAccessForQuery: private ? 'Disabled' : 'Enabled'
  }

  resource tables 'tables' = [
    for t in archived: {
      name: t
      properties: { retentionInDays: online, totalRetentionInDays: kept }
    }
  ]
}

// Who reads logs is logged as well.
resource workspaceLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: workspace
  name: 'to-workspace'
  properties: {
    workspaceId: workspace.id
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${suffix}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: true // a connection string alone writes nothing
    DisableIpMasking: false
    publicNetworkAccessForIngestion: private ? 'Disabled' : 'Enabled'
    publicNetworkAccessForQuery: private ? 'Disabled' : 'Enabled'
  }
}

resource scope 'Microsoft.Insights/privateLinkScopes@2021-09-01' = if (private) {
  name: 'ampls-${suffix}'
  location: 'global'
  tags: tags
  properties: { accessModeSettings: { ingestionAccessMode: 'PrivateOnly', queryAccessMode: 'PrivateOnly' } }

  resource workspaceInScope 'scopedResources' = {
    name: 'workspace'
    properties: { linkedResourceId: workspace.id }
  }

  resource insightsInScope 'scopedResources' = {
    name: 'insights'
    properties: { linkedResourceId: insights.id }
  }
}
