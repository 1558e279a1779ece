metadata description = 'An account for an hour, in the group of the copies: a copy is read into it, counted, and it is deleted again.'

import { Tags } from '../modules/types.bicep'

@description('The account\'s name.')
@maxLength(44)
param name string

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

@description('Tags.')
param tags Tags

@description('Where logs go.')
param workspaceId string

@description('The Data Factory that reads the copy.')
param factoryName string

@description('The identity that it does it as.')
param identity string

@description('The resource group of the identities.')
param identityGroup string

// The same module as the estate's: the same keys, the same index, no key, no public way in.
module account '../modules/cosmos.bicep' = {
  name: 'drill-account'
  params: {
    name: name
    tags: tags
    workspaceId: workspaceId
    locations: [location]
    zones: false
    private: true
    throughput: 0
    key: null // gone within the hour
    writers: [identity]
    readers: []
    identityGroup: identityGroup
  }
}

resource factory 'Microsoft.DataFactory/factories@2018-06-01' existing = {
  name: factoryName

  resource network 'managedVirtualNetworks' existing = { name: 'default' }
}

resource door 'Microsoft.DataFactory/factories/managedVirtualNetworks/managedPrivateEndpoints@2018-06-01' = {
  parent: factory::network
  name: 'drill-${last(split(name, '-'))}'
  properties: { groupId: 'Sql', privateLinkResourceId: resourceId('Microsoft.DocumentDB/databaseAccounts', name) }
  dependsOn: [account]
}
