// Production with everything that is by parameter. Nobody deploys it: it is here so that what an
// environment may turn on is built, shown and held to the rules like the rest.
using '../main.bicep'

param environment = 'prod'
param location = 'westeurope'
param standbyLocation = 'northeurope'
param owner = 'polis'
param costCentre = 'production'
param criticality = 'high'
param private = true
param edge = true
param zones = true
param standby = true
param ownKeys = true
param gatewayTier = 'PremiumV2'
param firewallTier = 'Premium'
param ddos = true
param vpn = { clients: '172.20.0.0/24' }
param expressRoute = { provider: 'Equinix', place: 'Amsterdam', mbps: 50 }
param openAi = { name: 'gpt-5-mini', version: '2025-08-07', thousandTokensPerMinute: 50 }
param runner = {
  repository: 'owner/polis'
  appId: '1'
  installationId: '1'
  image: 'ghcr.io/owner/polis-runner@sha256:0000000000000000000000000000000000000000000000000000000000000000'
}
param agents = {
  organization: 'https://dev.azure.com/organization'
  project: 'polis'
  principalId: '44444444-4444-4444-4444-444444444444'
}
param runnerHosts = ['registry.example.com']
param sizes = {
  memory: { api: 4096, work: 2048, clock: 512 }
  maximum: { api: 200, work: 200, clock: 40 }
  ready: { api: 3, work: 2, clock: 0 }
  nightly: 64
  throughput: 20000
  messagingUnits: 4
  gatewayUnits: 3
  logsPerDay: -1
}
param immutability = 'Locked'
param active = 'green'
param canary = 10
param domain = 'api.example.com'
param deprecation = { deprecated: '@1798761600', sunset: 'Sat, 01 Jan 2028 00:00:00 GMT' }
param settings = { ENTRA__tenantClaim: 'tenant', RISK_SCHEDULE: '0 30 1 * * *' }
param integrations = [{ name: 'intake', principalId: '11111111-1111-1111-1111-111111111111' }]
param subscribers = [
  {
    topic: 'score-results'
    name: 'crm'
    tenant: 'one'
    engine: 'churn'
    principalId: '22222222-2222-2222-2222-222222222222'
  }
  { topic: 'events', name: 'crm', tenant: 'one', principalId: '22222222-2222-2222-2222-222222222222' }
]
param custodians = [{ principalId: '55555555-5555-5555-5555-555555555555', kind: 'Group' }]
param audience = '00000000-0000-0000-0000-000000000003'
param developerPortal = true
param publisher = { name: 'Polis', mail: 'polis@example.com' }
param contacts = { mail: ['polis@example.com'], sms: [{ country: '31', number: '600000000' }] }
param sentinel = true
param deployers = ['33333333-3333-3333-3333-333333333333']
param defender = true
param budget = 20000
param budgetFrom = '2026-12-01'
param locked = true
param backups = true
