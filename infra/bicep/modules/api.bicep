metadata description = 'What API Management serves: the project\'s OpenAPI over the colour that is active, products, limits and probes.'

@description('The service\'s name.')
param gatewayName string

@description('The apps of the two colours, in this resource group.')
param backends { blue: string, green: string }

@description('The colour that serves.')
@allowed(['blue', 'green'])
param active string

@description('Percent of requests that go to the other colour, to try it; 0 keeps it out of the pool.')
@minValue(0)
@maxValue(50)
param canary int

@description('The Front Door that requests come by.')
param frontDoorId string

@description('The audience that tokens are for.')
param audience string

@description('Calls a minute: by address, and by caller. Calls a day are the products\' quota.')
param limits { perAddress: int, perCaller: int }

@description('When version 1 was deprecated (RFC 9745: @ and seconds since 1970) and when it ends (RFC 8594: an HTTP date); null as long as it is not.')
param deprecation { deprecated: string, sunset: string }?

@description('Application Insights\' name and resource group.')
param insights { name: string, group: string }

@description('The identity that writes telemetry.')
param identity string

@description('The resource group of the identities.')
param identityGroup string

resource service 'Microsoft.ApiManagement/service@2024-05-01' existing = { name: gatewayName }

resource telemetry 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insights.name
  scope: resourceGroup(insights.group)
}

resource gatewayIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identity
  scope: resourceGroup(identityGroup)
}

resource sites 'Microsoft.Web/sites@2025-03-01' existing = [for c in colours: { name: c.site }]

var values = {
  'front-door-id': frontDoorId
  'tenant-id': tenant().tenantId
  audience: audience
  'rate-per-address': string(limits.perAddress)
  'rate-per-caller': string(limits.perCaller)
  deprecated: deprecation.?deprecated ?? 'no'
  sunset: deprecation.?sunset ?? 'no'
}

// None is a secret.
resource named 'Microsoft.ApiManagement/service/namedValues@2024-05-01' = [
  for v in items(values): {
    parent: service
    name: v.key
    properties: { displayName: v.key, value: v.value, secret: false }
  }
]

resource everywhere 'Microsoft.ApiManagement/service/policies@2024-05-01' = {
  parent: service
  name: 'policy'
  properties: { format: 'xml', value: loadTextContent('policies/service.xml') }
  dependsOn: [named]
}

var colours = [
  { name: 'blue', site: backends.blue }
  { name: 'green', site: backends.green }
]

resource colour 'Microsoft.ApiManagement/service/backends@2024-05-01' = [
  for (c, i) in colours: {
    parent: service
    name: 'api-${c.name}'
    properties: {
      title: 'The ${c.name} app'
      protocol: 'http'
      url: 'https://${sites[i].properties.defaultHostName}/api'
      tls: { validateCertificateChain: true, validateCertificateName: true }
      circuitBreaker: {
        rules: [
          {
            name: 'failing'
            failureCondition: { count: 20, interval: 'PT1M', statusCodeRanges: [{ min: 502, max: 504 }] }
            tripDuration: 'PT30S'
            acceptRetryAfter: true
          }
        ]
      }
    }
  }
]

// The other colour is in the pool only while it is tried: after a switch it is a version that nobody chose.
var weights = { blue: active == 'blue' ? 100 - canary : canary, green: active == 'green' ? 100 - canary : canary }
var members = filter([0, 1], i => weights[colours[i].name] > 0)

resource pool 'Microsoft.ApiManagement/service/backends@2024-05-01' = {
  parent: service
  name: 'api'
  properties: {
    title: 'Who serves: scripts/switch changes it'
    type: 'Pool'
    pool: {
      services: [for i in members: { id: colour[i].id, priority: 1, weight: weights[colours[i].name] }]
    }
  }
}

// The specification's paths begin with their version (/v1), so version 1 is the set's unnamed
// original; a second one that breaks the first is added to the set under a name.
resource versions 'Microsoft.ApiManagement/service/apiVersionSets@2024-05-01' = {
  parent: service
  name: 'polis'
  properties: { displayName: 'Polis', versioningScheme: 'Segment' }
}

resource api 'Microsoft.ApiManagement/service/apis@2024-05-01' = {
  parent: service
  name: 'polis'
  properties: {
    displayName: 'Polis'
    description: 'Load a portfolio, have it scored, read who needs attention today and why.'
    path: 'api'
    protocols: ['https']
    apiVersionSetId: versions.id
    format: 'openapi'
    value: loadTextContent('../../../handler/internal/httpapi/openapi.yaml')
    subscriptionRequired: false // policies/polis.xml asks for it, but for what anybody may see
    translateRequiredQueryParameters: 'query'
    type: 'http'
  }

  resource policy 'policies' = {
    name: 'policy'
    properties: { format: 'xml', value: loadTextContent('policies/polis.xml') }
    dependsOn: [pool, named]
  }

  resource traces 'diagnostics' = {
    name: 'applicationinsights'
    properties: {
      loggerId: logger.id
      alwaysLog: 'allErrors'
      httpCorrelationProtocol: 'W3C'
      logClientIp: false
      metrics: true
      verbosity: 'information'
      sampling: { samplingType: 'fixed', percentage: 100 }
      // No bodies and no headers: both may hold personal data.
      frontend: { request: { body: { bytes: 0 } }, response: { body: { bytes: 0 } } }
      backend: { request: { body: { bytes: 0 } }, response: { body: { bytes: 0 } } }
    }
  }
}

// The resource log has the address that Front Door saw: its own, by which requests come, is one for all callers.
resource resourceLogger 'Microsoft.ApiManagement/service/loggers@2024-05-01' = {
  parent: service
  name: 'azuremonitor'
  properties: { loggerType: 'azureMonitor', isBuffered: true }
}

resource resourceLog 'Microsoft.ApiManagement/service/diagnostics@2024-05-01' = {
  parent: service
  name: 'azuremonitor'
  properties: {
    loggerId: resourceLogger.id
    logClientIp: true
    sampling: { samplingType: 'fixed', percentage: 100 }
    frontend: {
      request: { headers: ['X-Azure-SocketIP'], body: { bytes: 0 } }
      response: { body: { bytes: 0 } }
    }
    backend: { request: { body: { bytes: 0 } }, response: { body: { bytes: 0 } } }
  }
}

resource edge 'Microsoft.ApiManagement/service/apis@2024-05-01' = {
  parent: service
  name: 'edge'
  properties: {
    displayName: 'Probes'
    description: 'Whether the edge answers, for probes from outside: it wakes nothing behind it.'
    path: 'edge'
    protocols: ['https']
    subscriptionRequired: false
    type: 'http'
  }

  resource get 'operations' = {
    name: 'get'
    properties: { displayName: 'Whether the edge answers', method: 'GET', urlTemplate: '/health' }
  }

  resource head 'operations' = {
    name: 'head'
    properties: { displayName: 'The same for Front Door', method: 'HEAD', urlTemplate: '/health' }
  }

  resource policy 'policies' = {
    name: 'policy'
    properties: { format: 'xml', value: loadTextContent('policies/edge.xml') }
  }
}

var products = [
  {
    name: 'sandbox'
    text: 'To try Polis, on sample data: whoever asks for it has it.'
    approval: false
    policy: loadTextContent('policies/sandbox.xml')
  }
  {
    name: 'standard'
    text: 'For work: approved by the owner.'
    approval: true
    policy: loadTextContent('policies/standard.xml')
  }
]

resource product 'Microsoft.ApiManagement/service/products@2024-05-01' = [
  for p in products: {
    parent: service
    name: p.name
    properties: {
      displayName: p.name
      description: p.text
      state: 'published'
      subscriptionRequired: true
      approvalRequired: p.approval
      subscriptionsLimit: 10
    }
  }
]

resource productApi 'Microsoft.ApiManagement/service/products/apis@2024-05-01' = [
  for (p, i) in products: { parent: product[i], name: api.name }
]

resource productPolicy 'Microsoft.ApiManagement/service/products/policies@2024-05-01' = [
  for (p, i) in products: {
    parent: product[i]
    name: 'policy'
    properties: { format: 'xml', value: p.policy }
  }
]

// Signed in for, as all telemetry is: the connection string alone writes nothing.
resource logger 'Microsoft.ApiManagement/service/loggers@2024-05-01' = {
  parent: service
  name: 'insights'
  properties: {
    loggerType: 'applicationInsights'
    resourceId: telemetry.id
    credentials: {
      connectionString: telemetry.properties.ConnectionString
      identityClientId: gatewayIdentity.properties.clientId
    }
  }
}
