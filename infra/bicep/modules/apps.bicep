metadata description = 'A region\'s apps: three roles in two colours, and the storage of their host.'

import { Tags, App, Sizes, Region } from 'types.bicep'

@description('The host storage\'s name.')
param hostStorageName string

@description('The region.')
param region Region

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('All apps; those of this region are made.')
param apps App[]

@description('The colour that serves.')
@allowed(['blue', 'green'])
param active string

@description('Whether active apps are spread over zones.')
param zones bool

@description('How the host storage is replicated.')
param replication string

@description('Whether everything is reached by private endpoints alone.')
param private bool

@description('The subnet that apps go out by; empty for none.')
param subnetId string

@description('Sizes.')
param sizes Sizes

@description('Application Insights\' name and resource group.')
param insights { name: string, group: string }

@description('Values that settings of the estate come from.')
param sources { bus: string, cosmos: string, blobs: string, audience: string }

@description('Settings that this environment has otherwise than the estate says.')
param overrides { *: string }

@description('The resource group of the identities.')
param identityGroup string

var here = filter(apps, a => a.location == region.location)

// What the host writes by itself, and a package for each app. An app reads and writes its own
// package's container and no other's: who can write a package is who can run code as that app.
module host 'storage.bicep' = {
  name: 'host'
  params: {
    name: hostStorageName
    location: region.location
    tags: tags
    workspaceId: workspaceId
    replication: replication
    private: private
    key: null // packages and locks; nothing of a customer
    containers: concat(
      [{ name: 'azure-webjobs-hosts', immutableDays: 0 }, { name: 'azure-webjobs-secrets', immutableDays: 0 }],
      map(here, a => { name: 'app-${a.role}-${a.colour}', immutableDays: 0 })
    )
    expire: []
    cool: { cool: 0, cold: 0 }
    pointInTime: false
    // The platform writes a package with the app's own identity.
    access: flatten(map(here, a => [
      { container: 'azure-webjobs-hosts', identity: a.identity, role: 'Storage Blob Data Owner' }
      { container: 'azure-webjobs-secrets', identity: a.identity, role: 'Storage Blob Data Owner' }
      { container: 'app-${a.role}-${a.colour}', identity: a.identity, role: 'Storage Blob Data Contributor' }
    ]))
    identityGroup: identityGroup
  }
}

module site 'app.bicep' = [
  for a in here: {
    name: 'app-${a.role}-${a.colour}'
    params: {
      location: region.location
      tags: tags
      workspaceId: workspaceId
      app: a
      identityGroup: identityGroup
      // What stands by must be there, and may take a minute; only what serves is kept in zones and warm.
      zones: zones && a.colour == active && region.role == 'primary'
      private: private
      // Two colours on one queue would be two versions at work at once. The API of both answers: a new one is tried first.
      running: a.role == 'api' || (a.colour == active && region.role == 'primary')
      subnetId: subnetId
      hostAccountName: hostStorageName
      memory: sizes.memory[a.role]
      maximum: sizes.maximum[a.role]
      ready: a.colour == active && region.role == 'primary' ? sizes.ready[a.role] : 0
      insights: insights
      sources: sources
      overrides: overrides
    }
    dependsOn: [host]
  }
]
