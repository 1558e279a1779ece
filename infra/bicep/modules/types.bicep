metadata description = 'What the modules say to each other.'

@export()
@description('The tags that every resource carries; policy refuses a resource group without them.')
type Tags = {
  @description('Always polis.')
  app: string
  @description('Who answers for it: a team, not a person.')
  owner: string
  @description('dev, staging or prod.')
  environment: string
  @description('How bad it is when it fails.')
  criticality: string
  @description('The most sensitive data in it.')
  'data-class': string
  @description('Who pays.')
  'cost-centre': string
  @description('How azd finds its environment again.')
  'azd-env-name': string
}

@export()
@description('An app: one role in one colour in one region, with the identity that is its own.')
type App = {
  @description('api, work or clock, as in the estate.')
  role: string
  @description('blue or green.')
  colour: string
  @description('The region that it runs in.')
  location: string
  @description('Its identity\'s name.')
  identity: string
  @description('Its own name.')
  site: string
}

@export()
@description('Who may do what with a container of blobs.')
type Access = {
  @description('The container; empty for the whole account.')
  container: string
  @description('The identity\'s name.')
  identity: string
  @description('The role\'s name in Azure.')
  role:
    | 'Storage Blob Data Owner'
    | 'Storage Blob Data Contributor'
    | 'Storage Blob Data Reader'
    | 'Storage Account Backup Contributor'
}

@export()
@description('Something that a private endpoint leads to.')
type Endpoint = {
  @description('What the endpoint is called by.')
  name: string
  @description('The resource.')
  id: string
  @description('The sub-resource, e.g. blob.')
  group: string
  @description('Keys of the private DNS zones that its names lie in.')
  zones: string[]
}

@export()
@description('A key in the vault, and the identity that services use it by.')
type Key = {
  @description('The vault\'s address.')
  vaultUri: string
  @description('The key\'s name; no version, so that a rotated key is taken up.')
  name: string
  @description('The identity\'s resource id.')
  identityId: string
}

@export()
@description('What an environment costs and bears: sizes by role.')
type Sizes = {
  @description('Memory of an instance in MB. 2,048 is one core; the price of a core-second is the same in each.')
  memory: { api: 512 | 2048 | 4096, work: 512 | 2048 | 4096, clock: 512 | 2048 | 4096 }
  @description('Most instances of an app.')
  maximum: { api: int, work: int, clock: int }
  @description('Instances that are always ready, by app. With zones the platform keeps two for each function group in any case.')
  ready: { api: int, work: int, clock: int }
  @description('Instances of the chunk workers that are made ready before the nightly run.')
  nightly: int
  @description('Cosmos DB\'s autoscale maximum in RU/s; 0 is serverless.')
  throughput: int
  @description('Messaging units of Service Bus Premium; 0 is the Standard tier.')
  messagingUnits: 0 | 1 | 2 | 4 | 8 | 16
  @description('Units of API Management; with zones at least two.')
  gatewayUnits: int
  @description('GB a day that the workspace takes before it stops; -1 is no limit.')
  logsPerDay: int
}

@export()
@description('A region of the estate.')
type Region = {
  @description('Its name in Azure.')
  location: string
  @description('Its name in names.')
  short: string
  @description('Whether it serves now, or waits.')
  role: 'primary' | 'standby'
  @description('The /16 of its network.')
  network: string
}

@export()
@description('A subscriber of a topic who gets one tenant\'s messages, of one engine if it says so.')
type Subscriber = {
  @description('The topic: score-results or events.')
  topic: 'score-results' | 'events'
  @description('The subscription\'s name.')
  @minLength(1)
  @maxLength(50)
  name: string
  @description('The tenant whose messages it gets.')
  tenant: string
  @description('Only this engine\'s.')
  engine: ('risk' | 'churn' | 'clv' | 'nbp' | 'defend')?
  @description('Who may receive: the object id of a workload\'s identity.')
  principalId: string
}

@export()
@description('Group ids by what their members may do once they have asked for it (Privileged Identity Management).')
type People = {
  @description('May look at everything but data.')
  readers: string?
  @description('May read logs, silence alerts and replay dead letters.')
  operators: string?
  @description('May deal with incidents in Sentinel.')
  security: string?
  @description('May bring in tenants, books and models (`custodians` of the estate). Its members ask for membership: Cosmos DB knows no eligibility for roles.')
  custodians: string?
  @description('May do by hand what drills do, and what is not drilled: a region that is lost, a restore.')
  recovery: string?
}

@export()
@description('Who works on tenants\' data from the command line: a group of Entra ID, or a workload.')
type Custodian = {
  @description('The object id of the group, or of the workload\'s identity.')
  @minLength(36)
  @maxLength(36)
  principalId: string
  @description('Which of the two it is.')
  kind: 'Group' | 'ServicePrincipal'
}

@export()
@description('Whom alerts reach. Addresses of Teams and PagerDuty hold a secret part and are parameters of their own.')
type Contacts = {
  @description('Mail addresses.')
  mail: string[]
  @description('Phone numbers for severities 0 and 1, country code apart.')
  sms: { country: string, number: string }[]
}

// Where deployments come from, within a network's /16: its own rules name these ranges, and so does the way to the edge.
@export()
@description('The subnet of the runner.')
func managementRange(prefix string) string => '${prefix}.6.0/23'

@export()
@description('The subnet of a pool\'s machines.')
func agentRange(prefix string) string => '${prefix}.9.32/27'
