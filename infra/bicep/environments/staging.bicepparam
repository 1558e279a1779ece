// As production is, in one region and in the smallest sizes: what is shown to work here works there.
using '../main.bicep'

param environment = 'staging'
param location = 'westeurope'
param standbyLocation = 'northeurope'
param owner = 'polis'
param costCentre = 'development'
param criticality = 'medium'
param private = true
param edge = true
param zones = false
param standby = false
param ownKeys = true
param gatewayTier = 'StandardV2'
param firewallTier = 'Basic'
param sizes = {
  memory: { api: 2048, work: 512, clock: 512 }
  maximum: { api: 40, work: 40, clock: 40 }
  ready: { api: 0, work: 0, clock: 0 }
  nightly: 2
  throughput: 1000
  messagingUnits: 1
  gatewayUnits: 1
  logsPerDay: 5
}
param audience = '00000000-0000-0000-0000-000000000002'
param publisher = { name: 'Polis', mail: 'polis@example.com' }
param contacts = { mail: ['polis@example.com'], sms: [] }
param sentinel = true
param defender = false
param budget = 3500
param budgetFrom = '2026-12-01'
param locked = false
param backups = false
