metadata description = 'Writes what must not be changed out of the workspace, as it comes, into storage that lets nobody change it.'

@description('The workspace\'s name.')
param workspaceName string

@description('The audit log\'s storage account.')
param accountId string

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = { name: workspaceName }

resource export 'Microsoft.OperationalInsights/workspaces/dataExports@2026-03-01' = {
  parent: workspace
  name: 'audit'
  properties: {
    enable: true
    destination: { resourceId: accountId }
    // Who did what: to Azure, to keys, to the database's settings, to blobs, to the API.
    tableNames: [
      'AzureActivity'
      'AZKVAuditLogs'
      'CDBControlPlaneRequests'
      'StorageBlobLogs'
      'ApiManagementGatewayLogs'
      'AppTraces'
    ]
  }
}
