// A developer's own estate: public, keyless all the same, and next to nothing while nobody calls it.
using '../main.bicep'

param environment = 'dev'
param azdEnvironment = readEnvironmentVariable('AZURE_ENV_NAME', 'dev')
param location = 'westeurope'
param standbyLocation = 'northeurope'
param owner = 'polis'
param costCentre = 'development'
param criticality = 'low'
param private = false
param edge = false
param zones = false
param standby = false
param ownKeys = false
param sizes = {
  memory: { api: 512, work: 512, clock: 512 }
  maximum: { api: 40, work: 40, clock: 40 }
  ready: { api: 0, work: 0, clock: 0 }
  nightly: 0
  throughput: 0
  messagingUnits: 0
  gatewayUnits: 1
  logsPerDay: 1
}
param audience = '00000000-0000-0000-0000-000000000001'
param publisher = { name: 'Polis', mail: 'polis@example.com' }
param contacts = { mail: ['polis@example.com'], sms: [] }
param sentinel = false
param defender = false
param budget = 50
param budgetFrom = '2026-12-01'
param locked = false
param backups = false
