metadata description = 'The estate of Polis in a subscription: everything that it needs, in one command.'

targetScope = 'subscription'

import { Tags, App, Sizes, Region, Subscriber, Custodian, Contacts } from 'modules/types.bicep'

// Who and where.

@description('Which environment this is; it is in every name.')
@allowed(['dev', 'staging', 'prod'])
param environment string

@description('The region that serves. Data lies in the EU alone.')
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

@description('The region that waits, and that data is replicated to: the pair of the first.')
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
param standbyLocation string

@description('Which team answers for it.')
@minLength(1)
param owner string

@description('Who pays.')
@minLength(1)
param costCentre string

@description('How bad it is when it fails.')
@allowed(['low', 'medium', 'high'])
param criticality string

@description('azd\'s name of its environment.')
param azdEnvironment string = environment

// What there is.

@description('Whether everything is reached by private endpoints alone, behind a firewall.')
param private bool

@description('Whether there is an edge: Front Door and API Management. Without one callers come to the app itself.')
param edge bool

@description('Whether what can be is spread over three zones.')
param zones bool

@description('Whether a second region waits.')
param standby bool

@description('Whether what is at rest is encrypted with keys of our own, in HSMs.')
param ownKeys bool

@description('Sizes.')
param sizes Sizes

@description('API Management\'s tier: only PremiumV2 has zones.')
@allowed(['StandardV2', 'PremiumV2'])
param gatewayTier string = 'StandardV2'

@description('The firewall\'s tier.')
@allowed(['Basic', 'Standard', 'Premium'])
param firewallTier string = 'Standard'

@description('The first two octets of the networks of the first and the second region.')
@minLength(2)
@maxLength(2)
param networks string[] = ['10.40', '10.41']

@description('A DDoS protection plan for the networks: about EUR 2,700 a month, and one serves a whole tenant.')
param ddos bool = false

@description('A runner in the network, for a GitHub repository; null for none. docs/bootstrap.md says how to make the app and the image.')
param runner { repository: string, appId: string, installationId: string, image: string }?

@description('Agents in the network, for a project of Azure DevOps; null for none. The principal is the object id of DevOpsInfrastructure in the directory.')
param agents { organization: string, project: string, principalId: string }?

@description('Hosts that runner and agents may reach besides those that they need to get their jobs.')
param runnerHosts string[] = []

@description('Whether weekly copies are made and kept for ten years.')
param backups bool

@description('A VPN gateway for people, who sign in with Entra ID and get addresses of this range; null for none.')
param vpn { clients: string }?

@description('An ExpressRoute circuit: where it lands and how wide.')
param expressRoute { provider: string, place: string, mbps: 50 | 100 | 200 | 500 | 1000 }?

@description('Azure OpenAI in the EU data zone, for drafts; null for none. Azure retires a model a year or two after it came: az cognitiveservices model list says which there are.')
param openAi { name: string, version: string, thousandTokensPerMinute: int }?

// Whom it reaches.

@description('Whom alerts reach.')
param contacts Contacts

@description('The address of a Teams workflow that makes a card of an alert (the common alert schema) and posts it: docs/bootstrap.md has it, the plain one posts nothing. Empty for none.')
@secure()
param teamsUrl string = ''

@description('The integration address of a PagerDuty service; empty for none.')
@secure()
param pagerDutyUrl string = ''

@description('Sentinel over the workspace.')
param sentinel bool

@description('Object ids of principals that deploy besides the deployment identity: the pipelines\'.')
param deployers string[] = []

@description('Defender plans; they are of the whole subscription.')
param defender bool

@description('EUR a month.')
@minValue(1)
param budget int

@description('The first of a month: when the budget begins. Azure does not let it be changed.')
param budgetFrom string

@description('Whether what holds data is locked against deletion.')
param locked bool

@description('Locked once somebody has locked for good what is immutable (docs/bootstrap.md says how), and Unlocked until then: Azure makes nothing locked, and refuses to unlock.')
@allowed(['Unlocked', 'Locked'])
param immutability string = 'Unlocked'

// Which version serves.

@description('The colour that serves, and whose workers run.')
@allowed(['blue', 'green'])
param active string = 'blue'

@description('Percent of requests that go to the other colour, to try it.')
@minValue(0)
@maxValue(50)
param canary int = 0

@description('Whether this is the first deployment: Azure lets API Management close its public way in only once it exists.')
param creating bool = false

@description('Whether Sentinel\'s rules and the audit log\'s export are made: scripts/deploy leaves them as they are where Azure refused them.')
param watching bool = true

@description('Settings that this environment has otherwise than the estate says, e.g. a schedule, or ENTRA__tenantClaim where callers of several tenants are of one directory. One that Polis has not is refused.')
param settings { *: string } = {}

// Who calls.

@description('The audience of callers\' tokens: the application id of the API\'s registration, as version 2 tokens have it.')
@minLength(36)
@maxLength(36)
param audience string

@description('The host name that callers use; empty for Front Door\'s own.')
param domain string = ''

@description('Who publishes the API: Azure writes to them, and the developer portal names them.')
param publisher { name: string, mail: string }

@description('Whether API Management has a developer portal. It is on the internet, for Azure gives it no private way in: docs/bootstrap.md says who then signs in.')
param developerPortal bool = false

@description('Calls a minute: by address, and by caller. Calls a day are the products\' quota.')
param limits { perAddress: int, perCaller: int } = { perAddress: 1200, perCaller: 3000 }

@description('When version 1 was deprecated and when it ends; null as long as it is not.')
param deprecation { deprecated: string, sunset: string }?

@description('Workloads of users that send requests by queue.')
param integrations { name: string, principalId: string }[] = []

@description('Subscribers of results and events.')
param subscribers Subscriber[] = []

@description('Who makes tenants and brings in books and models, from the command line: the first tenant needs one. docs/bootstrap.md says how.')
param custodians Custodian[] = []

var token = take(uniqueString(subscription().id, environment), 5)
var shorts = {
  westeurope: 'weu'
  northeurope: 'neu'
  francecentral: 'frc'
  germanywestcentral: 'gwc'
  swedencentral: 'sdc'
  italynorth: 'itn'
  polandcentral: 'plc'
  spaincentral: 'spc'
}
var first4 = take(environment, 4) // names of vaults and storage accounts are short
var base = 'polis-${environment}'
var tags Tags = {
  app: 'polis'
  owner: owner
  environment: environment
  criticality: criticality
  'data-class': 'personal'
  'cost-centre': costCentre
  'azd-env-name': azdEnvironment
}
var estate = loadJsonContent('../estate/estate.json')
// Settings that are misspelt would be nobody's.
var unknown = filter(objectKeys(settings), name => !contains(map(estate.settings, s => s.name), name))
var regions Region[] = concat(
  [{ location: location, short: shorts[location], role: 'primary', network: networks[0] }],
  standby ? [{ location: standbyLocation, short: shorts[standbyLocation], role: 'standby', network: networks[1] }] : []
)
var colours = ['blue', 'green']
var apps App[] = flatten(map(
  regions,
  r =>
    flatten(map(
      colours,
      c =>
        map(estate.apps, a => {
          role: a.name
          colour: c
          location: r.location
          identity: 'id-${base}-${r.short}-${a.name}-${c}-${token}'
          site: 'func-${base}-${r.short}-${a.name}-${c}-${token}'
        })
    ))
))
// Other programs that act by themselves.
var programs = union(runner == null ? {} : { runner: 'id-${base}-runner-${token}' }, {
  keys: 'id-${base}-keys-${token}'
  gateway: 'id-${base}-gateway-${token}'
  scaler: 'id-${base}-scaler-${token}'
  backup: 'id-${base}-backup-${token}'
  deploy: 'id-${base}-deploy-${token}'
  drill: 'id-${base}-drill-${token}'
  backupKeys: 'id-${base}-backup-keys-${token}'
})
var coreGroup = 'rg-${base}'
var vault = 'kv-polis-${first4}-${token}'
var insights = { name: 'appi-${base}-${token}', group: coreGroup }
var dataAccount = 'stdata${first4}${token}'
var auditAccount = 'staudit${first4}${token}'

// So are deployments of modules, each by one name for good: what is deployed again takes the place of what was, and the
// history of a locked group, of which Azure can delete nothing, stays short of the 800 at which it refuses the next.

// Resources are named here and told to each other by id, and not by what modules answer: so what-if
// and the snapshots see the whole estate before any of it is there.
var backupGroup = 'rg-${base}-backup'
var backupVault = 'kv-backup-${first4}-${token}'
var backupAccount = 'stbackup${first4}${token}'
var copied = { documents: 'cosmos', blobs: 'blobs', whole: 'whole' }
var dataBlobs = filter(estate.blobs, b => b.account == 'data')[0]
// Copies lie where the originals do not: in the second region, and are replicated back.
var backupRegion = standbyLocation
var inCore = '${subscription().id}/resourceGroups/${coreGroup}/providers'
var ids = {
  workspace: '${inCore}/Microsoft.OperationalInsights/workspaces/log-${base}-${token}'
  scope: '${inCore}/Microsoft.Insights/privateLinkScopes/ampls-${base}-${token}'
  insights: '${inCore}/Microsoft.Insights/components/appi-${base}-${token}'
  keysIdentity: '${inCore}/Microsoft.ManagedIdentity/userAssignedIdentities/${programs.keys}'
  gatewayIdentity: '${inCore}/Microsoft.ManagedIdentity/userAssignedIdentities/${programs.gateway}'
  vault: '${inCore}/Microsoft.KeyVault/vaults/${vault}'
  cosmos: '${inCore}/Microsoft.DocumentDB/databaseAccounts/cosno-${base}-${token}'
  data: '${inCore}/Microsoft.Storage/storageAccounts/${dataAccount}'
  audit: '${inCore}/Microsoft.Storage/storageAccounts/${auditAccount}'
  bus: '${inCore}/Microsoft.ServiceBus/namespaces/sb-${base}-${token}'
  ai: '${inCore}/Microsoft.CognitiveServices/accounts/oai-${base}-${token}'
  backupKeysIdentity: '${inCore}/Microsoft.ManagedIdentity/userAssignedIdentities/${programs.backupKeys}'
  ddos: '${inCore}/Microsoft.Network/ddosProtectionPlans/ddos-${base}-${token}'
}
var actionGroups = map(range(0, 4), s => '${inCore}/Microsoft.Insights/actionGroups/ag-sev${s}-${base}-${token}')
var inStamp = map(regions, r => '${subscription().id}/resourceGroups/rg-${base}-${r.short}/providers')
var subnets = map(
  regions,
  r =>
    '${subscription().id}/resourceGroups/rg-${base}-${r.short}/providers/Microsoft.Network/virtualNetworks/vnet-${base}-${r.short}-${token}/subnets'
)
// What a job of GitHub needs to be fetched and to send its log; artifacts lie in accounts that GitHub names. The last two
// are what Container Apps themselves want besides Microsoft's registry (their page "Use Azure Firewall").
var githubHosts = concat(
  [
    'github.com'
    'api.github.com'
    'codeload.github.com'
    '*.actions.githubusercontent.com'
    'ghcr.io'
    'pkg-containers.githubusercontent.com'
    'packages.aks.azure.com'
    'acs-mirror.azureedge.net'
  ],
  map(range(0, 20), i => 'productionresultssa${i}.blob.${az.environment().suffixes.storage}')
)
// What Managed DevOps Pools says that its machines need, as far as they are Ubuntu's and Azure DevOps's.
var devOpsHosts = agents == null
  ? []
  : [
      '*.prod.manageddevops.microsoft.com'
      'rmprodbuilds.azureedge.net'
      '*.queue.${az.environment().suffixes.storage}'
      'download.agent.dev.azure.com'
      'dev.azure.com'
      '*.dev.azure.com'
      '${last(split(agents!.organization, '/'))}.visualstudio.com'
      '${last(split(agents!.organization, '/'))}.vsblob.visualstudio.com'
      '${last(split(agents!.organization, '/'))}.vssps.visualstudio.com'
      'packages.microsoft.com'
      'www.microsoft.com'
      'azure.archive.ubuntu.com'
      'security.ubuntu.com'
    ]
var replication = standby ? 'Standard_GZRS' : zones ? 'Standard_ZRS' : 'Standard_LRS'
var localReplication = zones ? 'Standard_ZRS' : 'Standard_LRS'

resource core 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: coreGroup
  location: location
  tags: tags
}

resource stamps 'Microsoft.Resources/resourceGroups@2025-04-01' = [
  for r in regions: {
    name: 'rg-${base}-${r.short}'
    location: r.location
    tags: tags
  }
]

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: core
  params: {
    suffix: '${base}-${token}'
    location: location
    tags: tags
    private: private
    logsPerDay: sizes.logsPerDay
  }
}

module actions 'modules/actions.bicep' = {
  name: 'actions'
  scope: core
  params: {
    suffix: '${base}-${token}'
    tags: tags
    contacts: contacts
    teamsUrl: teamsUrl
    pagerDutyUrl: pagerDutyUrl
  }
}

module identities 'modules/identity.bicep' = {
  name: 'identities'
  scope: core
  params: {
    tags: tags
    identities: concat(
      map(apps, a => { name: a.identity, location: a.location }),
      map(items(programs), p => { name: p.value, location: location })
    )
  }
  dependsOn: [monitoring] // everything comes after the identities, and logs to the workspace
}

// A vault is kept for 90 days when it is deleted, and its name with it: none where nothing would lie in it.
var keeps = ownKeys || runner != null
module keys 'modules/keys.bicep' = if (keeps) {
  name: 'keys'
  scope: core
  params: {
    name: vault
    location: location
    tags: tags
    workspaceId: ids.workspace
    private: private
    keys: ownKeys ? ['cosmos', 'storage', 'bus'] : []
    identity: programs.keys
    identityGroup: coreGroup
  }
  dependsOn: [identities]
}

// By name and not by what the modules above answer, so that what-if sees through them.
var keyed = toObject(ownKeys ? ['cosmos', 'storage', 'bus'] : [], k => k, k => {
  vaultUri: 'https://${vault}${az.environment().suffixes.keyvaultDns}/'
  name: k
  identityId: ids.keysIdentity
})

module cosmos 'modules/cosmos.bicep' = {
  name: 'cosmos'
  scope: core
  params: {
    name: 'cosno-${base}-${token}'
    tags: tags
    workspaceId: ids.workspace
    locations: map(regions, r => r.location)
    zones: zones
    private: private
    throughput: sizes.throughput
    key: keyed.?cosmos
    writers: map(apps, a => a.identity)
    readers: [programs.backup]
    identityGroup: coreGroup
  }
  dependsOn: [keys, identities]
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: core
  params: {
    name: dataAccount
    location: location
    tags: tags
    workspaceId: ids.workspace
    replication: replication
    private: private
    key: keyed.?storage
    containers: map(filter(estate.blobs, b => b.account == 'data'), b => { name: b.name, immutableDays: 0 })
    expire: flatten(map(
      estate.blobs,
      b => map(filter(b.prefixes, p => p.?keepDays != null), p => { prefix: '${b.name}/${p.name}', days: p.keepDays })
    ))
    cool: { cool: 30, cold: 90 }
    pointInTime: true
    access: flatten(map(
      estate.blobs,
      b =>
        concat(
          backups ? [{ container: b.name, identity: programs.backup, role: 'Storage Blob Data Reader' }] : [],
          map(
            filter(apps, a => contains(b.writtenBy, a.role)),
            a => { container: b.name, identity: a.identity, role: 'Storage Blob Data Contributor' }
          ),
          map(
            filter(apps, a => contains(b.readBy, a.role)),
            a => { container: b.name, identity: a.identity, role: 'Storage Blob Data Reader' }
          )
        )
    ))
    identityGroup: coreGroup
  }
  dependsOn: [keys, identities]
}

// Apart from the data: an account whose blobs nobody can change holds nothing that somebody must erase.
module audit 'modules/storage.bicep' = {
  name: 'audit'
  scope: core
  params: {
    name: auditAccount
    location: location
    tags: union(tags, { 'data-class': 'audit' })
    workspaceId: ids.workspace
    replication: replication
    private: private
    key: keyed.?storage
    containers: [{ name: 'evidence', immutableDays: 0 }]
    expire: []
    cool: { cool: 30, cold: 90 }
    pointInTime: false
    immutableDays: environment == 'prod' ? 2557 : 7 // seven years, as accounts are kept
    immutability: immutability
    access: [
      { container: 'evidence', identity: programs.deploy, role: 'Storage Blob Data Contributor' }
      { container: 'evidence', identity: programs.drill, role: 'Storage Blob Data Contributor' }
    ]
    identityGroup: coreGroup
  }
  dependsOn: [keys, identities]
}

module export 'modules/export.bicep' = if (sentinel && !creating && watching) {
  name: 'export'
  scope: core
  params: { workspaceName: 'log-${base}-${token}', accountId: ids.audit }
  // As watch below: its tables must be there.
  dependsOn: [audit, endpoints, alerts, api, guard]
}

module bus 'modules/bus.bicep' = {
  name: 'bus'
  scope: core
  params: {
    name: 'sb-${base}-${token}'
    tags: tags
    workspaceId: ids.workspace
    location: location
    standbyLocation: standby ? standbyLocation : ''
    private: private
    units: sizes.messagingUnits
    key: sizes.messagingUnits == 0 ? null : keyed.?bus
    apps: apps
    identityGroup: coreGroup
    integrations: integrations
    subscribers: subscribers
  }
  dependsOn: [keys, identities]
}

module custody 'modules/custody.bicep' = if (!empty(custodians)) {
  name: 'custody'
  scope: core
  params: {
    custodians: custodians
    cosmos: 'cosno-${base}-${token}'
    data: dataAccount
    bus: 'sb-${base}-${token}'
  }
  dependsOn: [cosmos, storage, bus]
}

module ai 'modules/openai.bicep' = if (openAi != null) {
  name: 'openai'
  scope: core
  params: {
    name: 'oai-${base}-${token}'
    location: location
    tags: tags
    workspaceId: ids.workspace
    private: private
    model: openAi!
    apps: filter(apps, a => a.role != 'clock')
    identityGroup: coreGroup
  }
  dependsOn: [identities]
}

module telemetryAccess 'modules/telemetry-access.bicep' = {
  name: 'telemetry-access'
  scope: core
  params: {
    insightsName: insights.name
    writers: concat(map(apps, a => a.identity), edge ? [programs.gateway] : [])
  }
  dependsOn: [monitoring, identities]
}

module shield 'modules/ddos.bicep' = if (ddos) {
  name: 'ddos'
  scope: core
  params: { name: 'ddos-${base}-${token}', location: location, tags: tags }
}

module network 'modules/network.bicep' = [
  for (r, i) in regions: if (private) {
    name: 'network-${r.short}'
    scope: stamps[i]
    params: {
      suffix: '${base}-${r.short}-${token}'
      location: r.location
      tags: tags
      workspaceId: ids.workspace
      prefix: r.network
      firewallTier: firewallTier
      zones: zones
      ddosPlanId: ddos ? ids.ddos : ''
      vpn: vpn
      expressRoute: expressRoute
      agents: agents != null
      hosts: {
        runner: concat(runner == null ? [] : githubHosts, runner == null ? [] : runnerHosts)
        agents: concat(agents == null ? [] : devOpsHosts, agents == null ? [] : runnerHosts)
      }
    }
    dependsOn: [monitoring, shield]
  }
]

module stamp 'modules/apps.bicep' = [
  for (r, i) in regions: {
    name: 'apps-${r.short}'
    scope: stamps[i]
    params: {
      hostStorageName: 'sthost${r.short}${first4}${token}'
      region: r
      tags: tags
      workspaceId: ids.workspace
      apps: apps
      identityGroup: coreGroup
      active: active
      zones: zones
      replication: localReplication
      private: private
      subnetId: private ? '${subnets[i]}/snet-application' : ''
      sizes: sizes
      insights: insights
      sources: {
        bus: bus.outputs.host
        cosmos: cosmos.outputs.endpoint
        blobs: storage.outputs.blobs
        audience: audience
      }
      overrides: empty(unknown) ? settings : fail('no settings of Polis: ${join(unknown, ', ')}')
    }
    dependsOn: [telemetryAccess, network]
  }
]

module gateway 'modules/gateway.bicep' = [
  for (r, i) in regions: if (edge) {
    name: 'gateway-${r.short}'
    scope: stamps[i]
    params: {
      name: 'apim-${base}-${r.short}-${token}'
      location: r.location
      tags: tags
      workspaceId: ids.workspace
      // What waits is there, and small: it is made larger within minutes when it has to serve.
      tier: r.role == 'primary' ? gatewayTier : 'StandardV2'
      units: r.role == 'primary' ? sizes.gatewayUnits : 1
      zones: zones && gatewayTier == 'PremiumV2' && r.role == 'primary'
      subnetId: '${subnets[i]}/snet-frontend'
      identityId: ids.gatewayIdentity
      publisher: publisher
      developerPortal: developerPortal && r.role == 'primary'
      creating: creating
    }
    dependsOn: [identities, network]
  }
]

module frontdoor 'modules/frontdoor.bicep' = if (edge) {
  name: 'frontdoor'
  scope: core
  params: {
    suffix: '${base}-${token}'
    tags: tags
    workspaceId: ids.workspace
    origins: [
      for r in regions: {
        name: 'apim-${base}-${r.short}-${token}'
        group: 'rg-${base}-${r.short}'
        location: r.location
      }
    ]
    domain: domain
    perAddress: limits.perAddress
  }
  dependsOn: [gateway]
}

module edgeEgress 'modules/edge-egress.bicep' = [
  for (r, i) in regions: if (edge && private) {
    name: 'edge-egress-${r.short}'
    scope: stamps[i]
    params: {
      suffix: '${base}-${r.short}-${token}'
      prefix: r.network
      agents: agents != null
      host: frontdoor!.outputs.host
    }
    dependsOn: [network]
  }
]

module api 'modules/api.bicep' = [
  for (r, i) in regions: if (edge) {
    name: 'api-${r.short}'
    scope: stamps[i]
    params: {
      gatewayName: 'apim-${base}-${r.short}-${token}'
      backends: {
        blue: first(filter(apps, a => a.location == r.location && a.role == 'api' && a.colour == 'blue'))!.site
        green: first(filter(apps, a => a.location == r.location && a.role == 'api' && a.colour == 'green'))!.site
      }
      active: active
      canary: canary
      frontDoorId: frontdoor!.outputs.frontDoorId
      audience: audience
      limits: limits
      deprecation: deprecation
      insights: insights
      identity: programs.gateway
      identityGroup: coreGroup
    }
    dependsOn: [gateway, stamp, telemetryAccess]
  }
]

// One region after the other: Cosmos DB takes one change of its ways in at a time.
@batchSize(1)
module endpoints 'modules/endpoints.bicep' = [
  for (r, i) in regions: if (private) {
    name: 'endpoints-${r.short}'
    scope: stamps[i]
    params: {
      suffix: '${base}-${r.short}-${token}'
      location: r.location
      tags: tags
      networkId: '${inStamp[i]}/Microsoft.Network/virtualNetworks/vnet-${base}-${r.short}-${token}'
      subnetId: '${subnets[i]}/snet-data'
      endpoints: concat(
        [
          { name: 'cosmos', id: ids.cosmos, group: 'Sql', zones: ['documents'] }
          { name: 'data', id: ids.data, group: 'blob', zones: ['blob'] }
          { name: 'audit', id: ids.audit, group: 'blob', zones: ['blob'] }
          {
            name: 'host'
            id: '${inStamp[i]}/Microsoft.Storage/storageAccounts/sthost${r.short}${first4}${token}'
            group: 'blob'
            zones: ['blob']
          }
          { name: 'bus', id: ids.bus, group: 'namespace', zones: ['bus'] }
          // Where logs are sent; its names lie in five zones, that of blobs among them.
          { name: 'monitor', id: ids.scope, group: 'azuremonitor', zones: ['monitor', 'oms', 'ods', 'agents', 'blob'] }
        ],
        // From the first region packages go to all apps, from the second to its own: it deploys when the first is lost.
        map(filter(apps, a => i == 0 || a.location == r.location), a => {
          name: '${a.role}-${a.colour}${a.location == r.location ? '' : '-${shorts[a.location]}'}'
          id: '${subscription().id}/resourceGroups/rg-${base}-${shorts[a.location]}/providers/Microsoft.Web/sites/${a.site}'
          group: 'sites'
          zones: ['sites']
        }),
        edge
          ? [
              {
                name: 'gateway'
                id: '${inStamp[i]}/Microsoft.ApiManagement/service/apim-${base}-${r.short}-${token}'
                group: 'Gateway'
                zones: ['gateway']
              }
            ]
          : [],
        backups
          ? [
              {
                name: 'copies'
                id: '${subscription().id}/resourceGroups/${backupGroup}/providers/Microsoft.Storage/storageAccounts/${backupAccount}'
                group: 'blob'
                zones: ['blob']
              }
              {
                name: 'copies-vault'
                id: '${subscription().id}/resourceGroups/${backupGroup}/providers/Microsoft.KeyVault/vaults/${backupVault}'
                group: 'vault'
                zones: ['vault']
              }
            ]
          : [],
        keeps ? [{ name: 'vault', id: ids.vault, group: 'vault', zones: ['vault'] }] : [],
        openAi == null ? [] : [{ name: 'openai', id: ids.ai, group: 'account', zones: ['openai'] }]
      )
    }
    dependsOn: [network, stamp, gateway, cosmos, custody, storage, audit, bus, keys, ai, copies, backupKeys]
  }
]

// The night's runs as this environment has them, in minutes of the day: workers are ready twenty minutes before the first
// and until the last chunk of the largest (docs/estate-cost.md). Only what comes once a day is of the night; seconds may be left
// out. No night goes over midnight (UTC).
var clocks = map(
  filter(estate.settings, s => endsWith(s.name, '_SCHEDULE')),
  s => split(settings[?s.name] ?? s.value, ' ')
)
var fields = filter(map(clocks, c => length(c) == 5 ? concat(['0'], c) : c), c => length(c) == 6)
var daily = filter(
  fields,
  c => c[3] == '*' && empty(filter(['*', '/', ',', '-'], several => contains('${c[1]}${c[2]}', several)))
)
var nights = map(daily, c => int(c[2]) * 60 + int(c[1]))
var night = empty(nights)
  ? { from: 0, to: 0 }
  : max(nights) - min(nights) > 720
      ? fail('schedules lie on both sides of midnight (UTC): no workers are made ready for such a night')
      : { from: (min(nights) + 1420) % 1440, to: (max(nights) + 100) % 1440 }

module prescale 'modules/prescale.bicep' = [
  for c in colours: if (sizes.nightly > 0 && !empty(nights)) {
    name: 'prescale-${c}'
    scope: stamps[0]
    params: {
      suffix: '${base}-${regions[0].short}-${c}-${token}'
      location: location
      tags: tags
      workspaceId: ids.workspace
      siteName: first(filter(apps, a => a.location == location && a.role == 'work' && a.colour == c))!.site
      identity: programs.scaler
      identityGroup: coreGroup
      scalerRoleId: subscriptionResourceId(
        'Microsoft.Authorization/roleDefinitions',
        guid(subscription().id, base, 'app-scaler')
      ) // made by the bootstrap
      hours: {
        from: { hour: night.from / 60, minute: night.from % 60 }
        to: { hour: night.to / 60, minute: night.to % 60 }
      }
      instances: { nightly: sizes.nightly, else: sizes.ready.work }
      running: c == active
    }
    dependsOn: [stamp]
  }
]

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: core
  params: {
    suffix: '${base}-${token}'
    location: location
    tags: tags
    workspaceId: ids.workspace
    actionGroupIds: actionGroups
    has: {
      edge: edge
      private: private
      standby: standby
      premium: sizes.messagingUnits > 0
      provisioned: sizes.throughput > 0
      nightly: sizes.nightly > 0 && !empty(nights)
      backups: backups
      vault: keeps
    }
    targets: {
      frontdoor: ['${inCore}/Microsoft.Cdn/profiles/afd-${base}-${token}']
      cosmos: [ids.cosmos]
      bus: [ids.bus]
      vault: [ids.vault]
      data: [ids.data]
      gateway: map(
        range(0, length(regions)),
        i => '${inStamp[i]}/Microsoft.ApiManagement/service/apim-${base}-${regions[i].short}-${token}'
      )
      firewall: map(
        range(0, length(regions)),
        i => '${inStamp[i]}/Microsoft.Network/azureFirewalls/afw-${base}-${regions[i].short}-${token}'
      )
      sites: map(filter(apps, a => a.location == location), a => '${inStamp[0]}/Microsoft.Web/sites/${a.site}')
      factory: [
        '${subscription().id}/resourceGroups/${backupGroup}/providers/Microsoft.DataFactory/factories/adf-${base}-${token}'
      ]
      prescale: map(
        colours,
        c => '${inStamp[0]}/Microsoft.Logic/workflows/logic-up-${base}-${regions[0].short}-${c}-${token}'
      )
    }
    instances: map(filter(apps, a => a.location == location), a => sizes.maximum[a.role] * 7 / 10)
  }
  dependsOn: [monitoring, actions, cosmos, bus, keys, storage, stamp, gateway, frontdoor, network, prescale, backup]
}

module probes 'modules/probes.bicep' = if (edge) {
  name: 'probes'
  scope: core
  params: {
    suffix: '${base}-${token}'
    location: location
    tags: tags
    insightsId: ids.insights
    host: frontdoor!.outputs.host
    actionGroupIds: actionGroups
  }
  dependsOn: [actions]
}

module workbooks 'modules/workbooks.bicep' = {
  name: 'workbooks'
  scope: core
  params: {
    location: location
    tags: tags
    workspaceId: ids.workspace
    resources: {
      cosmos: [ids.cosmos]
      bus: [ids.bus]
      gateway: edge
        ? map(
            range(0, length(regions)),
            i => '${inStamp[i]}/Microsoft.ApiManagement/service/apim-${base}-${regions[i].short}-${token}'
          )
        : []
      sites: map(filter(apps, a => a.location == location), a => '${inStamp[0]}/Microsoft.Web/sites/${a.site}')
    }
  }
  dependsOn: [monitoring]
}

module watch 'modules/sentinel.bicep' = if (sentinel && !creating && watching) {
  name: 'sentinel'
  scope: core
  params: {
    workspaceName: 'log-${base}-${token}'
    has: { edge: edge, private: private, vault: keeps }
    deployer: programs.deploy
    deployers: deployers
    driller: programs.drill
    apps: take(identities.outputs.principals, length(apps)) // which are first
  }
  // Sentinel asks a rule's query when it is made, and refuses it where a table is not there yet: a workspace takes minutes
  // to know its tables. So it comes with the second deployment, after all that takes long: refused, all else is there, and scripts/deploy tries without it.
  dependsOn: [monitoring, endpoints, alerts, api, guard]
}

module guard 'modules/guard.bicep' = {
  params: {
    base: base
    azdEnvironment: azdEnvironment
    location: location
    locations: [location, standbyLocation, 'global']
    private: private
    workspaceId: ids.workspace
    defender: defender
    budget: budget
    budgetFrom: budgetFrom
    mail: contacts.mail
    actionGroupId: actionGroups[2]
    loggedInPart: concat([ids.cosmos], openAi == null ? [] : [ids.ai])
  }
  dependsOn: [monitoring, actions]
}

module lock 'modules/lock.bicep' = if (locked) {
  name: 'lock'
  scope: core
}

resource archive 'Microsoft.Resources/resourceGroups@2025-04-01' = if (backups) {
  name: backupGroup
  location: backupRegion
  tags: tags
}

// Keys of their own: who may use those of the estate can read no copy, and the other way round.
module backupKeys 'modules/keys.bicep' = if (backups) {
  name: 'backup-keys'
  scope: archive
  params: {
    name: backupVault
    location: backupRegion
    tags: tags
    workspaceId: ids.workspace
    private: private
    keys: ['backup']
    identity: programs.backupKeys
    identityGroup: coreGroup
  }
  dependsOn: [identities]
}

module copies 'modules/storage.bicep' = if (backups) {
  name: 'copies'
  scope: archive
  params: {
    name: backupAccount
    location: backupRegion
    tags: tags
    workspaceId: ids.workspace
    replication: replication
    private: private
    key: {
      vaultUri: 'https://${backupVault}${az.environment().suffixes.keyvaultDns}/'
      name: 'backup'
      identityId: ids.backupKeysIdentity
    }
    containers: map(items(copied), c => { name: c.value, immutableDays: environment == 'prod' ? 3653 : 7 })
    immutability: immutability
    expire: map(items(copied), c => { prefix: '${c.value}/', days: environment == 'prod' ? 3660 : 30 })
    cool: { cool: 30, cold: 90 }
    pointInTime: false
    access: concat(
      map(items(copied), c => { container: c.value, identity: programs.backup, role: 'Storage Blob Data Contributor' }),
      // A drill, by hand or by the pipeline, asks which copy is whole, and reads none itself.
      map(
        [programs.deploy, programs.drill],
        p => { container: copied.whole, identity: p, role: 'Storage Blob Data Reader' }
      )
    )
    identityGroup: coreGroup
  }
  dependsOn: [backupKeys, identities]
}

module backup 'modules/backup.bicep' = if (backups) {
  name: 'backup'
  scope: archive
  params: {
    suffix: '${base}-${token}'
    location: backupRegion
    tags: tags
    workspaceId: ids.workspace
    private: private
    storage: union({ name: backupAccount }, copied)
    identity: programs.backup
    coreGroup: coreGroup
    source: {
      account: 'cosno-${base}-${token}'
      database: estate.documents.database
      container: estate.documents.containers[0].name
    }
    blobs: {
      account: dataAccount
      container: dataBlobs.name
      prefixes: map(filter(dataBlobs.prefixes, p => p.?copied != null), p => {
        folder: substring(p.name, 0, length(p.name) - 1)
        days: p.copied == 'whole' ? 36525 : 8 // a century; a week, and a day more for a run that is late
      })
    }
  }
  dependsOn: [copies, cosmos, storage, endpoints] // Data Factory's own ways in come after ours, one at a time
}

// What holds copies, and not the group: the drill makes an account there each month, and deletes it.
module archiveLock 'modules/lock-copies.bicep' = if (backups && locked) {
  name: 'lock-copies'
  scope: archive
  params: { account: backupAccount, keyVault: backupVault }
  dependsOn: [backup, backupKeys]
}

module runnerKey 'modules/runner-key.bicep' = if (private && runner != null) {
  name: 'runner-key'
  scope: core
  params: { identity: programs.?runner ?? '', vault: vault }
  dependsOn: [identities, keys]
}

// In each region, by a name of its own: when the first is lost, the second deploys what serves there.
module runners 'modules/runner.bicep' = [
  for (r, i) in regions: if (private && runner != null) {
    name: 'runner-${r.short}'
    scope: stamps[i]
    params: {
      suffix: '${base}-${r.short}-${token}'
      location: r.location
      tags: tags
      workspaceId: ids.workspace
      subnetId: '${subnets[i]}/snet-management'
      zones: zones
      identity: programs.?runner ?? ''
      coreGroup: coreGroup
      vault: vault
      github: runner!
      labels: r.role == 'primary' ? base : '${base}-standby'
    }
    dependsOn: [runnerKey, network]
  }
]

module pool 'modules/agents.bicep' = [
  for (r, i) in regions: if (private && agents != null) {
    name: 'pool-${r.short}'
    scope: stamps[i]
    params: {
      suffix: '${base}-${r.short}-${token}'
      name: r.role == 'primary' ? base : '${base}-standby'
      location: r.location
      tags: tags
      workspaceId: ids.workspace
      networkName: 'vnet-${base}-${r.short}-${token}'
      project: agents!
      joinerRoleId: subscriptionResourceId(
        'Microsoft.Authorization/roleDefinitions',
        guid(subscription().id, base, 'pool-joiner')
      ) // made by the bootstrap
    }
    dependsOn: [network]
  }
]

@description('What scripts call resources by, where callers come (empty without an edge: then the app itself), and the colour that serves. One output: the CLI writes several in any order.')
output names {
  group: string
  archive: string
  regions: { location: string, group: string, gateway: string, network: string }[]
  apps: { role: string, colour: string, location: string, group: string, name: string }[]
  cosmos: string
  data: string
  audit: string
  copies: string
  bus: string
  factory: string
  frontdoor: string
  backupIdentity: string
  workspace: string
  active: string
  host: string
} = {
  group: coreGroup
  archive: backups ? backupGroup : ''
  regions: map(regions, r => {
    location: r.location
    group: 'rg-${base}-${r.short}'
    gateway: edge ? 'apim-${base}-${r.short}-${token}' : ''
    network: private ? 'vnet-${base}-${r.short}-${token}' : ''
  })
  apps: map(apps, a => {
    role: a.role
    colour: a.colour
    location: a.location
    group: 'rg-${base}-${shorts[a.location]}'
    name: a.site
  })
  cosmos: 'cosno-${base}-${token}'
  data: dataAccount
  audit: auditAccount
  copies: backups ? backupAccount : ''
  bus: 'sb-${base}-${token}'
  factory: backups ? 'adf-${base}-${token}' : ''
  frontdoor: edge ? 'afd-${base}-${token}' : ''
  backupIdentity: programs.backup
  workspace: ids.workspace
  active: active
  host: edge ? frontdoor!.outputs.host : ''
}
