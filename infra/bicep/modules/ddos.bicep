metadata description = 'A plan against floods at the network\'s edge: one serves every network of a tenant.'

import { Tags } from 'types.bicep'

@description('The plan\'s name.')
param name string

@description('The region.')
param location string

@description('Tags.')
param tags Tags

resource plan 'Microsoft.Network/ddosProtectionPlans@2026-03-01' = {
  name: name
  location: location
  tags: tags
}
