// Production: private, in three zones, with a second region that waits.
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
param firewallTier = 'Standard'
param sizes = {
  // One core for who waits for an answer and for bodies of 100 MB; a quarter where a queue waits.
  memory: { api: 2048, work: 512, clock: 512 }
  maximum: { api: 100, work: 100, clock: 40 }
  ready: { api: 2, work: 2, clock: 0 }
  nightly: 16
  throughput: 4000
  messagingUnits: 1
  gatewayUnits: 2
  logsPerDay: -1
}
param audience = '00000000-0000-0000-0000-000000000003'
param publisher = { name: 'Polis', mail: 'polis@example.com' }
param contacts = { mail: ['polis@example.com'], sms: [] }
param sentinel = true
param defender = true
param budget = 12000
param budgetFrom = '2026-12-01'
param locked = true
param backups = true
