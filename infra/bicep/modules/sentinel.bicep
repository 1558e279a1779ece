metadata description = 'Sentinel over the workspace, with analytics rules for this system: sentinel.json says what each looks for.'

import { online, kept } from 'monitoring.bicep'

@description('The workspace\'s name.')
param workspaceName string

@description('What this environment has: a rule for what is not there would find nothing.')
param has { edge: bool, private: bool, vault: bool }

@description('The identity that deploys: what it does is no surprise.')
param deployer string

@description('Object ids of other principals that deploy.')
param deployers string[]

@description('The identity of drills: that the database account changes with them is no surprise.')
param driller string

@description('Object ids of the apps: what deploys an app writes its package as the app.')
param apps string[]

var all = loadJsonContent('../sentinel.json')
var there = filter(all, a => empty(a.when) || has[?a.when] == true)

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = { name: workspaceName }

resource deploys 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = { name: deployer }

resource drills 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = { name: driller }

var principals = concat(deployers, [deploys.properties.principalId])
// As KQL writes a list.
var known = '\'${join(principals, '\', \'')}\''
var drilling = '\'${drills.properties.principalId}\''
var running = '\'${join(apps, '\', \'')}\''

resource sentinel 'Microsoft.SecurityInsights/onboardingStates@2025-09-01' = {
  scope: workspace
  name: 'default'
  properties: {}
}

// The tables that Sentinel brings: incidents are looked up for as long as what they were about.
resource tables 'Microsoft.OperationalInsights/workspaces/tables@2026-03-01' = [
  for t in ['SecurityIncident', 'SecurityAlert']: {
    parent: workspace
    name: t
    properties: { retentionInDays: online, totalRetentionInDays: kept }
    dependsOn: [sentinel]
  }
]

resource rules 'Microsoft.SecurityInsights/alertRules@2025-09-01' = [
  for a in there: {
    scope: workspace
    name: guid(workspace.id, a.name)
    kind: 'Scheduled'
    properties: {
      displayName: 'Polis: ${a.name}'
      description: '${a.says} What to do: docs/playbooks/${a.name}.md'
      severity: a.severity
      enabled: true
      tactics: a.tactics
      query: replace(replace(replace(a.query, 'DEPLOYERS', known), 'DRILLS', drilling), 'APPS', running)
      // Whom and what an incident is about: those of one are put together.
      entityMappings: map(a.entities, e => {
        entityType: e.type
        fieldMappings: [{ identifier: e.is, columnName: e.column }]
      })
      queryFrequency: a.frequency
      queryPeriod: a.period
      triggerOperator: 'GreaterThan'
      triggerThreshold: 0
      suppressionDuration: 'PT5H'
      suppressionEnabled: false
      eventGroupingSettings: { aggregationKind: 'AlertPerResult' }
      incidentConfiguration: {
        createIncident: true
        groupingConfiguration: {
          enabled: true
          reopenClosedIncident: false
          lookbackDuration: 'PT5H'
          matchingMethod: 'AllEntities'
        }
      }
    }
    dependsOn: [sentinel]
  }
]
