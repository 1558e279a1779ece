metadata description = 'Lets who deploys ask our own edge, to see what callers see: it has its name only once it is there, so its rule comes after it.'

import { managementRange, agentRange } from 'types.bicep'

@description('Ends the names of the network\'s resources.')
param suffix string

@description('The first two octets of the network: a /16.')
param prefix string

@description('Whether there are machines of an Azure DevOps pool.')
param agents bool

@description('Where callers come.')
param host string

resource firewallPolicy 'Microsoft.Network/firewallPolicies@2026-03-01' existing = { name: 'afwp-${suffix}' }

resource edge 'Microsoft.Network/firewallPolicies/ruleCollectionGroups@2026-03-01' = {
  parent: firewallPolicy
  name: 'edge'
  properties: {
    priority: 300
    ruleCollections: [
      {
        ruleCollectionType: 'FirewallPolicyFilterRuleCollection'
        name: 'own-edge'
        priority: 300
        action: { type: 'Allow' }
        rules: [
          {
            ruleType: 'ApplicationRule'
            name: 'who-deploys-asks-the-edge'
            protocols: [{ protocolType: 'Https', port: 443 }]
            sourceAddresses: concat([managementRange(prefix)], agents ? [agentRange(prefix)] : [])
            targetFqdns: [host]
          }
        ]
      }
    ]
  }
}
