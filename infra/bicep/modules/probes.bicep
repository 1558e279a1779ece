metadata description = 'Availability as callers see it, from three places in Europe.'

import { Tags } from 'types.bicep'

@description('Ends the names.')
param suffix string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('Application Insights.')
param insightsId string

@description('Where callers come.')
param host string

@description('Whom alerts reach, by severity.')
@minLength(4)
@maxLength(4)
param actionGroupIds string[]

// Amsterdam, Dublin and Paris: data goes to them and back, and stays in the EU.
var places = ['emea-nl-ams-azr', 'emea-gb-db3-azr', 'emea-fr-pra-edge']

// The edge answers by itself and wakes nothing. The deep one wakes an app: each of three places asks
// every 15 minutes, so it is woken every five, and no oftener. The third looks at the certificate.
var probes = [
  {
    name: 'edge-down'
    path: '/edge/health'
    seconds: 300
    severity: 0
    says: 'Callers do not reach the edge.'
    certificateDays: 0
  }
  {
    name: 'deep-down'
    path: '/api/ready'
    seconds: 900
    severity: 0
    says: 'The edge answers, and Polis behind it does not.'
    certificateDays: 0
  }
  {
    name: 'certificate'
    path: '/edge/health'
    seconds: 900
    severity: 2
    says: 'The certificate that callers see ends within 30 days.'
    certificateDays: 30
  }
]

resource tests 'Microsoft.Insights/webtests@2022-06-15' = [
  for p in probes: {
    name: 'webtest-${p.name}-${suffix}'
    location: location
    tags: union(tags, { 'hidden-link:${insightsId}': 'Resource' })
    kind: 'standard'
    properties: {
      SyntheticMonitorId: 'webtest-${p.name}-${suffix}'
      Name: p.name
      Description: p.says
      Enabled: true
      Frequency: p.seconds
      Timeout: 30
      Kind: 'standard'
      RetryEnabled: true
      Locations: map(places, l => { Id: l })
      Request: {
        RequestUrl: 'https://${host}${p.path}'
        HttpVerb: 'GET'
        ParseDependentRequests: false
        FollowRedirects: false
      }
      ValidationRules: p.certificateDays == 0
        ? { ExpectedHttpStatusCode: 200, SSLCheck: true }
        : { ExpectedHttpStatusCode: 200, SSLCheck: true, SSLCertRemainingLifetimeCheck: p.certificateDays }
    }
  }
]

resource alerts 'Microsoft.Insights/metricAlerts@2026-01-01' = [
  for (p, i) in probes: {
    name: 'alert-${p.name}-${suffix}'
    location: 'global'
    tags: tags
    properties: {
      description: '${p.says} What to do: docs/playbooks/${p.name}.md'
      severity: p.severity
      enabled: true
      autoMitigate: true
      scopes: [tests[i].id, insightsId]
      evaluationFrequency: 'PT1M'
      windowSize: 'PT${p.seconds / 60}M' // so long that each place has asked once
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'
        webTestId: tests[i].id
        componentId: insightsId
        failedLocationCount: 2 // of three: one place alone is its own trouble
      }
      actions: [{ actionGroupId: actionGroupIds[p.severity] }]
    }
  }
]
