metadata description = 'Alerts in four severities: alerts.json says of each what it looks at, docs/playbooks what to do.'

import { Tags } from 'types.bicep'

@description('Ends the names.')
param suffix string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('The workspace that queries ask.')
param workspaceId string

@description('Whom alerts reach, by severity.')
@minLength(4)
@maxLength(4)
param actionGroupIds string[]

@description('What this environment has: an alert for what is not there would never fire.')
param has {
  edge: bool
  private: bool
  standby: bool
  premium: bool
  provisioned: bool
  nightly: bool
  backups: bool
  vault: bool
}

@description('Resources by the name that alerts call them by.')
param targets { *: string[] }

@description('Of each of targets.sites the instances that leave less than 30%.')
param instances int[]

var all = loadJsonContent('../alerts.json')
var there = filter(all, a => empty(a.when) || has[?a.when] == true)
var metrics = filter(there, a => a.?metric != null)
var queries = filter(there, a => a.?query != null)
// A resource each: one rule over several would need all of them in one region.
var watched = flatten(map(
  metrics,
  a =>
    map(range(0, length(targets[a.metric.target])), i => {
      alert: a
      target: targets[a.metric.target][i]
      index: i
      name: length(targets[a.metric.target]) == 1 ? a.name : '${a.name}-${i + 1}'
    })
))

resource metric 'Microsoft.Insights/metricAlerts@2026-01-01' = [
  for w in watched: {
    name: 'alert-${w.name}-${suffix}'
    location: 'global'
    tags: tags
    properties: {
      description: '${w.alert.says} What to do: docs/playbooks/${w.alert.name}.md'
      severity: w.alert.severity
      enabled: true
      autoMitigate: true
      scopes: [w.target]
      evaluationFrequency: w.alert.metric!.frequency
      windowSize: w.alert.metric!.window
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: w.alert.name
            metricNamespace: w.alert.metric!.namespace
            metricName: w.alert.metric!.name
            timeAggregation: w.alert.metric!.aggregation
            operator: w.alert.metric!.operator
            threshold: w.alert.metric!.?share == 'instances' ? instances[w.index] : w.alert.metric!.threshold
            dimensions: map(w.alert.metric!.dimensions, d => { name: d.name, operator: 'Include', values: d.values })
            // Some metrics come into being with their first value.
            skipMetricValidation: true
          }
        ]
      }
      actions: [{ actionGroupId: actionGroupIds[w.alert.severity] }]
    }
  }
]

resource query 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for a in queries: {
    name: 'alert-${a.name}-${suffix}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: a.name
      description: '${a.says} What to do: docs/playbooks/${a.name}.md'
      severity: a.severity
      enabled: true
      autoMitigate: true
      scopes: [workspaceId]
      evaluationFrequency: a.query!.frequency
      windowSize: a.query!.window
      skipQueryValidation: true // tables come into being with their first row
      criteria: {
        allOf: [
          {
            query: a.query!.text
            timeAggregation: 'Count'
            operator: a.query!.operator
            threshold: a.query!.threshold
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: [actionGroupIds[a.severity]] }
    }
  }
]

// What Azure itself says of its health and of ours.
resource service 'Microsoft.Insights/activityLogAlerts@2026-01-01' = {
  name: 'alert-azure-service-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Azure says that a service or region is not well. What to do: docs/playbooks/azure-service.md'
    enabled: true
    scopes: [subscription().id]
    condition: { allOf: [{ field: 'category', equals: 'ServiceHealth' }] }
    actions: { actionGroups: [{ actionGroupId: actionGroupIds[1] }] }
  }
}

resource resourceHealth 'Microsoft.Insights/activityLogAlerts@2026-01-01' = {
  name: 'alert-azure-resource-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Azure says that one of our resources is not available. What to do: docs/playbooks/azure-resource.md'
    enabled: true
    scopes: [subscription().id]
    condition: {
      allOf: [
        { field: 'category', equals: 'ResourceHealth' }
        {
          anyOf: [
            { field: 'properties.currentHealthStatus', equals: 'Unavailable' }
            { field: 'properties.currentHealthStatus', equals: 'Degraded' }
          ]
        }
      ]
    }
    actions: { actionGroups: [{ actionGroupId: actionGroupIds[1] }] }
  }
}
